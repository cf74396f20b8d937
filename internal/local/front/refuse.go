package front

// NotServed and NotServedStatus refuse what a local service does not have. The
// status names the reason. The HTTP code that belongs to it is 501, which gcloud
// and Node's libraries take for a failure that passes: gcloud tries again for
// half a minute, and says nothing. With 404 a program reads that the resource is
// gone. On 400 all of Google's clients give up at once, and show the message.
const (
	NotServed       = 400
	NotServedStatus = "UNIMPLEMENTED"
)

// NotServedMessage returns the message of a refusal. Service is e.g. "training
// service"; what is what was asked for, e.g. "method DELETE /v1/projects/p".
func NotServedMessage(service, what string) string {
	return "The local " + service + " does not have the " + what + ". docs/local.md says what it has."
}
