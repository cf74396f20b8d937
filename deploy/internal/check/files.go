// Package check holds what is deployed to what the code needs, and to rules that
// Terraform itself does not know: it reads the .tf files as they are, and asks no
// cloud.
//
// Each rule has a name, under which its test breaks it once and sees it found.
package check

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Finding is something that breaks a rule.
type Finding struct {
	Rule string
	// Where is file:line, or a file.
	Where string
	What  string
}

func (f Finding) String() string { return fmt.Sprintf("%s: %s (%s)", f.Where, f.What, f.Rule) }

// files are the .tf files below a folder.
type files struct {
	root   string
	bodies map[string]*hclsyntax.Body // by path from the root
	// logged returns what the functions log. It reads their code once.
	logged func() (logged, error)
}

// read parses all .tf files below root/deploy.
func read(root string) (files, error) {
	f := files{root: root, bodies: map[string]*hclsyntax.Body{}}
	f.logged = sync.OnceValues(func() (logged, error) { return logs(root) })
	parser := hclparse.NewParser()
	err := filepath.WalkDir(filepath.Join(root, "deploy"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".tf" {
			if d != nil && d.IsDir() && (d.Name() == ".terraform" || d.Name() == "node_modules") {
				return fs.SkipDir
			}
			return err
		}
		parsed, diagnostics := parser.ParseHCLFile(path)
		if diagnostics.HasErrors() {
			return diagnostics
		}
		name, err := filepath.Rel(root, path)
		f.bodies[filepath.ToSlash(name)] = parsed.Body.(*hclsyntax.Body)
		return err
	})
	if err == nil && len(f.bodies) == 0 {
		err = fmt.Errorf("no .tf files below %s", root)
	}
	return f, err
}

func (f files) names() []string {
	names := make([]string, 0, len(f.bodies))
	for name := range f.bodies {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// where returns a place in the form that people and editors write.
func (f files) where(r hcl.Range) string {
	name, err := filepath.Rel(f.root, r.Filename)
	if err != nil {
		name = r.Filename
	}
	return fmt.Sprintf("%s:%d", filepath.ToSlash(name), r.Start.Line)
}

// block is a top-level block, with the folder that makes its module.
type block struct {
	*hclsyntax.Block
	module string
}

// blocks returns the top-level blocks of a kind, e.g. resource, in order. If of is set,
// it returns only those of that type.
func (f files) blocks(kind, of string) []block {
	var found []block
	for _, name := range f.names() {
		for _, b := range f.bodies[name].Blocks {
			if b.Type == kind && (of == "" || len(b.Labels) > 0 && b.Labels[0] == of) {
				found = append(found, block{b, filepath.ToSlash(filepath.Dir(name))})
			}
		}
	}
	return found
}

// label returns the name by which others refer to a block.
func (b block) label() string { return b.Labels[len(b.Labels)-1] }

// inner returns the blocks of a kind within a body, including those that a dynamic
// block makes.
func inner(b *hclsyntax.Body, kind string) []*hclsyntax.Body {
	var found []*hclsyntax.Body
	for _, n := range b.Blocks {
		switch {
		case n.Type == kind:
			found = append(found, n.Body)
		case n.Type == "dynamic" && n.Labels[0] == kind:
			for _, c := range n.Body.Blocks {
				if c.Type == "content" {
					found = append(found, c.Body)
				}
			}
		}
	}
	return found
}

// always returns the blocks of a kind that are present unconditionally.
func always(b *hclsyntax.Body, kind string) []*hclsyntax.Body {
	var found []*hclsyntax.Body
	for _, n := range b.Blocks {
		if n.Type == kind {
			found = append(found, n.Body)
		}
	}
	return found
}

// literal returns the value of an attribute that is a literal. ok is false if there is
// no such attribute, or if its value depends on anything.
func literal(b *hclsyntax.Body, name string) (v cty.Value, ok bool) {
	a := b.Attributes[name]
	if a == nil || len(a.Expr.Variables()) > 0 {
		return cty.NilVal, false
	}
	v, diagnostics := a.Expr.Value(nil)
	return v, !diagnostics.HasErrors()
}

func text(b *hclsyntax.Body, name string) (string, bool) {
	v, ok := literal(b, name)
	if !ok || v.IsNull() || v.Type() != cty.String {
		return "", false
	}
	return v.AsString(), true
}

// isTrue reports whether an attribute is the literal true.
func isTrue(b *hclsyntax.Body, name string) bool {
	v, ok := literal(b, name)
	return ok && !v.IsNull() && v.Type() == cty.Bool && v.True()
}

// stringsIn returns every string in an expression.
func stringsIn(e hclsyntax.Node) []string {
	var found []string
	_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		if l, ok := n.(*hclsyntax.LiteralValueExpr); ok && !l.Val.IsNull() && l.Val.Type() == cty.String {
			found = append(found, l.Val.AsString())
		}
		return nil
	})
	return found
}

// refers reports whether an expression refers to something, e.g.
// google_pubsub_topic.dead.
func refers(e hclsyntax.Expression, to string) bool {
	return slices.ContainsFunc(e.Variables(), func(t hcl.Traversal) bool {
		name := written(t)
		return name == to || strings.HasPrefix(name, to+".") || strings.HasPrefix(name, to+"[")
	})
}

// written returns a reference as it is written, e.g. a.b["c"].d.
func written(t hcl.Traversal) string {
	var b strings.Builder
	for _, step := range t {
		switch step := step.(type) {
		case hcl.TraverseRoot:
			b.WriteString(step.Name)
		case hcl.TraverseAttr:
			b.WriteString("." + step.Name)
		case hcl.TraverseIndex:
			if step.Key.Type() == cty.String {
				fmt.Fprintf(&b, "[%q]", step.Key.AsString())
			} else {
				b.WriteString("[]")
			}
		}
	}
	return b.String()
}

// local returns the expression of a local value in a module.
func (f files) local(module, name string) (hclsyntax.Expression, error) {
	for _, b := range f.blocks("locals", "") {
		if a := b.Body.Attributes[name]; a != nil && b.module == module {
			return a.Expr, nil
		}
	}
	return nil, fmt.Errorf("%s has no local.%s", module, name)
}

// item is one of an object that is written out.
type item struct {
	key   string
	value hclsyntax.Expression
	at    hcl.Range
}

// items returns the items of an object literal, or nil.
func items(e hclsyntax.Expression) []item {
	o, ok := e.(*hclsyntax.ObjectConsExpr)
	if !ok {
		return nil
	}
	var found []item
	for _, i := range o.Items {
		key, diagnostics := i.KeyExpr.Value(nil)
		if diagnostics.HasErrors() || key.Type() != cty.String {
			continue
		}
		found = append(found, item{key.AsString(), i.ValueExpr, i.KeyExpr.Range()})
	}
	return found
}

// get returns an item of an object by its key, or nil.
func get(e hclsyntax.Expression, key string) hclsyntax.Expression {
	for _, i := range items(e) {
		if i.key == key {
			return i.value
		}
	}
	return nil
}
