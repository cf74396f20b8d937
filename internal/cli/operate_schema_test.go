package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/internal/doctor"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/testing/schematest"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// schemasDir has the schemas of what the commands for operators print.
const schemasDir = "../../docs/operate"

// operateBase begins the URIs of the schemas in it.
const operateBase = "https://jobdrop.dev/schemas/operate/"

// printed are the schemas of what is printed with -o json, by their files.
func printed() map[string]schematest.Source {
	said := func(texts map[string]string) map[string]schematest.Described {
		all := map[string]schematest.Described{}
		for key, text := range texts {
			all[key] = schematest.Described{Text: text}
		}
		return all
	}
	return map[string]schematest.Source{
		"attempts.v1.json": {
			Root: reflect.TypeFor[ledger.Page](), Title: "Attempts",
			Description: "What jobdrop status -o json prints: attempts, the newest upload first.",
			Required:    map[string][]string{"Page": {"attempts"}, "Row": {"attempt", "bucket", "folder", "dropped"}},
			Descriptions: said(map[string]string{
				"Page.attempts":     "The attempts.",
				"Page.next":         "What --page takes to go on. Absent if there are no more.",
				"Page.back":         "How far a search has come: up to the attempts dropped then.",
				"Row.attempt":       "Attempt, as events have it.",
				"Row.bucket":        "Bucket of the drop.",
				"Row.folder":        "Folder of the drop, with its final slash; empty at the bucket's root.",
				"Row.state":         "State, as events have it. Absent before the first decision.",
				"Row.jobId":         "ID of its job, once it is known.",
				"Row.correlationId": "The uploader's own.",
				"Row.dropped":       "When the job file was uploaded.",
				"Row.seen":          "When jobdrop first saw it.",
				"Row.concluded":     "When the verdict came.",
				"Row.waits":         "What an accepted attempt waits for; with --state accepted alone.",
			}),
		},
		"attempt.v1.json": {
			Root: reflect.TypeFor[oneStatus](), Title: "Attempt",
			Description: "What jobdrop status ATTEMPT -o json prints: one attempt in full.",
			Required: map[string][]string{
				"oneStatus": {"snapshot"}, "queuePlace": {"place", "total", "at", "reason", "since"},
				"budgetLeft": {"folders", "most", "left", "until", "needs"},
			},
			Names: map[reflect.Type]string{
				reflect.TypeFor[account.Place](): "queuePlace", reflect.TypeFor[account.Budget](): "budgetLeft",
			},
			Descriptions: said(map[string]string{
				"oneStatus.snapshot":     "The attempt as its last event and status.json have it, with its history.",
				"oneStatus.queue":        "Its place in the queue, if it waits for its turn.",
				"oneStatus.budget":       "What is left of the operator's budget, if it waits for its turn under one.",
				"oneStatus.policy":       "What is wrong with the policy, if nothing is decided until it is mended.",
				"oneStatus.console":      "Address of its page in the installation's console. Absent if JOBDROP_CONSOLE is not set.",
				"budgetLeft.folders":     "Pattern of the folders that share the budget.",
				"budgetLeft.most":        "Accelerator hours that it has in a month.",
				"budgetLeft.left":        "Those that nobody has used, or may use yet.",
				"budgetLeft.until":       "When the month ends, and all are there again.",
				"budgetLeft.needs":       "Accelerator hours that the job may take at most.",
				"queuePlace.place":       "Place among all that wait, from 1.",
				"queuePlace.total":       "How many attempts wait.",
				"queuePlace.at":          "When a tick saw them so.",
				"queuePlace.prefix":      "Prefix under which the folder takes turns. Absent if the policy can't be read.",
				"queuePlace.prefixPlace": "Place among those that wait under the prefix.",
				"queuePlace.prefixTotal": "How many wait under the prefix.",
				"queuePlace.reason":      "What it waits for.",
				"queuePlace.since":       "When it was accepted.",
				"queuePlace.nextTry":     "When the backend is asked again, if it had no room.",
			}),
		},
		"logline.v1.json": {
			Root: reflect.TypeFor[logLine](), Title: "Line of a log",
			Description: "A line of what jobdrop logs -o json prints.",
			Required:    map[string][]string{"logLine": {"text"}},
			Descriptions: said(map[string]string{
				"logLine.time":     "When it was written.",
				"logLine.severity": "Severity of Cloud Logging.",
				"logLine.jobId":    "ID of the job in its log.",
				"logLine.replica":  "Replica that wrote it, or service.",
				"logLine.trial":    "Trial of a tuning job.",
				"logLine.text":     "What it says, as the program wrote it.",
				"logLine.insertId": "Tells entries of the same time apart.",
			}),
		},
		"request.v1.json": {
			Root: reflect.TypeFor[asked](), Title: "Request and answer",
			Description: "What jobdrop cancel -o json and jobdrop rerun -o json print.",
			Required:    map[string][]string{"asked": {"attempt", "request", "answer", "outcome"}},
			Descriptions: said(map[string]string{
				"asked.attempt": "Attempt that the request is for.",
				"asked.request": "URI of the request's object. It is deleted once it is answered.",
				"asked.answer":  "URI of the answer.",
				"asked.outcome": "accepted, refused, or pending if there is no answer yet.",
				"asked.message": "What happens now, or why nothing does and how to go on.",
				"asked.made":    "Attempt that a rerun made.",
			}),
		},
		"event.v1.json": {
			Root: reflect.TypeFor[happened](), Title: "Event in short",
			Description: "A line of what jobdrop events -o json prints. docs/events has the events in full.",
			Required:    map[string][]string{"happened": {"attempt", "sequence", "type", "time", "bucket", "folder"}},
			Descriptions: said(map[string]string{
				"happened.attempt":       "Attempt.",
				"happened.sequence":      "Number of the event in its attempt, from 1.",
				"happened.type":          "Type in short, as in job.failed.",
				"happened.time":          "When it happened.",
				"happened.bucket":        "Bucket of the drop.",
				"happened.folder":        "Folder of the drop, with its final slash; empty at the bucket's root.",
				"happened.jobId":         "ID of its job. In a history it is known from the first event on.",
				"happened.correlationId": "The uploader's own.",
				"happened.reason":        "One sentence for a person; shortened in a history.",
			}),
		},
		"doctor.v1.json": {
			Root: reflect.TypeFor[doctor.Report](), Title: "Findings",
			Description: "What jobdrop doctor -o json prints: what was checked of an installation, and what was found.",
			Required:    map[string][]string{"Report": {"findings"}, "Finding": {"check", "status", "text"}},
			Descriptions: said(map[string]string{
				"Report.instance": "Instance. Absent if the settings don't say.",
				"Report.project":  "Project. Absent if the settings don't say.",
				"Report.findings": "Findings, in the order of the checks.",
				"Finding.check":   "Check: a row of docs/doctor.md.",
				"Finding.on":      "What was looked at: a URI, a resource's name, or a service.",
				"Finding.status":  "ok, warning, problem or skipped.",
				"Finding.text":    "What was found, or why it could not be checked.",
				"Finding.remedy":  "What to do about it.",
				"Finding.right":   "Right that the caller lacks, as IAM names it.",
			}),
		},
		"rule.v1.json": {
			Root: reflect.TypeFor[rules.Page](), Title: "Rule",
			Description: "What jobdrop explain RULE -o json prints. Without a RULE it prints a list of these.",
			Required:    map[string][]string{"Page": {"rule", "area", "meaning", "source", "url"}},
			Descriptions: said(map[string]string{
				"Page.rule":    "Name of the rule, as violations have it. It never changes its meaning.",
				"Page.area":    "What it is about: job, file, drop, package, policy, backend, routes or faults.",
				"Page.meaning": "What must hold.",
				"Page.source":  "Where the rule comes from.",
				"Page.example": "What breaks it and mends it, in words.",
				"Page.diff": "What breaks it and mends it, as lines that begin with a space, - or +. A line # NAME begins the " +
					"part of a file.",
				"Page.url": "Address of the page.",
			}),
		},
		"why.v1.json": {
			Root: reflect.TypeFor[explained](), Title: "Account of an attempt",
			Description: "What jobdrop why -o json prints: why an attempt is where it is.",
			Required:    map[string][]string{"account": {"drop", "because", "chain"}, "step": {"step", "text"}},
			Names: map[reflect.Type]string{
				reflect.TypeFor[explained](): "account", reflect.TypeFor[account.Step](): "step",
			},
			Descriptions: said(map[string]string{
				"account.attempt": "Attempt. Absent if none of the folder is known.",
				"account.jobId":   "ID of its job.",
				"account.drop":    "URI of the drop's folder.",
				"account.state":   "State, as events have it.",
				"account.because": "The answer in one sentence.",
				"account.next":    "What happens next, or what to do.",
				"account.chain":   "The steps from the upload on.",
				"account.console": "Address of its page in the installation's console. Absent if JOBDROP_CONSOLE is not set.",
				"step.step":       "drop, packages, check, policy, queue, backend, job, log, request or watch.",
				"step.at":         "When it was so.",
				"step.text":       "What was so.",
				"step.evidence":   "Where it stands: objects at their generations, lines of files, answers, lines of a log.",
			}),
		},
	}
}

// What is printed is described, in files that are up to date.
func TestPrintedSchemas(t *testing.T) {
	for file, source := range printed() {
		source.ID = operateBase + file
		source.Printed = true
		source.Elsewhere = map[reflect.Type]string{reflect.TypeFor[job.Snapshot](): event.StatusSchema}
		schematest.UpToDate(t, filepath.Join(schemasDir, file), source.Generate(t), *update)
	}
	files, err := filepath.Glob(schemasDir + "/*.json")
	if err != nil || len(files) != len(printed()) {
		t.Errorf("there are %d schemas, want %d: %v", len(files), len(printed()), err)
	}
}

// printedAs returns an error if JSON is not what a schema of schemasDir describes.
func printedAs(file string, data []byte) error {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(loader{})
	schema, err := c.Compile(operateBase + file)
	if err != nil {
		return err
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schema.Validate(instance)
}

// loader loads schemas by their URIs: those of schemasDir, and those of events.
type loader struct{}

func (loader) Load(uri string) (any, error) {
	read := event.Schema
	if name, ok := strings.CutPrefix(uri, operateBase); ok {
		read = func(string) ([]byte, error) { return os.ReadFile(filepath.Join(schemasDir, name)) }
	}
	data, err := read(uri)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(data))
}
