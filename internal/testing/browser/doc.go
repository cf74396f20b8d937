// Package browser looks at the console's pages as people do: in a browser, on a local stack and on a large
// installation. It holds tests only.
package browser
