package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/testing/testjson"
)

// What go test -json says of packages that end well, that fail, that don't build, that
// panic, and that have no tests.
const said = `
{"Action":"start","Package":"github.com/jobdrop/jobdrop/pkg/a"}
{"Action":"run","Package":"github.com/jobdrop/jobdrop/pkg/a","Test":"TestGood"}
{"Action":"output","Package":"github.com/jobdrop/jobdrop/pkg/a","Test":"TestGood","Output":"    a_test.go:1: chatter\n"}
{"Action":"start","Package":"github.com/jobdrop/jobdrop/pkg/b"}
{"Action":"output","Package":"github.com/jobdrop/jobdrop/pkg/b","Output":"-test.shuffle 17\n"}
{"Action":"output","Package":"github.com/jobdrop/jobdrop/pkg/b","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"github.com/jobdrop/jobdrop/pkg/b","Test":"TestBad/one","Output":"    b_test.go:2: got 1, want 2\n"}
{"Action":"pass","Package":"github.com/jobdrop/jobdrop/pkg/a","Test":"TestGood","Elapsed":0.5}
{"Action":"output","Package":"github.com/jobdrop/jobdrop/pkg/a","Test":"TestClient/node","Output":"=== RUN   TestClient/node\n"}
{"Action":"output","Package":"github.com/jobdrop/jobdrop/pkg/a","Test":"TestClient/node","Output":"    a_test.go:3: SKIPPED: no node on\n"}
{"Action":"output","Package":"github.com/jobdrop/jobdrop/pkg/a","Test":"TestClient/node","Output":"        this machine\n"}
{"Action":"output","Package":"github.com/jobdrop/jobdrop/pkg/a","Test":"TestClient/node","Output":"    --- SKIP: TestClient/node (0.00s)\n"}
{"Action":"skip","Package":"github.com/jobdrop/jobdrop/pkg/a","Test":"TestClient/node","Elapsed":0}
{"Action":"skip","Package":"github.com/jobdrop/jobdrop/pkg/a","Test":"TestSilent","Elapsed":0}
{"Action":"pass","Package":"github.com/jobdrop/jobdrop/pkg/a","Elapsed":1.25}
{"Action":"output","Package":"github.com/jobdrop/jobdrop/pkg/b","Test":"TestBad","Output":"--- FAIL: TestBad (0.10s)\n"}
{"Action":"output","Package":"github.com/jobdrop/jobdrop/pkg/b","Test":"TestBad/one","Output":"    --- FAIL: TestBad/one (0.10s)\n"}
{"Action":"fail","Package":"github.com/jobdrop/jobdrop/pkg/b","Test":"TestBad/one","Elapsed":0.1}
{"Action":"fail","Package":"github.com/jobdrop/jobdrop/pkg/b","Test":"TestBad","Elapsed":0.1}
{"Action":"output","Package":"github.com/jobdrop/jobdrop/pkg/b","Output":"FAIL\n"}
{"Action":"fail","Package":"github.com/jobdrop/jobdrop/pkg/b","Elapsed":2}
{"ImportPath":"github.com/jobdrop/jobdrop/pkg/c [github.com/jobdrop/jobdrop/pkg/c.test]","Action":"build-output","Output":"c_test.go:4:2: undefined: x\n"}
{"ImportPath":"github.com/jobdrop/jobdrop/pkg/c [github.com/jobdrop/jobdrop/pkg/c.test]","Action":"build-fail"}
{"Action":"fail","Package":"github.com/jobdrop/jobdrop/pkg/c","Elapsed":0,"FailedBuild":"github.com/jobdrop/jobdrop/pkg/c [github.com/jobdrop/jobdrop/pkg/c.test]"}
{"Action":"output","Package":"github.com/jobdrop/jobdrop/pkg/d","Test":"TestPanics","Output":"panic: oh\n"}
{"Action":"fail","Package":"github.com/jobdrop/jobdrop/pkg/d","Elapsed":3}
{"Action":"skip","Package":"github.com/jobdrop/jobdrop","Elapsed":0}
`

func TestReport(t *testing.T) {
	var b strings.Builder
	r := newReport(&b)
	if err := testjson.Read(strings.NewReader(said), r.take); err != nil {
		t.Fatal(err)
	}
	r.end(75 * time.Second)
	want := `ok       1.2s  pkg/a
FAIL     2.0s  pkg/b
-test.shuffle 17
--- FAIL: TestBad (0.10s)
    b_test.go:2: got 1, want 2
    --- FAIL: TestBad/one (0.10s)
FAIL     0.0s  pkg/c
c_test.go:4:2: undefined: x
FAIL     3.0s  pkg/d
panic: oh
skipped: pkg/a TestClient/node: no node on this machine
skipped: pkg/a TestSilent: it gives no reason
5 tests of 4 packages in 1m15s; 3 packages failed, 2 tests were skipped
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if err := testjson.Read(strings.NewReader("go: no such flag\n"), r.take); err == nil {
		t.Error("what is not JSON is taken")
	}
}
