package protos

import (
	"os"
	"strings"
	"testing"

	_ "cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	_ "cloud.google.com/go/logging/apiv2/loggingpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/protos/reduce"
)

// The descriptors are what Google's packages have, so that a newer one is not missed.
func TestDescriptorsAreUpToDate(t *testing.T) {
	source, err := os.ReadFile("protos.go")
	if err != nil {
		t.Fatal(err)
	}
	sets := 0
	for line := range strings.Lines(string(source)) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "//go:generate go run ./gen ")
		if !ok {
			continue
		}
		sets++
		args := strings.Fields(command)
		want, err := reduce.Methods(protoregistry.GlobalFiles, args[1:])
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(args[0])
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not what go generate makes", args[0])
		}
	}
	if sets != 2 {
		t.Errorf("%d sets are generated, want 2", sets)
	}
}

func TestReduceKnowsMethodsOnly(t *testing.T) {
	for _, name := range []string{"google.logging.v2.LoggingServiceV2.None", "google.logging.v2.LoggingServiceV2"} {
		if _, err := reduce.Methods(protoregistry.GlobalFiles, []string{name}); err == nil {
			t.Errorf("%s was found", name)
		}
	}
}

func TestNumbers(t *testing.T) {
	files, err := Aiplatform()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		message, field string
		want           map[string]int32
	}{
		{"StudySpecMetricSpec", "goal", map[string]int32{"GOAL_TYPE_UNSPECIFIED": 0, "MAXIMIZE": 1, "MINIMIZE": 2}},
		{"StudySpec", "algorithm", map[string]int32{"ALGORITHM_UNSPECIFIED": 0, "GRID_SEARCH": 2, "RANDOM_SEARCH": 3}},
		{"StudySpec", "metrics", nil},
		{"StudySpec", "none", nil},
		{"StudySpecNone", "goal", nil},
		{"None", "goal", nil},
	} {
		got := Numbers(files, "google.cloud.aiplatform.v1", tt.message, tt.field)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s.%s (-want +got):\n%s", tt.message, tt.field, diff)
		}
	}
}
