package loopback

// The functions of a local stack name it in each answer. A port that was free a moment ago may be taken by the functions
// of another stack, which would take this one's events and find nothing in their own inbox.
const (
	// StackVariable is the variable of the functions' environment that has their stack's name.
	StackVariable = "LOCAL_STACK_NAME"
	// StackHeader has it in their answers.
	StackHeader = "Jobdrop-Stack"
)
