package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/jobdrop/jobdrop/internal/attempt"
)

// An answer is waited for without the right to list, by which Cloud Storage would say that it is not there yet, and
// through an outage. Without one, the request is printed at the end.
func TestRequestWaits(t *testing.T) {
	for _, test := range []struct {
		name   string
		denied string
		broken error         // of each read in between
		after  time.Duration // until there is an answer; 0 is never
		code   int
		err    string
	}{
		{"an answer", "", nil, 5 * time.Second, exitSucceeded, ""},
		{"an answer, and no right to list", "state read", nil, 5 * time.Second, exitSucceeded, ""},
		{"an answer after an outage", "", &googleapi.Error{Code: 503}, 5 * time.Second, exitSucceeded, "for now"},
		{"no answer", "", nil, 0, exitRunning, "there is no answer yet"},
		{"no answer, and no right to list", "state read", nil, 0, exitRunning, "storage.objects.get on gs://state"},
		{"no network", "", &url.Error{Op: "Get", URL: "u", Err: errNoNetwork}, 0, exitRunning, "no route to host"},
		{"expired credentials", "", &googleapi.Error{Code: 401}, 0, exitRunning, "401"},
		{"jobdrop's own fault", "", errNoNetwork, 0, exitFault, "its answer can't be read: no route to host"},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := newInstalled(t)
			i.write(t)
			v := i.view(t, logStart)
			var out, errs bytes.Buffer
			env := piped(&out)
			env.Err = &errs
			var err error
			synctest.Test(t, func(t *testing.T) {
				go func() {
					time.Sleep(time.Second / 2) // the request is written
					i.turn(test.denied, test.broken)
					if test.after == 0 {
						return
					}
					time.Sleep(test.after)
					i.turn("", nil)
					for name := range i.objects {
						if answer, ok := strings.CutPrefix(name, "state/requests/"); ok {
							i.put(t, "state", "results/"+answer, `{"outcome": "accepted", "message": "it ends"}`)
						}
					}
				}()
				err = v.request(t.Context(), env, requestOptions{
					kind: attempt.KindCancel, name: i.record.Attempt, reason: "r", timeout: time.Minute, format: formatJSON,
				})
			})
			said := errs.String() + fmt.Sprint(err)
			if codeOf(err) != test.code || !strings.Contains(said, test.err) || strings.Count(said, "for now") > 1 {
				t.Errorf("exit %d, want %d: %s, want %q", codeOf(err), test.code, said, test.err)
			}
			if test.code == exitFault {
				return
			}
			var a asked
			want := map[int]string{exitSucceeded: attempt.RequestAccepted, exitRunning: outcomePending}[test.code]
			if err := json.Unmarshal(out.Bytes(), &a); err != nil || a.Outcome != want || a.Request == "" {
				t.Errorf("printed %q, %v", out.String(), err)
			}
		})
	}
}
