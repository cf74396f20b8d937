package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"google.golang.org/api/pubsub/v1"
)

const rightSubscription = "pubsub.subscriptions.get"

func (in *installation) topicChecks() []check {
	const noDeadLetters = "has no dead letters and no retry policies"
	names := []string{"JOBDROP_TOPIC", "JOBDROP_INSTANCE", "JOBDROP_PROJECT"}
	all := []check{{name: "topic", on: in.Topic, needs: names[:1], run: in.topic}}
	if in.RoutesObject != "" {
		notify := in.subscription(NotifyPush)
		all = append(all, check{name: "subscription", on: notify, needs: names, absent: noDeadLetters,
			run: func(ctx context.Context) []Finding {
				return in.checkSubscription(ctx, notify, wanted{topic: in.Topic, ordered: true, pushed: true, all: true},
					"Notify is told of nothing")
			}})
	}
	hints := in.subscription(HintsPush)
	return append(all,
		check{name: "subscription", on: hints, needs: names, absent: noDeadLetters, run: func(ctx context.Context) []Finding {
			return in.checkSubscription(ctx, hints, wanted{pushed: true, all: true}, "")
		}},
		check{name: "subscription", on: in.Topic, needs: names, absent: noDeadLetters, run: in.subscribers},
	)
}

// subscription returns the full name of one of the installation's subscriptions.
func (in *installation) subscription(suffix string) string {
	return "projects/" + in.Project + "/subscriptions/" + in.Instance + suffix
}

// topic checks the topic of lifecycle events.
func (in *installation) topic(ctx context.Context) []Finding {
	t, err := get[pubsub.Topic](ctx, in.calls, in.pubSub()+in.Topic)
	if err != nil {
		return []Finding{missing(unread(pubSub, "", "pubsub.topics.get", err), err,
			"the topic of JOBDROP_TOPIC does not exist: no event can be published")}
	}
	if in.local() {
		return []Finding{{Status: OK, Text: "it exists"}}
	}
	return judgeTopic(t, in.region)
}

func judgeTopic(t *pubsub.Topic, region string) []Finding {
	var found []Finding
	var regions []string
	if t.MessageStoragePolicy != nil {
		regions = t.MessageStoragePolicy.AllowedPersistenceRegions
	}
	switch {
	case region == "":
	case len(regions) == 0:
		found = append(found, Finding{Status: Warning, Remedy: apply,
			Text: "it may store messages in any region: events are ordered within one"})
	case !slices.Contains(regions, region):
		found = append(found, Finding{Status: Problem, Remedy: apply, Text: fmt.Sprintf(
			"it stores messages in %s only, and functions publish in %s: events are ordered within a region",
			strings.Join(regions, ", "), region)})
	}
	if t.SchemaSettings == nil {
		found = append(found, Finding{Status: Warning, Remedy: apply,
			Text: "it has no schema: anybody who may publish can publish anything"})
	}
	if t.MessageRetentionDuration == "" {
		found = append(found, Finding{Status: Warning, Remedy: apply,
			Text: "it keeps no messages: a subscription can't be set back to a time before"})
	}
	if len(found) == 0 {
		found = []Finding{{Status: OK,
			Text: "it exists, has its schema, and keeps messages for " + t.MessageRetentionDuration}}
	}
	return found
}

// subscribers checks the subscriptions of Terraform's variable of that name. Others' are not the installation's.
func (in *installation) subscribers(ctx context.Context) []Finding {
	var all []string
	for token := ""; ; {
		page, err := get[pubsub.ListTopicSubscriptionsResponse](ctx, in.calls,
			in.pubSub()+in.Topic+"/subscriptions?"+url.Values{"pageSize": {"1000"}, "pageToken": {token}}.Encode())
		if err != nil {
			return []Finding{unread(pubSub, "", "pubsub.topics.get", err)}
		}
		all = append(all, page.Subscriptions...)
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	var found []Finding
	for _, name := range all {
		if strings.HasPrefix(path.Base(name), in.Instance+Subscribers) {
			found = append(found, in.checkSubscription(ctx, name, wanted{topic: in.Topic, ordered: true},
				"its reader is told of nothing")...)
		}
	}
	if len(found) == 0 {
		text := fmt.Sprintf("of %d subscriptions, none is of Terraform's variable subscriptions", len(all))
		found = []Finding{{Status: OK, Text: text}}
	}
	return found
}

// wanted is what a subscription should be, beside what all should be.
type wanted struct {
	topic   string // empty if it is not compared
	ordered bool
	pushed  bool
	// all reports that it may have no filter.
	all bool
	// eventarc is set if Eventarc made it, and deploy/eventarc sets it.
	eventarc bool
}

// checkSubscription checks a subscription and its dead letters. harm says what happens without it; empty if an
// installation need not have it.
func (in *installation) checkSubscription(ctx context.Context, name string, w wanted, harm string) []Finding {
	s, err := get[pubsub.Subscription](ctx, in.calls, in.pubSub()+name)
	switch {
	case code(err) == http.StatusNotFound && harm == "":
		return []Finding{{On: name, Status: Skipped,
			Text: "there is none: the installation has no hints (hints in Terraform's variables)"}}
	case err != nil:
		return []Finding{missing(unread(pubSub, name, rightSubscription, err), err, "the subscription does not exist: "+harm)}
	}
	found := judgeSubscription(s, w)
	if s.DeadLetterPolicy != nil && s.DeadLetterPolicy.DeadLetterTopic != "" {
		found = append(found, in.deadLetters(ctx, s.DeadLetterPolicy.DeadLetterTopic)...)
	}
	if len(found) == 0 {
		found = []Finding{{Status: OK, Text: "it is set as it should be, and its dead letters are kept"}}
	}
	for i := range found {
		found[i].On = name
	}
	return found
}

func judgeSubscription(s *pubsub.Subscription, w wanted) []Finding {
	remedy := apply
	if w.eventarc {
		remedy = "deploy/README.md, step after the deployment: go run ./deploy/eventarc -outputs out/outputs.json"
	}
	var found []Finding
	report := func(status Status, format string, args ...any) {
		found = append(found, Finding{Status: status, Text: fmt.Sprintf(format, args...), Remedy: remedy})
	}
	if s.Detached || s.State == "RESOURCE_ERROR" {
		report(Problem, "it can't receive messages: it is detached, or what it is pushed to is gone")
	}
	if w.topic != "" && s.Topic != w.topic {
		report(Problem, "it is a subscription of %s, not of %s", s.Topic, w.topic)
	}
	if w.all && s.Filter != "" {
		report(Problem, "it has the filter %s, and what that leaves out is never heard of. A filter can't be changed: "+
			"delete the subscription first", s.Filter)
	}
	if w.ordered && !s.EnableMessageOrdering {
		report(Problem, "it is not ordered: events of an attempt come in any order. That can't be changed: "+
			"delete the subscription first")
	}
	if w.pushed && (s.PushConfig == nil || s.PushConfig.PushEndpoint == "") {
		report(Problem, "it is not pushed to a function: nobody takes its messages")
	}
	switch d := s.DeadLetterPolicy; {
	case d == nil || d.DeadLetterTopic == "":
		report(Problem, "it has no dead letter: what nobody takes comes again until it is dropped")
	case d.DeadLetterTopic == "_deleted-topic_":
		report(Problem, "the topic of its dead letters is deleted")
	case d.MaxDeliveryAttempts != DeadAttempts:
		report(Warning, "a message is a dead letter after %d deliveries, not after %d", d.MaxDeliveryAttempts, DeadAttempts)
	}
	if s.AckDeadlineSeconds != AckDeadline {
		report(Warning, "its deadline is %d s, not %d s: a function works for up to %d s, and the message comes again meanwhile",
			s.AckDeadlineSeconds, AckDeadline, WorkSeconds)
	}
	r := s.RetryPolicy
	if !w.eventarc && (r == nil || r.MinimumBackoff != MinimumBackoff || r.MaximumBackoff != MaximumBackoff) {
		report(Warning, "its retry policy is not %s to %s: without these pauses the deliveries are used up in a moment",
			MinimumBackoff, MaximumBackoff)
	}
	if s.ExpirationPolicy == nil || s.ExpirationPolicy.Ttl != "" {
		report(Warning, "it expires where nothing happens for a month or so")
	}
	return found
}

// deadLetters checks that something keeps what a dead letter topic is given.
func (in *installation) deadLetters(ctx context.Context, topic string) []Finding {
	if topic == "_deleted-topic_" {
		return nil // that is said already
	}
	page, err := get[pubsub.ListTopicSubscriptionsResponse](ctx, in.calls, in.pubSub()+topic+"/subscriptions?pageSize=10")
	switch {
	case code(err) == http.StatusNotFound:
		return []Finding{{Status: Problem, Remedy: apply, Text: "the topic of its dead letters does not exist: " + topic}}
	case err != nil:
		return []Finding{unread(pubSub, "", "pubsub.topics.get", err)}
	case len(page.Subscriptions) == 0:
		return []Finding{{Status: Problem, Remedy: apply, Text: "its dead letters are lost: nothing subscribes to " + topic}}
	}
	return nil
}
