// Command licences lists the modules whose packages the functions link, each with
// its licence, as docs/licences.md has it. It fails on a licence that it does not
// know, and on one that asks for more than to be named.
//
//	go run ./deploy/licences >docs/licences.md
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// server is the program that runs in the cloud.
const server = "./cmd/server"

func main() {
	text, err := list(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
	fmt.Print(text)
}

type module struct {
	Path, Version, Dir string
	Main               bool
	Replace            *module
}

// modules returns the modules that the server links, except its own.
func modules(root string) ([]module, error) {
	c := exec.Command("go", "list", "-deps", "-json=Module", server)
	c.Dir = root
	// What is deployed, whatever machine this is.
	c.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, said.String())
	}
	known := map[string]module{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ Module *module }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if m := p.Module; m != nil && !m.Main {
			if m.Replace != nil {
				return nil, fmt.Errorf("%s is replaced by %s: what is deployed comes from where it says", m.Path, m.Replace.Path)
			}
			known[m.Path] = *m
		}
	}
	var all []module
	for _, m := range known {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b module) int { return cmp.Compare(a.Path, b.Path) })
	return all, nil
}

func list(root string) (string, error) {
	all, err := modules(root)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# Licences\n\nWhat the functions link, besides Go's standard library (BSD-3-Clause). `make licences` " +
		"writes this file; it fails on a licence that is not known, and on one that asks for more than to be named.\n\n" +
		"| module | version | licence |\n|---|---|---|\n")
	var errs []error
	for _, m := range all {
		found, err := licences(m.Dir)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", m.Path, m.Version, err))
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m.Path, m.Version, strings.Join(found, ", "))
	}
	return b.String(), errors.Join(errs...)
}

// named are the files that may hold a licence.
var named = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$`)

// licences returns the licences of the files in a module's root.
func licences(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		// LICENSE.docs covers a module's documentation, which nothing links.
		if e.IsDir() || !named.MatchString(e.Name()) || strings.EqualFold(filepath.Ext(e.Name()), ".docs") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		names, err := classify(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		found = append(found, names...)
	}
	if len(found) == 0 {
		return nil, errors.New("no licence")
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// sentences are words that a licence has and no other one does, without marks and
// line breaks. Those that follow one another are of one licence: all have to be
// there.
var sentences = []struct {
	name string
	has  []string
	// not is a sentence of a licence that has all of these, too.
	not string
}{
	{
		"Apache-2.0", []string{
			"apache license version 2 0 january 2004", "each contributor hereby grants to you a perpetual worldwide non " +
				"exclusive no charge royalty free irrevocable copyright license",
		}, "",
	},
	{
		"MIT", []string{
			"permission is hereby granted free of charge to any person obtaining a copy of this software and associated " +
				"documentation files the software to deal in the software without restriction", "the above copyright notice and " +
				"this permission notice shall be included in all copies or substantial portions of the software",
		}, "",
	},
	{
		"BSD-3-Clause", []string{
			"redistribution and use in source and binary forms with or without modification are permitted provided that the " +
				"following conditions are met", "redistributions in binary form must reproduce the above copyright notice",
			"may be used to endorse or promote products derived from this software without specific prior written permission",
		}, "all advertising materials",
	},
	{
		"BSD-2-Clause", []string{
			"redistribution and use in source and binary forms with or without modification are permitted provided that the " +
				"following conditions are met", "redistributions in binary form must reproduce the above copyright notice",
		}, "endorse or promote products",
	},
	{
		"ISC", []string{
			"permission to use copy modify and or distribute this software for any purpose with or without fee is hereby " +
				"granted provided that the above copyright notice and this permission notice appear in all copies",
		}, "",
	},
}

// copyleft are words of licences that ask for more than to be named.
var copyleft = []string{
	"gnu general public license version", "gnu lesser general public license version", "gnu affero general public license",
	"mozilla public license version", "eclipse public license", "common development and distribution license",
	"european union public licence", "server side public license", "business source license", "commons clause",
	"creative commons attribution sharealike", "all advertising materials",
}

var marks = regexp.MustCompile(`[^a-z0-9]+`)

// classify names the licences of a text.
func classify(text string) ([]string, error) {
	text = strings.Trim(marks.ReplaceAllString(strings.ToLower(text), " "), " ")
	for _, words := range copyleft {
		if strings.Contains(text, words) {
			return nil, fmt.Errorf("it says %q: such a licence asks for more than to be named", words)
		}
	}
	var found []string
	for _, s := range sentences {
		all := s.not == "" || !strings.Contains(text, s.not)
		for _, words := range s.has {
			all = all && strings.Contains(text, words)
		}
		if all {
			found = append(found, s.name)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("this licence is not known here")
	}
	return found, nil
}
