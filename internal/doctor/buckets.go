package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/storage/v1"
)

// purpose is what a bucket is for.
type purpose struct{ name, variable, bucket string }

func (in *installation) purposes() []purpose {
	return []purpose{
		{"inbox", "JOBDROP_INBOX", in.Inbox}, {"state", stateVariable, in.State},
		{"staging", "JOBDROP_STAGING_BUCKET", in.Staging}, {"status", "JOBDROP_STATUS_BUCKET", in.Status},
	}
}

func (in *installation) bucketChecks() []check {
	var all []check
	for _, p := range in.purposes() {
		all = append(all, check{name: "bucket", on: "gs://" + p.bucket, needs: []string{p.variable},
			run: func(ctx context.Context) []Finding {
				b, err := get[storage.Bucket](ctx, in.calls, in.bucketURL(p.bucket))
				if err != nil {
					return []Finding{missing(unread(cloudStorage, "", "storage.buckets.get", err), err,
						"the bucket of "+p.variable+" does not exist")}
				}
				if in.local() {
					return []Finding{{Status: OK, Text: "it exists; jobdrop local's buckets have no rules to check"}}
				}
				return in.judgeBucket(p, b)
			}})
	}
	return all
}

// missing says of a finding what does not exist, if the error is that.
func missing(f Finding, err error, text string) Finding {
	if code(err) == http.StatusNotFound {
		f.Text = text
		f.Remedy = "look whether the setting names what was deployed; terraform apply makes what is missing"
	}
	return f
}

// judgeBucket compares a bucket with what Terraform sets. It returns one finding if they agree.
func (in *installation) judgeBucket(p purpose, b *storage.Bucket) []Finding {
	want := Buckets()[p.name]
	var found []Finding
	report := func(s Status, remedy, format string, args ...any) {
		found = append(found, Finding{Status: s, Text: fmt.Sprintf(format, args...), Remedy: remedy})
	}
	if !within(b.Location, in.region) {
		report(Warning, "move either: bucket_location and region in Terraform's variables say where they lie",
			"it lies in %s, and the functions in %s: events and copies cross regions", b.Location, in.region)
	}
	access := b.IamConfiguration
	if access == nil || access.UniformBucketLevelAccess == nil || !access.UniformBucketLevelAccess.Enabled {
		report(Problem, apply, "uniform access is off: access lists of single objects count, which no role shows")
	}
	if access == nil || access.PublicAccessPrevention != "enforced" {
		report(Problem, apply, "public access prevention is not enforced: a grant could open it to everybody")
	}
	switch versioned := b.Versioning != nil && b.Versioning.Enabled; {
	case want.Versioned && !versioned:
		text := "it keeps no versions: what is overwritten or deleted is gone"
		if b.SoftDeletePolicy != nil && b.SoftDeletePolicy.RetentionDurationSeconds > 0 {
			text = "it keeps no versions: a drop is decided by versions, and soft delete does not serve those"
		}
		report(Problem, apply, "%s", text)
	case !want.Versioned && versioned:
		report(Warning, apply, "it keeps versions, which nobody reads and which cost")
	}
	found = append(found, in.judgeRules(p, want.Rules, b.Lifecycle)...)
	if len(found) > 0 {
		return found
	}
	kept := ""
	if b.SoftDeletePolicy != nil && b.SoftDeletePolicy.RetentionDurationSeconds > 0 {
		kept = fmt.Sprintf(", deletes softly for %d days", b.SoftDeletePolicy.RetentionDurationSeconds/(24*60*60))
	}
	versions := "no versions"
	if want.Versioned {
		versions = "versions"
	}
	report(OK, "", "it lies in %s, is closed to the public, keeps %s%s, and has all %d rules", b.Location, versions, kept,
		len(want.Rules)+1)
	return found
}

// within reports whether a region lies in a location: a region, a multi-region, or a dual-region, whose names begin
// with those of the continent. It does if the region is not known.
func within(location, region string) bool {
	location = strings.ToLower(location)
	if region == "" || location == region {
		return true
	}
	if strings.Contains(location, "-") {
		return false // another region
	}
	continents := map[string][]string{
		"eu": {"europe-"}, "us": {"us-"}, "nam": {"us-", "northamerica-"}, "asia": {"asia-"}, "au": {"australia-"},
		"in": {"asia-south"},
	}
	for begin, regions := range continents {
		near := func(r string) bool { return strings.HasPrefix(region, r) }
		if strings.HasPrefix(location, begin) && slices.ContainsFunc(regions, near) {
			return true
		}
	}
	return false
}

// judgeRules compares the rules of a bucket that delete with those that Terraform sets.
func (in *installation) judgeRules(p purpose, want []Rule, got *storage.BucketLifecycle) []Finding {
	var found []Finding
	report := func(s Status, format string, args ...any) {
		found = append(found, Finding{Status: s, Text: fmt.Sprintf(format, args...), Remedy: apply})
	}
	met := make([]bool, len(want))
	aborts := false
	if got == nil {
		got = &storage.BucketLifecycle{}
	}
	for _, r := range got.Rule {
		if r.Action == nil || r.Condition == nil {
			continue
		}
		switch r.Action.Type {
		case "AbortIncompleteMultipartUpload":
			aborts = aborts || r.Condition.Age != nil && *r.Condition.Age == BrokenUploads
		case "Delete":
			rule, odd := ruleOf(r.Condition)
			i := slices.IndexFunc(want, func(w Rule) bool { return !odd && w.matches(rule) })
			if i >= 0 {
				met[i] = true
				found = append(found, in.judgeDays(p, rule)...)
				continue
			}
			status, harm := Warning, "which Terraform does not set"
			if rule.State != archived && p.name == "state" {
				status, harm = Problem, "and nothing that is live in the ledger may be deleted but what Terraform names"
			}
			report(status, "a rule deletes %s, %s", rule, harm)
		}
	}
	for i, w := range want {
		if !met[i] {
			report(Warning, "the rule is missing that deletes %s: what nobody needs any more stays and costs", w)
		}
	}
	if !aborts {
		report(Warning, "the rule is missing that removes broken uploads after %d days: they cost as much as objects",
			BrokenUploads)
	}
	return found
}

// judgeDays judges the days of a rule that each installation chooses.
func (in *installation) judgeDays(p purpose, r Rule) []Finding {
	const day = 24 * time.Hour
	switch {
	case p.name == "inbox" && in.Expire > 0 && time.Duration(r.DaysSinceNoncurrent)*day < in.Expire:
		return []Finding{{Status: Problem, Remedy: "raise history_days in Terraform's variables, or lower expire_after",
			Text: fmt.Sprintf(
				"versions are kept for %d days, and an incomplete drop is waited for %s: it is decided by the versions that it began with",
				r.DaysSinceNoncurrent, in.Expire)}}
	case p.name == "staging" && in.SubmitWithin > 0 && time.Duration(r.Age)*day <= in.SubmitWithin:
		return []Finding{{Status: Problem, Remedy: "raise staged_days in Terraform's variables, or lower submit_within",
			Text: fmt.Sprintf(
				"packages are deleted after %d days, and a drop may wait for its job for %s: it would find its package gone",
				r.Age, in.SubmitWithin)}}
	}
	return nil
}

// ruleOf returns a rule's conditions. odd reports that it has others, which Terraform never sets.
func ruleOf(c *storage.BucketLifecycleRuleCondition) (r Rule, odd bool) {
	r = Rule{DaysSinceNoncurrent: c.DaysSinceNoncurrentTime, NewerVersions: c.NumNewerVersions, Prefixes: c.MatchesPrefix}
	if c.Age != nil {
		r.Age = *c.Age
		odd = r.Age == 0 // at once
	}
	if c.IsLive != nil {
		r.State = archived
		if *c.IsLive {
			r.State = live
		}
	}
	if r.DaysSinceNoncurrent > 0 || r.NewerVersions > 0 {
		r.State = archived // only versions that are not live have such conditions
	}
	odd = odd || c.CreatedBefore != "" || c.CustomTimeBefore != "" || c.DaysSinceCustomTime != 0 ||
		c.NoncurrentTimeBefore != "" || len(c.MatchesSuffix) > 0 || len(c.MatchesStorageClass) > 0 ||
		c.MatchesPattern != "" || c.SizeAboveBytes != 0 || c.SizeBelowBytes != 0
	return r, odd
}

// matches reports whether a rule is as it is wanted.
func (r Rule) matches(got Rule) bool {
	same := func(want, got int64) bool { return want == got || want == Chosen && got > 0 }
	prefixes := func(r Rule) []string { return slices.Sorted(slices.Values(r.Prefixes)) }
	return same(r.Age, got.Age) && same(r.DaysSinceNoncurrent, got.DaysSinceNoncurrent) &&
		same(r.NewerVersions, got.NewerVersions) && r.State == got.State && slices.Equal(prefixes(r), prefixes(got))
}

// String describes what a rule deletes.
func (r Rule) String() string {
	days := func(n int64) string {
		if n == Chosen {
			return "some days"
		}
		return fmt.Sprintf("%d days", n)
	}
	text := map[string]string{live: "live objects", archived: "former versions", "": "objects"}[r.State]
	if len(r.Prefixes) > 0 {
		text += " below " + strings.Join(r.Prefixes, ", ")
	}
	switch {
	case r.NewerVersions != 0:
		text += fmt.Sprintf(" that have %d newer ones", r.NewerVersions)
	case r.DaysSinceNoncurrent != 0:
		text += " after " + days(r.DaysSinceNoncurrent)
	case r.Age != 0:
		text += " after " + days(r.Age)
	}
	return text
}
