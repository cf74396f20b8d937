package messaging

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/local/absent"
)

// startEmulator returns the URL of Google's emulator, which is installed beside gcloud.
// Without one it skips the test.
func startEmulator(t *testing.T) string {
	t.Helper()
	gcloud, err := exec.LookPath("gcloud")
	if err == nil {
		gcloud, err = filepath.EvalSymlinks(gcloud)
	}
	emulator := filepath.Join(filepath.Dir(gcloud), "..", "platform", "pubsub-emulator", "bin", "cloud-pubsub-emulator")
	if err == nil {
		_, err = os.Stat(emulator)
	}
	if err != nil {
		t.Skipf("Google's emulator is not installed: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	command := exec.CommandContext(t.Context(), emulator, "--host="+host, "--port="+port)
	own(command)
	if err := command.Start(); err != nil {
		t.Skipf("Google's emulator does not start: %v", err)
	}
	t.Cleanup(func() {
		end(command)
		_ = command.Wait()
	})
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		response, err := http.Get("http://" + net.JoinHostPort(host, port))
		if err == nil {
			_ = response.Body.Close()
			return "http://" + net.JoinHostPort(host, port)
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Skipf("Google's emulator does not answer: %v", err)
		}
	}
}

// call sends a request and decodes the answer.
func call(t *testing.T, method, url, body string) (int, map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var decoded map[string]any
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatalf("%s %s: %s: %s", method, url, response.Status, text)
	}
	return response.StatusCode, decoded
}

// TestREST holds the REST API and Google's emulator to the same behaviour.
func TestREST(t *testing.T) {
	t.Parallel()
	t.Run("ours", func(t *testing.T) { testREST(t, "http://"+serve(t).Addr()) })
	t.Run("emulator", func(t *testing.T) {
		t.Parallel() // with the test of gcloud: both wait for other programs
		testREST(t, startEmulator(t))
	})
}

func testREST(t *testing.T, base string) {
	const topic, sub = "projects/p/topics/events", "projects/p/subscriptions/reader"
	want := func(code int, method, path, body string) map[string]any {
		t.Helper()
		got, answer := call(t, method, base+"/v1/"+path, body)
		if got != code {
			t.Fatalf("%s %s: got %d, want %d: %v", method, path, got, code, answer)
		}
		if code == http.StatusOK {
			return answer
		}
		e, _ := answer["error"].(map[string]any)
		status := map[int]string{400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 409: "ALREADY_EXISTS"}[code]
		if e["code"] != float64(code) || e["status"] != status || e["message"] == "" {
			t.Errorf("%s %s: got %v, want an error %d %s", method, path, answer, code, status)
		}
		return nil
	}
	want(404, "GET", topic, "")
	want(200, "PUT", topic, `{"labels":{"a":"b"}}`)
	want(409, "PUT", topic, `{}`)
	want(400, "PUT", "projects/p/topics/x", "")
	if got := want(200, "GET", topic, ""); got["name"] != topic {
		t.Errorf("got %v", got)
	}
	want(404, "PUT", sub, `{"topic":"projects/p/topics/none"}`)
	got := want(200, "PUT", sub, `{"topic":"`+topic+`","ackDeadlineSeconds":30,"enableMessageOrdering":true}`)
	if got["name"] != sub || got["topic"] != topic || got["ackDeadlineSeconds"] != 30.0 ||
		got["messageRetentionDuration"] != "604800s" {
		t.Errorf("got %v", got)
	}
	want(409, "PUT", sub, `{"topic":"`+topic+`"}`)
	got = want(200, "POST", topic+":publish",
		`{"messages":[{"data":"YQ==","orderingKey":"k","attributes":{"n":"1"}},{"data":"Yg==","orderingKey":"k"}]}`)
	if ids, _ := got["messageIds"].([]any); len(ids) != 2 {
		t.Errorf("got %v", got)
	}
	want(400, "POST", topic+":publish", `{"messages":[{}]}`)
	want(400, "POST", topic+":publish", `{"messagez":[]}`)
	want(400, "POST", topic+":publish", `{`)
	want(404, "POST", "projects/p/topics/none:publish", `{"messages":[{"data":"YQ=="}]}`)
	want(400, "POST", sub+":pull", `{}`)
	want(404, "POST", "projects/p/subscriptions/none:pull", `{"maxMessages":1}`)

	pull := func(want ...string) (ids []string) {
		t.Helper()
		request := `{"maxMessages":10}`
		if len(want) == 0 {
			request = `{"maxMessages":10,"returnImmediately":true}`
		}
		code, answer := call(t, "POST", base+"/v1/"+sub+":pull", request)
		if code != 200 {
			t.Fatalf("got %d: %v", code, answer)
		}
		var got []string
		messages, _ := answer["receivedMessages"].([]any)
		for _, m := range messages {
			m := m.(map[string]any)
			got = append(got, m["message"].(map[string]any)["data"].(string))
			ids = append(ids, m["ackId"].(string))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("pulled (-want +got):\n%s", diff)
		}
		return ids
	}
	settle := func(method, more string, ids ...string) {
		t.Helper()
		if got := want(200, "POST", sub+":"+method, `{"ackIds":["`+strings.Join(ids, `","`)+`"]`+more+`}`); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	}
	ids := pull("YQ==", "Yg==")
	pull()
	settle("modifyAckDeadline", `,"ackDeadlineSeconds":0`, ids...)
	ids = pull("YQ==", "Yg==")
	settle("acknowledge", "", ids[0])
	settle("acknowledge", "", ids[1])
	pull()

	got = want(200, "PATCH", sub, `{"subscription":{"ackDeadlineSeconds":60},"updateMask":"ackDeadlineSeconds"}`)
	if got["ackDeadlineSeconds"] != 60.0 {
		t.Errorf("got %v", got)
	}
	for _, name := range []string{"aaa", "bbb"} {
		want(200, "PUT", "projects/p/topics/"+name, "")
	}
	first := want(200, "GET", "projects/p/topics?pageSize=2", "")
	token, _ := first["nextPageToken"].(string)
	second := want(200, "GET", "projects/p/topics?pageSize=2&pageToken="+token, "")
	var names []any
	for _, answer := range []map[string]any{first, second} {
		for _, topic := range answer["topics"].([]any) {
			names = append(names, topic.(map[string]any)["name"])
		}
	}
	if len(names) != 3 {
		t.Errorf("got topics %v", names)
	}
	got = want(200, "GET", topic+"/subscriptions", "")
	if diff := cmp.Diff([]any{sub}, got["subscriptions"]); diff != "" {
		t.Errorf("subscriptions (-want +got):\n%s", diff)
	}
	want(200, "DELETE", topic, "")
	want(404, "DELETE", topic, "")
	if got := want(200, "GET", sub, ""); got["topic"] != deletedTopic {
		t.Errorf("got %v", got)
	}
	want(200, "DELETE", sub, "")
	want(404, "GET", sub, "")
}

// TestRESTRefuses has what Google's emulator does differently from the service.
// What one process gave out means nothing to the next: neither a late
// acknowledgment nor a subscriber that remembers messages may be misled.
func TestIDsAreOfOneProcess(t *testing.T) {
	const topic, sub = "/v1/projects/p/topics/events", "/v1/projects/p/subscriptions/reader"
	post := func(method, url, body string) map[string]any {
		t.Helper()
		code, answer := call(t, method, url, body)
		if code != http.StatusOK {
			t.Fatalf("%s %s: %d %v", method, url, code, answer)
		}
		return answer
	}
	deliver := func(base, data string) (ackID, messageID string) {
		t.Helper()
		post("PUT", base+topic, `{}`)
		post("PUT", base+sub, `{"topic":"projects/p/topics/events"}`)
		post("POST", base+topic+":publish", `{"messages":[{"data":"`+data+`"}]}`)
		received, _ := post("POST", base+sub+":pull", `{"maxMessages":1}`)["receivedMessages"].([]any)
		if len(received) != 1 {
			t.Fatalf("received %v", received)
		}
		r := received[0].(map[string]any)
		return r["ackId"].(string), r["message"].(map[string]any)["messageId"].(string)
	}
	firstAck, firstID := deliver("http://"+serve(t).Addr(), "YQ==")
	base := "http://" + serve(t).Addr()
	ack, id := deliver(base, "Yg==")
	if ack == firstAck || id == firstID {
		t.Errorf("lease %s and message %s came before", ack, id)
	}
	post("POST", base+sub+":acknowledge", `{"ackIds":["`+firstAck+`"]}`)
	post("POST", base+sub+":modifyAckDeadline", `{"ackIds":["`+ack+`"],"ackDeadlineSeconds":0}`)
	if again, _ := post("POST", base+sub+":pull", `{"maxMessages":1}`)["receivedMessages"].([]any); len(again) != 1 {
		t.Error("an acknowledgment from before took the message away")
	}
}

func TestRESTRefuses(t *testing.T) {
	t.Parallel()
	base := "http://" + serve(t).Addr()
	for _, test := range []struct {
		method, path, body string
		want               int
	}{
		{"PUT", "/v1/projects/p/topics/events", "", 200},
		{"GET", "/v1/projects/example.com:p/topics?alt=json&prettyPrint=true", "", 200},
		{"GET", "/v1/projects/p/topics?$alt=json;enum-encoding=int", "", 200},
		{"GET", "/v1/projects/p/topics?page_size=1", "", 200},
		{"GET", "/v1/projects/p/topics?pageSize=x", "", 400},
		{"GET", "/v1/projects/p/topics?bogus=1", "", 400},
		{"GET", "/v1/projects/p/topics?project.x=1", "", 400},
		{"GET", "/v1/projects/p/topics?pageSize=-1", "", 400},
		{"GET", "/v1/projects/p/topics?pageToken=%zz", "", 400},
		{"GET", "/v1/projects/p/topics", "{}", 400},
		{"GET", "/v1/projects/p/topics/events%2Fx", "", 404},
		{"GET", "/v1/projects/p/topics/events:publish", "", absent.Status},
		{"POST", "/v1/projects/p/topics/events:nothing", "{}", absent.Status},
		{"PUT", "/v1/projects/p/topics/other", `{"name":"projects/p/topics/hidden"}`, 200},
		{"GET", "/v1/projects/p/topics/hidden", "", 404},
		{"GET", "/v1/projects/p/topics/other", "", 200},
		{
			"PUT", "/v1/projects/p/subscriptions/bigquery",
			`{"topic":"projects/p/topics/events","bigqueryConfig":{"table":"p.d.t"}}`, absent.Status,
		},
		{"POST", "/v1/projects/p/subscriptions/reader:seek", `{"time":"2024-01-01T00:00:00Z"}`, absent.Status},
		{"GET", "/v1/projects/p/topics/events:getIamPolicy?options.requestedPolicyVersion=3", "", absent.Status},
		{"POST", "/v1/projects/p/topics/events:testIamPermissions", `{"permissions":["a"]}`, absent.Status},
		{"POST", "/v1/projects/p/schemas?schemaId=abc", `{"type":"AVRO"}`, absent.Status},
		{"DELETE", "/v1/projects/p/schemas/abc", "", absent.Status},
		{"GET", "/v2/projects", "", 404},
		{"GET", "/", "", 404},
	} {
		got, answer := call(t, test.method, base+test.path, test.body)
		if got != test.want {
			t.Errorf("%s %s: got %d, want %d: %v", test.method, test.path, got, test.want, answer)
		}
	}
	got, answer := call(t, "GET", base+"/v1/projects/p/topics?$alt=json;enum-encoding=int", "")
	if topics, _ := answer["topics"].([]any); got != 200 || len(topics) != 2 ||
		topics[0].(map[string]any)["state"] != 1.0 {
		t.Errorf("got %v, want states as numbers", answer)
	}
}

func TestTemplate(t *testing.T) {
	for _, test := range []struct {
		template, path string
		want           []string // nil if it doesn't match
	}{
		{"/v1/{topic=projects/*/topics/*}:publish", "/v1/projects/p/topics/t:publish", []string{"projects/p/topics/t"}},
		{
			"/v1/{topic=projects/*/topics/*}:publish", "/v1/projects/a.b:p/topics/t:publish",
			[]string{"projects/a.b:p/topics/t"},
		},
		{"/v1/{topic=projects/*/topics/*}:publish", "/v1/projects/p/topics/t", nil},
		{"/v1/{topic=projects/*/topics/*}", "/v1/projects/p/topics/t:publish", nil},
		{"/v1/{topic=projects/*/topics/*}", "/v1/projects/p/topics/", nil},
		{"/v1/{topic=projects/*/topics/*}", "/v1/projects/p/topics/t/", nil},
		{"/v1/{topic=projects/*/topics/*}", "/x/v1/projects/p/topics/t", nil},
		{
			"/v1/{topic=projects/*/topics/*}/subscriptions", "/v1/projects/p/topics/t/subscriptions",
			[]string{"projects/p/topics/t"},
		},
		{"/v1/{project=projects/*}/topics", "/v1/projects/a.b:p/topics", []string{"projects/a.b:p"}},
		{"/v1/{resource=**}:getIamPolicy", "/v1/a/b/c:getIamPolicy", []string{"a/b/c"}},
		{"/v1/{a}/x.y/{b}", "/v1/1/x.y/2", []string{"1", "2"}},
		{"/v1/{a}/x.y/{b}", "/v1/1/xzy/2", nil},
	} {
		path, _, err := compile(test.template)
		if err != nil {
			t.Errorf("%s: %v", test.template, err)
			continue
		}
		var got []string
		if groups := path.FindStringSubmatch(test.path); groups != nil {
			got = groups[1:]
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s, %s (-want +got):\n%s", test.template, test.path, diff)
		}
	}
	for _, template := range []string{"", "v1", "/v1/{", "/v1/{}", "/v1/{a=}", "/v1/{=*}", "/v1/{a={b}}"} {
		if _, _, err := compile(template); err == nil {
			t.Errorf("%s: no error", template)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("/v1/{topic=projects/*/topics/*}:publish", "/v1/projects/p/topics/t:publish")
	f.Add("/v1/{a}/{b=**}", "/v1/x/y")
	f.Add("/(?P<{a}", "/(")
	f.Fuzz(func(t *testing.T, template, path string) {
		e, fields, err := compile(template)
		if err != nil {
			return
		}
		if groups := e.FindStringSubmatch(path); groups != nil && len(groups) != len(fields)+1 {
			t.Errorf("%s: %d groups for %d fields", template, len(groups)-1, len(fields))
		}
	})
}

// FuzzREST sends anything to all methods: each answer is JSON, and no fault of
// the server.
func FuzzREST(f *testing.F) {
	f.Add("PUT", "/v1/projects/p/topics/events", "", `{"labels":{"a":"b"}}`)
	f.Add("GET", "/v1/projects/p/topics", "pageSize=1&$alt=json;enum-encoding=int", "")
	f.Add("PATCH", "/v1/projects/p/subscriptions/reader", "updateMask=labels",
		`{"subscription":{"pushConfig":{}},"updateMask":"pushConfig.attributes.a"}`)
	f.Add("PATCH", "/v1/projects/p/topics/events", "topic.messageStoragePolicy.enforceInTransit=true",
		`{"updateMask":"labels"}`)
	f.Add("POST", "/v1/projects/p/subscriptions/reader:pull", "", `{"maxMessages":1,"returnImmediately":true}`)
	f.Add("POST", "/v1/projects/p/topics/events:publish", "messages.data=YQ==", `{"messages":[null]}`)
	f.Add("GET", "/v1/projects/p/topics/%2e%2e:getIamPolicy", "options.requestedPolicyVersion=1", "")
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // no pull waits, nothing is pushed
		b := newBroker(ctx)
		h := handler(b)
		send := func(method, path, query, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(ctx, "POST", "/", bytes.NewBufferString(body))
			r.Method, r.URL.RawQuery = method, query
			if u, err := r.URL.Parse(path); err == nil {
				r.URL.Path, r.URL.RawPath = u.Path, u.RawPath
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		send("PUT", "/v1/"+testTopic, "", "")
		send("PUT", "/v1/"+testSub, "", `{"topic":"`+testTopic+`"}`)
		w := send(method, path, query, body)
		if !json.Valid(w.Body.Bytes()) || w.Code == http.StatusInternalServerError {
			t.Errorf("%s %s?%s %s: got %d %s", method, path, query, body, w.Code, w.Body)
		}
	})
}
