// Package absent is the answer of the local stack's services to a call that they don't have.
package absent

import (
	"fmt"
	"net/http"
)

// Status is the HTTP status of that answer. The clients of Google's services try again for half a minute or
// more, and say nothing meanwhile, after 501 and every other status above 499, after 408 and after 429; 404
// and 410 say to them that a resource is gone, 401 and 403 that an account lacks a right. After this one
// they stop at once and show the message.
const Status = http.StatusBadRequest

// Message returns the message of the answer, given the service's name and what it does not have.
func Message(service, what string) string {
	return fmt.Sprintf("The local %s does not have %s. docs/local.md of jobdrop says what it has.", service, what)
}
