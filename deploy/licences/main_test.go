package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

// docs/licences.md is what the functions link now, under licences that are known.
func TestLicences(t *testing.T) {
	want, err := list(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "docs/licences.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("make licences writes docs/licences.md anew (-now +there):\n%s", diff)
	}
}

func TestClassify(t *testing.T) {
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const bsd = `Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:
   * Redistributions in binary form must reproduce the above
copyright notice, this list of conditions`
	const mit = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including …
The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.`
	const endorse = "\nNeither the name of X may be used to endorse or promote products derived from\n" +
		"// this software without specific prior written permission."
	tests := []struct{ name, text, want, err string }{
		{"this project's", read("LICENSE"), "Apache-2.0", ""},
		{"two clauses", bsd, "BSD-2-Clause", ""},
		{"three clauses", bsd + endorse, "BSD-3-Clause", ""},
		{"four clauses", bsd + "\nAll advertising materials mentioning" + endorse, "", "all advertising materials"},
		{"two licences", bsd + endorse + mit, "MIT BSD-3-Clause", ""},
		{"half of one", strings.Split(mit, "The above")[0], "", "not known"},
		{"the GNU one", "GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007", "", "gnu general public license"},
		{"that one beside another", mit + "\nGNU Lesser General Public License, Version 2.1", "", "gnu lesser"},
		{"Mozilla's", "Mozilla Public License, version 2.0", "", "mozilla public license"},
		{"a restriction", read("LICENSE") + "\n\"Commons Clause\" License Condition v1.0", "", "commons clause"},
		{"nothing", "", "", "not known"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := classify(test.text)
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error is %v, want %q", err, test.err)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("licences are %q, want %q", got, test.want)
			}
		})
	}
	if _, err := licences(t.TempDir()); err == nil {
		t.Error("a module without a licence has one")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"LICENSE": mit, "LICENSE.docs": "Creative Commons Attribution-ShareAlike"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := licences(dir); err != nil || strings.Join(got, " ") != "MIT" {
		t.Errorf("beside a licence of the documentation: %q, %v", got, err)
	}
}
