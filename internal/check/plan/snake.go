package plan

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// SnakeJSON writes a training input under its proto names, as AI Platform Training
// did in TF_CONFIG's job and in CLOUD_ML_JOB ("scale_tier", "package_uris"; seen in
// the logs of public repositories).
func SnakeJSON(in *job.TrainingInput) (json.RawMessage, error) {
	data, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, err
	}
	return json.Marshal(snakeKeys(members))
}

func snakeKeys(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[Snake(key)] = snakeKeys(value)
		}
		return out
	case []any:
		for i := range v {
			v[i] = snakeKeys(v[i])
		}
	}
	return v
}

// Snake returns a JSON name's proto name: packageUris becomes package_uris.
func Snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}
