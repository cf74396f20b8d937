package vertex

import _ "embed"

// bootstrap is the program that installs a job's packages in an image and runs its
// module, where Vertex AI's own installer can't. It needs Python 3.5 or later with
// pip, and nothing else.
//
//go:embed bootstrap.py
var bootstrap string
