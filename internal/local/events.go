package local

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/service/inbound"
)

const (
	// Redelivery waits between these, doubling; Eventarc's own are 10 s and
	// 600 s.
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
	// retention is how long an event is tried, and how old one may be that is
	// delivered again at the start: Eventarc's own.
	retention = 24 * time.Hour
	// maxPosting bounds the requests to Submit at once: an instance of the
	// function in the cloud takes that order.
	maxPosting = 32
	// failing is how often an event is refused before someone is told: some
	// seconds.
	failing = 6
)

// announce delivers the storage event of a new object, in the background.
func (s *Stack) announce(run context.Context, o storage.Object) {
	s.task(func() {
		select {
		case <-s.ready:
		case <-run.Done():
			return
		}
		if rand.Float64() < s.options.LoseEvents {
			s.options.Logger.InfoContext(run, "event lost, as asked for", "object", o.Name)
			return
		}
		for range s.options.Deliveries {
			s.deliver(run, o)
		}
	})
}

// announceRecent announces what the inbox holds from a time before: nobody knows
// which of its events were delivered.
func (s *Stack) announceRecent(ctx, run context.Context) error {
	for o, err := range s.server.Objects(ctx, s.options.Names.Inbox, time.Now().Add(-retention)) {
		if err != nil {
			return err
		}
		s.announce(run, o)
	}
	return nil
}

// deliver delivers a storage event to Submit as Eventarc does: a binary
// CloudEvent over HTTP, in no order with others, at least once. 2xx acknowledges;
// anything else is delivered again after a while, for a day.
func (s *Stack) deliver(ctx context.Context, o storage.Object) {
	header := http.Header{
		"Content-Type":   {"application/json"},
		"Ce-Id":          {eventID(o)},
		"Ce-Type":        {inbound.Finalized},
		"Ce-Source":      {"//storage.googleapis.com/projects/_/buckets/" + o.Bucket},
		"Ce-Subject":     {encodeHeader("objects/" + o.Name)},
		"Ce-Specversion": {"1.0"},
		"Ce-Time":        {o.Created.UTC().Format(time.RFC3339Nano)},
		"Ce-Bucket":      {o.Bucket},
	}
	backoff, end := minBackoff, time.Now().Add(retention)
	for refused := 1; ; refused++ {
		err := s.submit(ctx, header, o.Resource)
		if err == nil || ctx.Err() != nil {
			return
		}
		if refused == failing && s.options.Failing != nil {
			s.options.Failing(fmt.Errorf("event of %s: %w", o.Name, err))
		}
		if time.Now().After(end) {
			s.options.Logger.ErrorContext(ctx, "event given up", "object", o.Name, "error", err.Error())
			return
		}
		s.options.Logger.WarnContext(ctx, "event not taken", "object", o.Name, "error", err.Error(), "again_in", backoff)
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// submit posts an event when there is room for one more.
func (s *Stack) submit(ctx context.Context, header http.Header, body []byte) error {
	select {
	case s.posting <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.posting }()
	return s.post(ctx, "/Submit", header, body)
}

// eventID returns the ID of an object's event, the same for each delivery.
func eventID(o storage.Object) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%s#%d", o.Bucket, o.Name, o.Generation)
	return strconv.FormatUint(h.Sum64(), 10)
}

// encodeHeader encodes a header's value as the HTTP binding of CloudEvents asks
// (3.1.3.2): everything but printable ASCII, and the quote and the percent sign.
func encodeHeader(value string) string {
	var b strings.Builder
	for _, c := range []byte(value) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// post posts to a function of this stack. It returns an error unless the answer is 2xx.
func (s *Stack) post(ctx context.Context, path string, header http.Header, body []byte) error {
	// Longer than the functions' own deadline: they answer for themselves.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.FunctionsURL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err := s.owns(response); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s: %s", path, response.Status, bytes.TrimSpace(answer))
	}
	return nil
}

// maxHinting bounds the hints that are being posted.
const maxHinting = 16

// hintings is how often a hint is posted. The function may be busy with the job's last events.
const hintings = 4

// hint tells Watch that a job has changed. In the cloud a sink of Cloud Logging does
// this with an entry of the service, through a push subscription, which tries again
// what is not taken. Here a hint that is not taken soon is lost; ticks do without.
func (s *Stack) hint(ctx context.Context, name, state string) {
	select {
	case <-s.ready:
	default:
		return // nobody listens yet
	}
	select {
	case s.hinting <- struct{}{}:
	default:
		return // there are enough of them
	}
	body := hintBody(name, state, time.Now().UTC())
	s.task(func() {
		defer func() { <-s.hinting }()
		backoff := minBackoff
		for posted := 1; ; posted++ {
			err := s.post(ctx, "/Watch", http.Header{"Content-Type": {"application/json"}}, body)
			if err == nil || ctx.Err() != nil {
				return
			}
			if posted == hintings {
				s.options.Logger.WarnContext(ctx, "hint not taken", "job", name, "error", err.Error())
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(backoff):
			}
			backoff = min(2*backoff, maxBackoff)
		}
	})
}

// hintBody returns the body of a push with an entry about a job. name is the name that
// the training service uses: a job ID, or the resource of a job of aiplatform/v1. The
// entries are as Google's services write them: about a job's states by the job's ID or
// number alone, and audit entries, which name the resource, for creates and cancels
// through aiplatform/v1. That of a create has it in the response.
func hintBody(name, state string, now time.Time) []byte {
	method := ""
	if kind := path.Base(path.Dir(name)); kind != "." {
		noun := strings.ToUpper(kind[:1]) + strings.TrimSuffix(kind[1:], "s")
		method = map[string]string{"QUEUED": "Create" + noun, "CANCELLING": "Cancel" + noun}[strings.TrimPrefix(state, "JOB_STATE_")]
	}
	entry := map[string]any{
		"logName": "projects/" + Project + "/logs/ml.googleapis.com%2F" + path.Base(name),
		"resource": map[string]any{
			"type":   "ml_job",
			"labels": map[string]string{"job_id": path.Base(name), "project_id": Project, "task_name": "service"},
		},
		"labels":   map[string]string{"ml.googleapis.com/job_state": strings.TrimPrefix(state, "JOB_STATE_")},
		"severity": "INFO", "timestamp": now, "textPayload": "Job is " + strings.ToLower(strings.TrimPrefix(state, "JOB_STATE_")) + ".",
	}
	if method != "" {
		call := map[string]any{"resourceName": name}
		if strings.HasPrefix(method, "Create") {
			call = map[string]any{"resourceName": path.Dir(path.Dir(name)), "response": map[string]any{"name": name}}
		}
		call["@type"], call["serviceName"] = "type.googleapis.com/google.cloud.audit.AuditLog", "aiplatform.googleapis.com"
		call["methodName"] = "google.cloud.aiplatform.v1.JobService." + method
		entry = map[string]any{
			"logName": "projects/" + Project + "/logs/cloudaudit.googleapis.com%2Factivity",
			"resource": map[string]any{
				"type":   "audited_resource",
				"labels": map[string]string{"service": "aiplatform.googleapis.com", "project_id": Project},
			},
			"severity": "NOTICE", "timestamp": now,
			"protoPayload": call,
		}
	}
	data, err := json.Marshal(entry)
	var body []byte
	if err == nil {
		body, err = json.Marshal(map[string]any{
			"subscription": "projects/" + Project + "/subscriptions/jobdrop-hints",
			"message":      map[string]any{"messageId": strconv.FormatInt(now.UnixNano(), 10), "publishTime": now, "data": data},
		})
	}
	if err != nil {
		panic(err) // texts and times alone
	}
	return body
}

// firstTickTime bounds the first tick. On an idle machine it takes some milliseconds, on a busy one seconds; a backend
// elsewhere may not answer at all.
const firstTickTime = 10 * time.Second

// firstTick wakes Watch once before anything is dropped: drops that are older than
// an installation's first tick are never run without their event. It is not waited
// for longer than a user would.
func (s *Stack) firstTick(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstTickTime)
	defer cancel()
	if err := s.post(ctx, "/Watch", http.Header{}, nil); err != nil {
		s.options.Logger.WarnContext(ctx, "first tick failed", "error", err.Error())
	}
}

// schedule wakes a function at each tick, as the scheduler does. Each function has ticks of its own: none
// waits for another's.
func (s *Stack) schedule(ctx context.Context, function string) {
	ticker := time.NewTicker(s.options.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := s.post(ctx, function, http.Header{}, nil); err != nil && ctx.Err() == nil {
				s.options.Logger.WarnContext(ctx, "tick failed", "function", function, "error", err.Error())
			}
		}
	}
}
