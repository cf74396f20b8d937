package job

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Content digests what an attempt is: the resolved job, less its ID and the
// places of its packages, its options for Vertex AI, and the packages' names, sizes
// and checksums. Equal content in another folder, or uploaded again, has the same
// digest. Without options it is the digest that earlier revisions made.
func Content(spec Spec, vertex *VertexOptions, packages []Object) (string, error) {
	spec.JobID = ""
	if spec.TrainingInput != nil {
		t := *spec.TrainingInput
		t.PackageURIs = nil
		spec.TrainingInput = &t
	}
	data, err := json.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("content digest: %w", err)
	}
	parts := []string{string(data)}
	if vertex != nil {
		options, err := json.Marshal(vertex)
		if err != nil {
			return "", fmt.Errorf("content digest: %w", err)
		}
		parts = append(parts, "vertex "+string(options))
	}
	for _, p := range packages {
		size, crc32c := p.Content()
		parts = append(parts, fmt.Sprintf("%s %d %s", p.Base(), size, crc32c))
	}
	return digest(slices.Concat([]string{"content"}, parts)...), nil
}
