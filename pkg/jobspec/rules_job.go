package jobspec

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// jobIDFormat: a job ID holds only letters, digits and underscores, and begins with a letter. Without
// an ID jobdrop makes one.
//
// Source: the manual, "Running a training job": "mixed-case letters, numbers, and underscores only,
// starting with a letter".
//
//	-jobId: cool-job
//	+jobId: cool_job
func jobIDFormat(c *check) {
	if id := c.spec.JobID; id != "" && !isJobID(id) {
		c.fail("jobId", job.Violation{
			Message: "a job ID holds only letters, digits and underscores and begins with a letter",
			Allowed: "a letter, then letters, digits and underscores",
			Remedy:  "write " + validJobID(id),
		})
	}
}

func validJobID(id string) string {
	id = strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '_'
	}, text.Shorten(id, maxShown))
	if id[0] == '_' || id[0] >= '0' && id[0] <= '9' {
		id = "job_" + strings.TrimLeft(id, "_")
	}
	return id
}

// An ID is part of object names and of message attributes, which end at 1,024
// bytes; the service's own bound is documented nowhere, 128 is what people say.
const (
	maxJobID     = 512
	longestJobID = 128
)

// jobIDLength: a job ID has at most 128 characters; of longer ones up to 512 the rule only warns. An
// ID is part of object names and message attributes.
//
// Source: jobdrop's own limit (512); what people report of the service (128), which documents none.
//
// For example: a jobId of 513 characters; a shorter one mends it.
func jobIDLength(c *check) {
	v := job.Violation{Found: fmt.Sprintf("%d characters", len(c.spec.JobID)), Remedy: "write a shorter ID"}
	switch n := len(c.spec.JobID); {
	case n > maxJobID:
		v.Message, v.Allowed = "the job ID is longer than jobdrop can carry", fmt.Sprintf("at most %d characters", maxJobID)
		c.fail("jobId", v)
	case n > longestJobID:
		v.Message = fmt.Sprintf("job IDs of more than %d characters may be refused by the service", longestJobID)
		c.warn("jobId", v)
	}
}

// maxLabels is Google Cloud's bound for a resource, less jobdrop's own three.
const maxLabels = 64 - 3

// labelCount: a job has at most 61 labels. The service takes 64, and jobdrop adds 3.
//
// Source: Google Cloud, "Requirements for labels".
//
// For example: labels with 62 entries; with 61 the job passes.
func labelCount(c *check) {
	if n := len(c.spec.Labels); n > maxLabels {
		c.fail("labels", job.Violation{
			Message: "there are too many labels",
			Found:   strconv.Itoa(n),
			Allowed: fmt.Sprintf("at most %d: the service takes 64, and jobdrop adds 3", maxLabels),
			Remedy:  "remove labels",
		})
	}
}

// labelKey: a label's key has 1 to 63 characters: a lowercase letter, then lowercase letters, digits,
// underscores and dashes.
//
// Source: Google Cloud, "Requirements for labels".
//
//	 labels:
//	-  Team: growth
//	+  team: growth
func labelKey(c *check) {
	for _, key := range c.labels {
		if !job.IsLabelKey(key) {
			c.failKey(join("labels", key), job.Violation{
				Message: "a label's key begins with a lowercase letter and holds only lowercase letters, digits, underscores and " +
					"dashes",
				Found:   show(key),
				Allowed: "1 to 63 characters: a lowercase letter, then lowercase letters, digits, _ and -",
				Remedy:  "rename the label",
			})
		}
	}
}

// labelValue: a label's value has at most 63 characters: lowercase letters, digits, underscores and
// dashes.
//
// Source: Google Cloud, "Requirements for labels".
//
//	 labels:
//	-  release: v1.2
//	+  release: v1_2
func labelValue(c *check) {
	for _, key := range c.labels {
		if !job.IsLabel(c.spec.Labels[key]) {
			c.fail(join("labels", key), job.Violation{
				Message: "a label's value holds only lowercase letters, digits, underscores and dashes",
				Allowed: "0 to 63 characters: lowercase letters, digits, _ and -",
				Remedy:  "shorten the value or replace the other characters",
			})
		}
	}
}

// labelValueNarrow: some of Google's tools take fewer values of labels than the service: they want a
// letter from a to z first, and no other scripts. The rule only warns.
//
// Source: Google's tensorflow/cloud, validate.py. The service is not known to refuse such values.
//
//	 labels:
//	-  release: '1'
//	+  release: v1
func labelValueNarrow(c *check) {
	for _, key := range c.labels {
		value := c.spec.Labels[key]
		if job.IsLabel(value) &&
			(value == "" || !isLower(value[0]) || !only(value, func(c byte) bool { return c < utf8.RuneSelf })) {
			c.warn(join("labels", key), job.Violation{
				Message: "some of Google's tools refuse a label's value that does not begin with a letter from a to z, or holds " +
					"other scripts",
				Remedy: "begin the value with a letter from a to z if such a tool reads the job",
			})
		}
	}
}

// labelReserved: labels that begin with jobdrop- are jobdrop's own: it knows its jobs by them, and
// nobody may forge them.
//
// Source: jobdrop's own rule.
//
//	 labels:
//	-  jobdrop-attempt: mine
//	+  attempt: mine
func labelReserved(c *check) {
	for _, key := range c.labels {
		if strings.HasPrefix(key, job.LabelPrefix) {
			c.failKey(join("labels", key), job.Violation{
				Message: "labels that begin with " + job.LabelPrefix + " are jobdrop's own",
				Found:   show(key),
				Remedy:  "rename the label",
			})
		}
	}
}

// trainingInputRequired: a job has a trainingInput. The API's Job is a training or a prediction, and
// jobdrop runs the former.
//
// Source: reference, Job.
//
//	 jobId: census
//	+trainingInput:
//	+  scaleTier: BASIC
//	+  region: us-central1
//	+  packageUris: [trainer-0.1.tar.gz]
//	+  pythonModule: trainer.task
//	+  runtimeVersion: '2.11'
//	+  pythonVersion: '3.7'
func trainingInputRequired(c *check) {
	if c.in == nil {
		c.fail("trainingInput", job.Violation{
			Message: "the job has no trainingInput",
			Remedy:  "write trainingInput: and below it, indented, what is to be trained",
		})
	}
}

// pins: a pin names a file of the drop's own folder and says what its content is: by its generation,
// or by its CRC32C as Cloud Storage writes it. A pin that can't match would keep the drop incomplete
// for ever.
//
// Source: jobdrop's own rule.
//
//	 jobdrop:
//	   packages:
//	   - name: trainer-0.1.tar.gz
//	-    crc32c: AAAA
//	+    crc32c: AAAAAA==
func pins(c *check) {
	for i, pin := range c.f.Options.Packages {
		field := element("jobdrop.packages", i)
		switch {
		case pin.Name == "":
			c.fail(field+".name", job.Violation{
				Message: "the pin names no package",
				Remedy:  "write the package's file name, e.g. trainer-0.1.tar.gz",
			})
		case strings.Contains(pin.Name, "/"):
			c.fail(field+".name", job.Violation{
				Message: "a pin names a file of the drop's own folder",
				Allowed: "a file name without /",
				Remedy:  "write " + show(pin.Name[strings.LastIndex(pin.Name, "/")+1:]),
			})
		}
		if pin.Generation < 0 {
			c.fail(field+".generation", job.Violation{
				Message: "an object's generation is positive",
				Remedy:  "write the generation that the upload returned",
			})
		}
		if sum, err := base64.StdEncoding.DecodeString(pin.CRC32C); pin.CRC32C != "" && (err != nil || len(sum) != 4) {
			c.fail(field+".crc32c", job.Violation{
				Message: "this is not a CRC32C as Cloud Storage writes it",
				Allowed: "8 characters of base64, e.g. AAAAAA==",
				Remedy:  "copy the object's crc32c from gcloud storage objects describe",
			})
		}
		if pin.Generation == 0 && pin.CRC32C == "" && !c.f.silent(field+".generation") && !c.f.silent(field+".crc32c") {
			c.fail(field, job.Violation{
				Message: "the pin says nothing about the package's content",
				Remedy:  "add its generation or its crc32c",
			})
		}
	}
}

// pinTwice: of two pins for one package at most one can match.
//
// Source: jobdrop's own rule.
//
//	 jobdrop:
//	   packages:
//	   - {name: trainer-0.1.tar.gz, generation: 5}
//	-  - {name: trainer-0.1.tar.gz, generation: 6}
func pinTwice(c *check) {
	if len(c.f.Options.Packages) == 0 {
		return
	}
	first := map[string]int{}
	for i, pin := range c.f.Options.Packages {
		if j, twice := first[pin.Name]; twice && pin.Name != "" {
			c.fail(element("jobdrop.packages", i)+".name", job.Violation{
				Message: fmt.Sprintf("the package is pinned twice, here and in packages[%d]", j),
				Remedy:  "keep one of the pins",
			})
			continue
		}
		first[pin.Name] = i
	}
}

// notifyRoute: an entry of jobdrop.notify is the name of a route. Whether the route exists is for the
// operator's routes to say.
//
// Source: jobdrop's own rule.
//
//	 jobdrop:
//	-  notify: [growth, ' ']
//	+  notify: [growth]
func notifyRoute(c *check) {
	for i, route := range c.f.Options.Notify {
		if strings.TrimSpace(route) == "" {
			c.fail(element("jobdrop.notify", i), job.Violation{
				Message: "the route has no name",
				Remedy:  "write the name of a route of the policy, or remove the entry",
			})
		}
	}
}
