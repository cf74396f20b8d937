package rpc

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/protos"
)

// methods returns the methods that the training service serves.
func methods(t testing.TB) []protoreflect.MethodDescriptor {
	t.Helper()
	var all []protoreflect.MethodDescriptor
	for _, open := range []func() (*protoregistry.Files, error){protos.Aiplatform, protos.Logging} {
		files, err := open()
		if err != nil {
			t.Fatal(err)
		}
		files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
			for i := range f.Services().Len() {
				for m := range f.Services().Get(i).Methods().Len() {
					all = append(all, f.Services().Get(i).Methods().Get(m))
				}
			}
			return true
		})
	}
	return all
}

func TestRequest(t *testing.T) {
	const parent, job = "projects/p/locations/l", "projects/p/locations/l/customJobs/1"
	want := map[protoreflect.Name]struct{ message, line, body string }{
		"CreateCustomJob": {`{"parent": "` + parent + `", "customJob": {"displayName": "d"}}`,
			"POST /v1/" + parent + "/customJobs", `{"displayName":"d"}`},
		"GetCustomJob": {`{"name": "` + job + `"}`, "GET /v1/" + job, ""},
		"ListCustomJobs": {`{"parent": "` + parent + `", "pageSize": 3, "readMask": "name,displayName"}`,
			"GET /v1/" + parent + "/customJobs?pageSize=3&readMask=name%2CdisplayName", ""},
		"CancelCustomJob": {`{"name": "` + job + `"}`, "POST /v1/" + job + ":cancel", "{}"},
		"ListLogEntries":  {`{"resourceNames": ["projects/p"]}`, "POST /v2/entries:list", `{"resourceNames":["projects/p"]}`},
	}
	for _, m := range methods(t) {
		tt, ok := want[m.Name()]
		if !ok {
			continue
		}
		delete(want, m.Name())
		message := dynamicpb.NewMessage(m.Input())
		if err := protojson.Unmarshal([]byte(tt.message), message); err != nil {
			t.Fatal(err)
		}
		r, err := request(m, message)
		if err != nil {
			t.Errorf("%s: %v", m.Name(), err)
			continue
		}
		body, err := io.ReadAll(r.Body)
		got := r.Method + " " + r.URL.String()
		if err != nil || got != tt.line || strings.ReplaceAll(string(body), " ", "") != tt.body {
			t.Errorf("%s becomes %s with %s, want %s with %s", m.Name(), got, body, tt.line, tt.body)
		}
	}
	if len(want) > 0 {
		t.Errorf("methods that were not found: %v", want)
	}
}

func TestUnknown(t *testing.T) {
	for _, m := range methods(t) {
		if m.Name() != "CreateHyperparameterTuningJob" {
			continue
		}
		for text, want := range map[string]bool{
			"\x0a\x01a":                            false, // parent: "a"
			"\x7a\x01a":                            true,  // a field 15
			"\x12\x03\x12\x01a":                    false, // hyperparameter_tuning_job.display_name
			"\x12\x04\xfa\x3f\x01a":                true,  // hyperparameter_tuning_job's field 1023
			"\x12\x07\x22\x05\x0a\x03\xf8\x3f\x01": true,  // hyperparameter_tuning_job.study_spec.metrics[0]'s
		} {
			message := dynamicpb.NewMessage(m.Input())
			if err := proto.Unmarshal([]byte(text), message); err != nil {
				t.Fatal(err)
			}
			if got := unknown(message); got != want {
				t.Errorf("%q: unknown fields: %v, want %v", text, got, want)
			}
		}
		return
	}
	t.Error("the method was not found")
}

// A panic fails its call alone: gRPC runs handlers where net/http does not see it.
func TestPanic(t *testing.T) {
	files, err := protos.Aiplatform()
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	server := httptest.NewUnstartedServer(Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		panic("at " + r.URL.Path)
	}), slog.New(slog.NewTextHandler(&logged, nil)), 1<<20, files))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	conn, err := grpc.NewClient(server.Listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, m := range methods(t) {
		if m.Name() != "GetCustomJob" {
			continue
		}
		message := dynamicpb.NewMessage(m.Input())
		if err := protojson.Unmarshal([]byte(`{"name": "projects/p/locations/l/customJobs/1"}`), message); err != nil {
			t.Fatal(err)
		}
		method := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
		err := conn.Invoke(t.Context(), method, message, dynamicpb.NewMessage(m.Output()))
		if s, _ := status.FromError(err); s.Code() != codes.Internal || strings.Contains(s.Message(), "customJobs/1") {
			t.Errorf("got %v, want INTERNAL without what the log has", err)
		}
	}
	for _, want := range []string{"level=ERROR", "at /v1/projects/p/locations/l/customJobs/1", "rpc_test.go"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("no %s in the log: %s", want, logged.String())
		}
	}
}

// FuzzRequest: any message becomes a request or an error.
func FuzzRequest(f *testing.F) {
	all := methods(f)
	f.Add([]byte("\x0a\x16projects/p/locations/l"), uint8(0))
	f.Add([]byte("\x0a\x22projects/p/locations/l/customJobs/1"), uint8(2))
	f.Add([]byte("\x42\x0aprojects/p\x12\x01a"), uint8(8))
	f.Fuzz(func(t *testing.T, data []byte, n uint8) {
		m := all[int(n)%len(all)]
		message := dynamicpb.NewMessage(m.Input())
		if proto.Unmarshal(data, message) != nil {
			return
		}
		_ = unknown(message)
		r, err := request(m, message)
		if err == nil && !strings.HasPrefix(r.URL.Path, "/v1/projects/") && r.URL.Path != "/v2/entries:list" {
			t.Errorf("%q of %s becomes %s", data, m.Name(), r.URL)
		}
	})
}
