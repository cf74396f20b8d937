package doctor

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/api/eventarc/v1"
	"google.golang.org/api/storage/v1"
)

const (
	// pubSubPrefix is what Cloud Storage has before a topic's name.
	pubSubPrefix = "//pubsub.googleapis.com/"
	noTrigger    = "nothing wakes Submit when an object comes: drops wait for Watch, minutes at the least"
)

// trigger checks what wakes Submit: a notification of the installation's own, or Eventarc's.
func (in *installation) trigger(ctx context.Context) []Finding {
	list, err := get[storage.Notifications](ctx, in.calls, in.bucketURL(in.Inbox)+"/notificationConfigs")
	if err != nil {
		return []Finding{unread(cloudStorage, "", "storage.buckets.get", err)}
	}
	own := pubSubPrefix + "projects/" + in.Project + "/topics/" + in.Instance + InboxTopic
	for _, n := range list.Items {
		if n.Topic == own {
			found := []Finding{judgeNotification(n)}
			return append(found, in.checkSubscription(ctx, in.subscription(InboxPush), wanted{
				topic: strings.TrimPrefix(own, pubSubPrefix), pushed: true, all: true,
			}, noTrigger)...)
		}
	}
	if !slices.ContainsFunc(list.Items, wakes) {
		return []Finding{{Status: Problem, Text: noTrigger, Remedy: apply}}
	}
	return in.eventarcTrigger(ctx)
}

// wakes reports whether a notification tells of objects that come.
func wakes(n *storage.Notification) bool {
	return len(n.EventTypes) == 0 || slices.Contains(n.EventTypes, Finalized)
}

func judgeNotification(n *storage.Notification) Finding {
	switch {
	case !wakes(n):
		return Finding{Status: Problem, Remedy: apply,
			Text: "the inbox's notification leaves out " + Finalized + ": " + noTrigger}
	case n.PayloadFormat != JSONForm:
		return Finding{Status: Problem, Remedy: apply,
			Text: fmt.Sprintf("the inbox's notification has the payload %s, and Submit reads %s", n.PayloadFormat, JSONForm)}
	}
	return Finding{Status: OK, Text: "a notification wakes Submit"}
}

// eventarcTrigger checks the inbox's trigger at Eventarc, which lies where the bucket does, and its subscription.
func (in *installation) eventarcTrigger(ctx context.Context) []Finding {
	b, err := get[storage.Bucket](ctx, in.calls, in.bucketURL(in.Inbox))
	if err != nil {
		return []Finding{unread(cloudStorage, "", "storage.buckets.get", err)}
	}
	place := "https://eventarc.googleapis.com/v1/projects/" + in.Project + "/locations/" + strings.ToLower(b.Location) + "/triggers?"
	var own *eventarc.Trigger
	for token := ""; own == nil; {
		query := url.Values{"pageSize": {"1000"}, "pageToken": {token}}.Encode()
		page, err := get[eventarc.ListTriggersResponse](ctx, in.calls, place+query)
		if err != nil {
			return []Finding{unread(eventarcAPI, "", "eventarc.triggers.list", err)}
		}
		for _, t := range page.Triggers {
			if of(t, "bucket", in.Inbox) && of(t, "type", "google.cloud.storage.object.v1.finalized") {
				own = t
			}
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if own == nil {
		return []Finding{{Status: Problem, Text: "Eventarc has no trigger for the inbox: " + noTrigger, Remedy: apply}}
	}
	if own.Transport == nil || own.Transport.Pubsub == nil || own.Transport.Pubsub.Subscription == "" {
		return []Finding{{On: own.Name, Status: Problem, Text: "the trigger has no subscription", Remedy: apply}}
	}
	w := wanted{pushed: true, all: true, eventarc: true}
	return append([]Finding{judgeTrigger(own)}, in.checkSubscription(ctx, own.Transport.Pubsub.Subscription, w, noTrigger)...)
}

func of(t *eventarc.Trigger, attribute, value string) bool {
	return slices.ContainsFunc(t.EventFilters, func(f *eventarc.EventFilter) bool {
		return f.Attribute == attribute && f.Value == value
	})
}

// judgeTrigger judges a trigger's conditions: it has some only where something is wrong.
func judgeTrigger(t *eventarc.Trigger) Finding {
	for name, c := range t.Conditions {
		if c.Code != "" && c.Code != "OK" {
			text := fmt.Sprintf("Eventarc says of %s: %s, %s", name, c.Code, firstLine(c.Message))
			return Finding{On: t.Name, Status: Problem, Text: text, Remedy: apply}
		}
	}
	return Finding{On: t.Name, Status: OK, Text: "Eventarc wakes Submit"}
}
