package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// rightChecks returns the checks of what the caller may do, on each resource that can say it.
func (in *installation) rightChecks() []check {
	all := []check{{
		name: "rights", needs: []string{"JOBDROP_INBOX", stateVariable, "JOBDROP_STATUS_BUCKET"},
		absent: "asks for no rights", run: in.roles,
	}}
	topics := []string{"JOBDROP_TOPIC", "JOBDROP_PROJECT"}
	on := func(what, base, absent string, s service, permissions ...string) check {
		return check{name: "rights", on: what, needs: topics, absent: absent, run: func(ctx context.Context) []Finding {
			held, err := in.calls.rightsOn(ctx, base+what, permissions)
			if err != nil {
				return []Finding{unread(s, "", "", err)}
			}
			return []Finding{judgeRights(permissions, held.Permissions)}
		}}
	}
	const none = "asks for no rights"
	all = append(all, on(in.Topic, in.pubSub(), none, pubSub, "pubsub.topics.get", "pubsub.topics.attachSubscription"))
	if in.RoutesObject != "" {
		all = append(all, on(in.subscription(NotifyPush), in.pubSub(), none, pubSub, rightSubscription))
	}
	return append(all, on("projects/"+in.Project, "https://cloudresourcemanager.googleapis.com/v3/", none, projectsAPI,
		in.projectRights()...))
}

// projectRights are the rights that jobdrop's commands for operators use in the project.
func (in *installation) projectRights() []string {
	all := []string{
		"logging.logEntries.list", rightSubscription, "pubsub.subscriptions.create", "run.services.get",
		"cloudscheduler.jobs.get",
		"eventarc.triggers.list",
	}
	if in.Backend == "vertex" {
		return append(all, "aiplatform.customJobs.list")
	}
	return all
}

func judgeRights(asked, held []string) Finding {
	lacking := without(asked, held)
	if len(lacking) == 0 {
		return Finding{Status: OK, Text: "you have " + strings.Join(asked, ", ")}
	}
	text := "you lack " + strings.Join(lacking, ", ")
	if len(lacking) < len(asked) {
		text += fmt.Sprintf("; you have the other %d that commands use", len(asked)-len(lacking))
	}
	return Finding{Status: Warning, Text: text, Right: lacking[0],
		Remedy: "droppers need none of them; others ask whoever runs the installation"}
}

// without returns the permissions that are asked for and not held.
func without(asked, held []string) []string {
	return slices.DeleteFunc(slices.Clone(asked), func(p string) bool { return slices.Contains(held, p) })
}

// role is what one may be to an installation: docs/security.md has the words.
type role struct {
	name string
	// needs are the permissions, by bucket.
	needs map[string][]string
	can   string
}

// roles says which roles the caller's rights amount to.
func (in *installation) roles(ctx context.Context) []Finding {
	held := map[string][]string{}
	var found []Finding
	for _, p := range in.purposes() {
		if p.name == "staging" {
			continue // people have no part in it
		}
		r, err := in.calls.bucketRights(ctx, in.bucketURL(p.bucket), Dropper())
		if err != nil {
			found = append(found, missing(unread(cloudStorage, "gs://"+p.bucket, "", err), err, "the bucket does not exist"))
			continue
		}
		held[p.bucket] = r.Permissions
	}
	if len(found) > 0 {
		return found
	}
	return []Finding{judgeRoles(in.allRoles(), held)}
}

func (in *installation) allRoles() []role {
	return []role{
		{"dropper", map[string][]string{in.Inbox: Dropper(), in.Status: Reader()},
			"uploads drops, and reads what became of them"},
		{"operator", map[string][]string{in.State: Reader(), in.Status: Reader()}, "sees all attempts"},
		{"requester", map[string][]string{in.State: {"storage.objects.create"}},
			"asks to cancel attempts and to run them again"},
	}
}

// judgeRoles says which roles the rights on whole buckets amount to.
func judgeRoles(roles []role, held map[string][]string) Finding {
	var are, lacks []string
	first := ""
	for _, r := range roles {
		var lacking []string
		for _, bucket := range slices.Sorted(maps.Keys(r.needs)) {
			for _, p := range without(r.needs[bucket], held[bucket]) {
				lacking = append(lacking, p+" on gs://"+bucket)
				if first == "" {
					first = p
				}
			}
		}
		if len(lacking) == 0 {
			are = append(are, fmt.Sprintf("%s (%s)", r.name, r.can))
		} else {
			lacks = append(lacks, fmt.Sprintf("to be %s you lack %s", r.name, strings.Join(lacking, ", ")))
		}
	}
	if len(are) == 0 {
		return Finding{
			Status: Warning, Right: first,
			Text: "your rights on the whole buckets make you neither dropper nor operator nor requester: " +
				strings.Join(lacks, "; "),
			Remedy: "ask for a place in droppers or requesters of Terraform's variables; rights below one folder are not seen here",
		}
	}
	text := "you are " + strings.Join(are, ", ")
	if len(lacks) > 0 {
		text += "; " + strings.Join(lacks, "; ")
	}
	return Finding{Status: OK, Text: text}
}
