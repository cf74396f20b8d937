package job

// Order is what a backend is asked for: a job, and how the operator wants it put
// into the backend's own words. The same order gives the same request.
type Order struct {
	Spec
	Mapping
}

// Mapping is what a job whose backend does not speak ml/v1 is put into words by: what
// the operator says of such jobs, and the job's own options for the backend. It is kept
// as it was when the attempt was accepted.
type Mapping struct {
	// Image is the container image of the job's runtime and Python version,
	// where the operator has one.
	Image string `json:"image,omitempty"`
	// Accelerators maps accelerators to those that the job gets in their place.
	Accelerators map[string]string `json:"accelerators,omitempty"`
	// DisableRetries keeps the backend from running a failed job again.
	DisableRetries bool `json:"disableRetries,omitempty"`
	// Vertex is what the job file says under jobdrop.vertex, with the operator's
	// defaults.
	Vertex *VertexOptions `json:"vertex,omitempty"`
}
