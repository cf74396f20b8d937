package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// sarifSchema names the schema that the log fits.
const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// The part of SARIF 2.1.0 that is written. A library for the whole of it brings
// a validator and its schema into the program.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifRule struct {
		ID      string    `json:"id"`
		Short   sarifText `json:"shortDescription"`
		Full    sarifText `json:"fullDescription"`
		HelpURI string    `json:"helpUri,omitempty"`
		Help    sarifHelp `json:"help"`
	}
	// sarifHelp has the same in Markdown for readers who show that, such as GitHub's.
	sarifHelp struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region *sarifRegion `json:"region,omitempty"`
		} `json:"physicalLocation"`
	}
	sarifRegion struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn"`
	}
)

func writeSARIF(w io.Writer, reports []report) error {
	run := newSARIFRun()
	for _, r := range reports {
		for _, v := range r.Violations {
			run.add(v)
		}
		if len(r.Missing) > 0 {
			run.add(job.Violation{
				Rule: ruleDropIncomplete, File: r.Path, Message: "the drop is incomplete",
				Found: "missing " + strings.Join(r.Missing, ", "), Remedy: strings.Join(append(r.Near, "add what is missing to the folder"), "; "),
			})
		}
	}
	return encode(w, sarifLog{sarifSchema, "2.1.0", []sarifRun{run}})
}

func newSARIFRun() sarifRun {
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{
		Name: "jobdrop", Version: version(), InformationURI: "https://github.com/jobdrop/jobdrop", Rules: []sarifRule{},
	}
	return run
}

// add adds a violation as a result.
func (run *sarifRun) add(v job.Violation) {
	result := sarifResult{
		RuleID: string(v.Rule), RuleIndex: run.rule(v), Level: "error", Message: sarifText{oneLine(message(v))},
	}
	if v.Severity == job.Warning {
		result.Level = "warning"
	}
	var at sarifLocation
	path := relative(v.File)
	at.Physical.Artifact.URI = fileURI(path)
	if v.Line > 0 {
		at.Physical.Region = &sarifRegion{v.Line, v.Column}
	}
	result.Locations = []sarifLocation{at}
	// Without the line, so that a result stays the same as lines move.
	sum := sha256.Sum256([]byte(strings.Join([]string{string(v.Rule), path, v.Field, v.Found}, "\x00")))
	result.Fingerprints = map[string]string{"jobdrop/v1": hex.EncodeToString(sum[:16])}
	run.Results = append(run.Results, result)
}

// rule returns the index of a violation's rule, which it adds if it is new.
func (run *sarifRun) rule(v job.Violation) int {
	all := &run.Tool.Driver.Rules
	if i := slices.IndexFunc(*all, func(r sarifRule) bool { return r.ID == string(v.Rule) }); i >= 0 {
		return i
	}
	page, ok := rules.Find(v.Rule)
	if !ok { // another revision's
		text := sarifText{text.Printable(strings.ReplaceAll(string(v.Rule), "-", " "))}
		*all = append(*all, sarifRule{ID: string(v.Rule), Short: text, Full: text, Help: sarifHelp{Text: text.Text}})
		return len(*all) - 1
	}
	*all = append(*all, sarifRule{
		ID: string(v.Rule), Short: sarifText{page.Summary() + "."}, Full: sarifText{page.Meaning}, HelpURI: page.URL,
		Help: sarifHelp{rulePage(page), page.Markdown("")},
	})
	return len(*all) - 1
}

// fileURI returns the URI of a file, relative if the path is. url.URL puts ./ before
// a first part with a colon, which would be a scheme.
func fileURI(path string) string {
	u := url.URL{Path: path}
	if strings.HasPrefix(path, "/") {
		u.Scheme = "file"
	}
	return u.String()
}
