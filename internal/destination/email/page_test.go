package email_test

import (
	"context"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/testing/deliverytest"
)

// browser returns a browser without a screen, or skips the test.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no chromium: the width of the page of a mail is not tested")
	return ""
}

// The page of a mail is never wider than its window, on a telephone or on a screen, whatever a job says.
func TestPageFitsItsWindow(t *testing.T) {
	chromium := browser(t)
	pages := map[string]string{"wide": "<body><div style='width:900px'>x</div></body>"} // is found
	p := newPost(t, setup{})
	add := func(name string, m delivery.Message) {
		m.ID = name
		if err := p.send(m); err != nil {
			t.Fatal(err)
		}
		pages[name] = parse(t, p.Mails()[len(p.Mails())-1]).html
	}
	for _, name := range []string{"job.failed", "job.succeeded", "drop.rejected", "job.delayed"} {
		add(name, message(t, name))
	}
	add("heartbeat", deliverytest.Heartbeat(t, "ops-mail"))
	for name, s := range deliverytest.Hostile() {
		m := message(t, "job.failed")
		m.Text = deliverytest.HostileText(s)
		m.Text.Owners, m.Route = nil, s
		add("hostile: "+name, m)
	}
	got := measured(t, chromium, pages, 400, 800)
	for name := range pages {
		for _, width := range []int{400, 800} {
			size, ok := got[fmt.Sprintf("%s at %d", name, width)]
			if !ok || size.window != width || (size.page > size.window) != (name == "wide") {
				t.Errorf("%s in a window of %d pixels: %+v", name, width, size)
			}
		}
	}
}

// size is how wide a window and the page in it are.
type size struct{ window, page int }

// measure writes into a document how wide the pages of its frames are.
const measure = `
addEventListener("load", () => {
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument.scrollingElement;
    const line = document.createElement("p");
    line.textContent = "[" + frame.title + "|" + page.clientWidth + "|" + page.scrollWidth + "]";
    document.body.append(line);
  }
});
`

// measured renders pages in frames of some widths, and returns their sizes by "name at width".
func measured(t *testing.T, chromium string, pages map[string]string, widths ...int) map[string]size {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "<!DOCTYPE html><meta charset=utf-8><script>%s</script>", measure)
	for name, page := range pages {
		for _, width := range widths {
			fmt.Fprintf(&b, `<iframe title="%s at %d" width="%d" height="20000" style="border:0" srcdoc="%s"></iframe>`,
				html.EscapeString(name), width, width, html.EscapeString(page))
		}
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "page.html")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
		"--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run", "--disable-extensions",
		"--user-data-dir="+filepath.Join(folder, "profile"), "--virtual-time-budget=5000", "--dump-dom", "file://"+file)
	command.WaitDelay = 5 * time.Second // its children hold the pipe
	dom, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", chromium, err)
	}
	all := map[string]size{}
	line := regexp.MustCompile(`<p>\[([^|]+)\|(\d+)\|(\d+)\]</p>`)
	for _, found := range line.FindAllStringSubmatch(string(dom), -1) {
		var s size
		if _, err := fmt.Sscan(found[2]+" "+found[3], &s.window, &s.page); err != nil {
			t.Fatal(err)
		}
		all[html.UnescapeString(found[1])] = s
	}
	return all
}
