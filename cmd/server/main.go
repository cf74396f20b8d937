// Command server serves jobdrop's functions as a plain HTTP server, for Cloud
// Run or any container. FUNCTION_TARGET picks one function, served at every
// path; without it each is served at /Name. PORT is the port, 8080 by default.
package main

import (
	"log"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	_ "github.com/jobdrop/jobdrop" // registers the functions
)

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	if err := funcframework.Start(port); err != nil {
		log.Fatalf("server: %v", err)
	}
}
