package check

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// registered returns the names of the functions in function.go.
func registered(path string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return nil, err
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		if of, ok := call.Fun.(*ast.SelectorExpr); ok {
			if x, ok := of.X.(*ast.Ident); ok && x.Name == "functions" {
				names = append(names, literals(call.Args[0])...)
			}
		}
		return true
	})
	if len(names) == 0 {
		return nil, fmt.Errorf("%s registers no function", path)
	}
	return names, nil
}

// literals returns the string literals in a piece of Go.
func literals(n ast.Node) []string {
	var found []string
	ast.Inspect(n, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if s, err := strconv.Unquote(l.Value); err == nil {
				found = append(found, s)
			}
		}
		return true
	})
	return found
}

// logged are the messages that the functions log, and the names that may stand
// beside them.
type logged struct {
	messages, keys map[string]bool
	// texts are all that stand in these packages.
	texts map[string]bool
}

var (
	// sourceFolders are the folders of the functions' packages.
	sourceFolders = []string{"pkg", "internal"}
	// elsewhere are the folders in them that are not part of a function.
	elsewhere = []string{"cli", "local", "testing", "testdata"}
)

// logs reads what is logged in the packages of the functions.
func logs(root string) (logged, error) {
	// Cloud Logging's own, and what internal/app adds to each line.
	l := logged{map[string]bool{}, map[string]bool{"message": true, "severity": true}, map[string]bool{}}
	for _, folder := range sourceFolders {
		dir, err := filepath.EvalSymlinks(filepath.Join(root, folder))
		if err != nil {
			return l, err
		}
		if err := l.read(dir); err != nil {
			return l, err
		}
	}
	if len(l.messages) == 0 {
		return l, fmt.Errorf("nothing is logged below %s", root)
	}
	return l, nil
}

// read adds what the packages below dir log.
func (l logged) read(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(elsewhere, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, s := range literals(file) {
			l.texts[s] = true
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				of, ok := n.Fun.(*ast.SelectorExpr)
				if !ok {
					break
				}
				switch of.Sel.Name {
				case "DebugContext", "InfoContext", "WarnContext", "ErrorContext":
					if len(n.Args) > 1 {
						for _, m := range literals(n.Args[1]) {
							l.messages[m] = true
						}
						for _, a := range n.Args[2:] {
							for _, k := range literals(a) {
								l.keys[k] = true
							}
						}
					}
				case "With":
					for _, a := range n.Args {
						for _, k := range literals(a) {
							l.keys[k] = true
						}
					}
				}
			case *ast.CompositeLit: // attributes that several lines share
				if a, ok := n.Type.(*ast.ArrayType); ok {
					if x, ok := a.Elt.(*ast.Ident); ok && x.Name == "any" {
						for _, k := range literals(n) {
							l.keys[k] = true
						}
					}
				}
			}
			return true
		})
		return nil
	})
}

var (
	// message finds what a filter wants of a message: one text or several.
	messages = regexp.MustCompile(`jsonPayload\.message[=:]("(?:[^"]+)"|[a-z]+\b|\((?:"[^"]+"(?: OR )?)+\))`)
	quoted   = regexp.MustCompile(`"([^"]+)"`)
	keys     = regexp.MustCompile(`jsonPayload\.([a-zA-Z_]+)`)
)

// alternatives returns the values on the right side of a filter: a bare word, or all
// that are in quotes.
func alternatives(value string) []string {
	if !strings.Contains(value, `"`) {
		return []string{value}
	}
	var all []string
	for _, q := range quoted.FindAllStringSubmatch(value, -1) {
		all = append(all, q[1])
	}
	return all
}

// logLines checks that the code logs what alerts, metrics and playbooks look for.
func logLines(f files) ([]Finding, error) {
	l, err := f.logged()
	if err != nil {
		return nil, err
	}
	texts, err := f.queried()
	if err != nil {
		return nil, err
	}
	var found []Finding
	for name, text := range texts {
		for i, line := range strings.Split(text, "\n") {
			where := fmt.Sprintf("%s:%d", name, i+1)
			line = strings.ReplaceAll(line, `\"`, `"`)
			for _, m := range messages.FindAllStringSubmatch(line, -1) {
				part := strings.HasPrefix(m[0], "jsonPayload.message:")
				for _, w := range alternatives(m[1]) {
					if !l.messages[w] && (!part || !l.begins(w)) {
						found = append(found, Finding{"log-line", where, fmt.Sprintf("nothing logs the message %q", w)})
					}
				}
			}
			for _, k := range keys.FindAllStringSubmatch(line, -1) {
				if !l.keys[k[1]] {
					found = append(found, Finding{"log-line", where, fmt.Sprintf("no line has the field %q", k[1])})
				}
			}
		}
	}
	// The numbers of a tick are named as a list.
	values, err := f.local(installation+"/modules/monitoring", "values")
	if err != nil {
		return nil, err
	}
	for _, i := range items(values) {
		if !l.keys[i.key] {
			found = append(found, Finding{"log-line", f.where(i.at), fmt.Sprintf("no line has the field %q", i.key)})
		}
	}
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	return found, nil
}

func (l logged) begins(with string) bool {
	for m := range l.messages {
		if strings.HasPrefix(m, with) {
			return true
		}
	}
	return false
}

const playbookFolder = "deploy/playbooks"

// sections are what a playbook has, in this order.
var sections = []string{"## What it means", "## First look", "## Usual causes", "## Remedy"}

// longest is what Cloud Monitoring takes of an alert's documentation, in characters,
// less than what names of an installation may add.
const longest = 8192 - 512

// playbooks checks that each alert sends the playbook of its name, and that each
// playbook has an alert.
func playbooks(f files) ([]Finding, error) {
	var found []Finding
	used := map[string]bool{}
	for _, b := range f.blocks("resource", "google_monitoring_alert_policy") {
		name, where := strings.ReplaceAll(b.label(), "_", "-"), f.where(b.DefRange())
		used[name] = true
		sent := false
		for _, d := range always(b.Body, "documentation") {
			a := d.Attributes["content"]
			sent = sent || a != nil && refers(a.Expr, fmt.Sprintf("local.playbooks[%q]", name))
		}
		if !sent {
			found = append(found, Finding{"playbook", where, "the alert does not send the playbook of its name along"})
		}
		if shown := stringsIn(b.Body.Attributes["display_name"].Expr); !slices.ContainsFunc(shown,
			func(s string) bool { return strings.HasSuffix(s, ": "+name) }) {
			found = append(found, Finding{"playbook", where, "the alert is shown under another name than its playbook's"})
		}
		data, err := os.ReadFile(filepath.Join(f.root, playbookFolder, name+".md"))
		if err != nil {
			found = append(found, Finding{"playbook", where, "the alert has no playbook"})
			continue
		}
		found = append(found, book(playbookFolder+"/"+name+".md", name, string(data))...)
	}
	books, err := filepath.Glob(filepath.Join(f.root, playbookFolder, "*.md"))
	if err != nil {
		return nil, err
	}
	for _, path := range books {
		if name := strings.TrimSuffix(filepath.Base(path), ".md"); !used[name] {
			found = append(found, Finding{"playbook", playbookFolder + "/" + name + ".md", "no alert has this playbook"})
		}
	}
	if len(used) == 0 {
		found = append(found, Finding{"playbook", installation, "there are no alerts"})
	}
	return found, nil
}

func book(where, name, text string) []Finding {
	var found []Finding
	if !strings.HasPrefix(text, "# "+name+"\n") {
		found = append(found, Finding{"playbook", where, "it is not titled by the alert's name"})
	}
	rest := text
	for i, s := range sections {
		_, after, ok := strings.Cut(rest, "\n"+s+"\n")
		if !ok {
			found = append(found, Finding{"playbook", where, fmt.Sprintf("%q is missing, or comes too early", s)})
			continue
		}
		if i == 1 { // a command to paste, with names that Terraform fills in
			look, _, _ := strings.Cut(after, "\n## ")
			if !strings.Contains(look, "\n```\nexport PROJECT=… REGION=… INSTANCE=…\n") {
				found = append(found, Finding{
					"playbook", where, "the first look has no command that begins with the names to fill in",
				})
			}
		}
		rest = "\n" + after
	}
	// What it does not know as one of its own, it leaves out.
	if strings.Contains(text, "${") {
		found = append(found, Finding{"playbook", where, "Cloud Monitoring takes ${…} in an alert's text for its own variable: write $NAME"})
	}
	if n := utf8.RuneCountInString(text); n > longest {
		found = append(found, Finding{
			"playbook", where, fmt.Sprintf("it has %d characters, and an alert sends %d at most", n, longest),
		})
	}
	return found
}
