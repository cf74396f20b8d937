package routes

import (
	"flag"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/check/glob"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/internal/testing/schematest"
	"github.com/jobdrop/jobdrop/internal/text/reference"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var update = flag.Bool("update", false, "write routes.schema.json anew")

type object = schematest.Object

// descriptions returns an entry for each member of each structure.
func descriptions() map[string]schematest.Described {
	name := object{"pattern": nameFormat.String()}
	with := func(more object, of object) object {
		all := maps.Clone(of)
		maps.Copy(all, more)
		return all
	}
	ref := object{
		"pattern": "^" + reference.Expression + "$", "examples": []string{"secret://projects/my-project/secrets/NAME"},
	}
	url := object{
		"pattern": "^(" + reference.Expression + "|https?://.+)$", "examples": []string{"https://ops.example.com/jobdrop"},
	}
	patterns := func(text string, known []string, examples ...string) schematest.Described {
		items := object{"minLength": 1, "maxLength": glob.MaxPattern}
		if known != nil {
			items["examples"] = known
		}
		return schematest.Described{
			Text: text, More: object{"minItems": 1, "maxItems": maxEntries, "examples": [][]string{examples}}, Items: items,
		}
	}
	folder := func(text string, example string) schematest.Described {
		d := patterns(text, nil, example)
		maps.Copy(d.Items, object{"pattern": "^[^/]", "not": object{"pattern": "://"}})
		return d
	}
	expression := "An expression over the event's variables: docs/notify.md lists them."
	pieces := object{"minLength": 1, "maxLength": notice.MaxTemplate}
	mail := object{"pattern": "^[^@ ]+@[^@ ]+$"}
	return map[string]schematest.Described{
		"document.destinations": {
			Text: "Where messages go, by names that routes use.",
			More: object{"minProperties": 1, "maxProperties": maxDestinations, "propertyNames": name},
		},
		"document.egress":    {Text: "What destinations may reach beside Slack and PagerDuty."},
		"document.owners":    {Text: "People to mention, by the uploader's name, exactly as it is."},
		"document.templates": {Text: "Words of your own, by names that routes use.", More: object{"propertyNames": name}},
		"document.route":     {Text: "The first route, which every event comes to."},

		"endpoint.slack": {Text: "A channel of Slack, by a bot: one thread for each folder, whose first message " +
			"shows the newest state."},
		"endpoint.slackWebhook": {Text: "An incoming webhook of Slack: plain messages."},
		"endpoint.webhook":      {Text: "A receiver of Standard Webhooks; it gets the events as they are."},
		"endpoint.email":        {Text: "A mail server, and who gets mail through it."},
		"endpoint.pagerduty":    {Text: "A service of PagerDuty, by an integration for Events v2."},
		"endpoint.every": {
			Text: "How often a test message is sent; never if missing.",
			More: object{"pattern": `^([0-9]+(\.[0-9]+)?h)?([0-9]+(\.[0-9]+)?m)?([0-9]+(\.[0-9]+)?s)?$`,
				"examples": []string{"24h"}},
		},
		"Slack.token": {Text: "The bot's token, xoxb-…, as a reference to a secret.", More: ref},
		"Slack.channel": {
			Text: "The channel's ID.", More: object{"pattern": slackChannel.String(), "examples": []string{"C0123456789"}},
		},
		"Slack.url": {
			Text: "Base URL, if it is not https://slack.com.",
			More: object{"pattern": "^https?://.+", "examples": []string{"https://slack-gov.com"}},
		},
		"SlackWebhook.url": {Text: "The webhook's URL, which is a secret.", More: url},
		"Webhook.url":      {Text: "The receiver's URL, whose host is one of egress.hosts, or a reference to it.", More: url},
		"Webhook.keys": {
			Text: "Keys, whsec_…, as references to secrets. Each signs: while one is replaced, both stand here.",
			More: object{"minItems": 1, "maxItems": maxKeys}, Items: ref,
		},
		"Email.server": {
			Text: "Host and port; the host is one of egress.hosts.",
			More: object{"pattern": "^.+:[0-9]+$", "examples": []string{"smtp.example.com:587"}},
		},
		"Email.tls":      {Text: "starttls if missing, tls from the first byte on, or none."},
		"Email.username": {Text: "Name to log in with."},
		"Email.password": {Text: "Password, as a reference to a secret.", More: ref},
		"Email.from":     {Text: "Address that mail is sent from.", More: mail},
		"Email.to": {Text: "Addresses that mail is sent to.", More: object{"minItems": 1, "maxItems": 50},
			Items: mail},
		"PagerDuty.routingKey": {Text: "The integration's routing key, as a reference to a secret.", More: ref},
		"PagerDuty.url": {
			Text: "Base URL, if it is not https://events.pagerduty.com.",
			More: object{"pattern": "^https?://.+", "examples": []string{"https://events.eu.pagerduty.com"}},
		},
		"PagerDuty.severity": {Text: "Severity of incidents; critical if missing."},

		"egress.hosts": {
			Text: "Names of hosts, without port and wildcard.", More: object{"maxItems": maxEntries,
				"examples": [][]string{{"ops.example.com"}}},
			Items: object{"pattern": `^[A-Za-z0-9.:\[\]-]+$`},
		},
		"egress.networks": {
			Text:  "Private ranges of addresses that may be reached; none if missing.",
			More:  object{"maxItems": maxEntries, "examples": [][]string{{"10.1.0.0/16"}}},
			Items: object{"pattern": "^.+/[0-9]+$"},
		},
		"owner.slack": {
			Text: "ID of a user (U or W) or a group (S).", More: object{"pattern": slackPerson.String(),
				"examples": []string{"U0123456789"}},
		},
		"owner.email": {Text: "The person's address.", More: mail},

		"template.title": {
			Text: "Title, in which {{ expression }} stands for a value.",
			More: with(object{"examples": []string{"{{ drop }} is {{ state }}"}}, pieces),
		},
		"template.summary": {Text: "Summary, in which {{ expression }} stands for a value.", More: pieces},
		"template.next": {Text: "What to do now, a step in each line, in which {{ expression }} stands for a value.",
			More: pieces},

		"route.name": {
			Text: "Name that stands in the records of what was told. Required below the first route, and unique.", More: name,
		},
		"route.match": {Text: "What an event must have: all of these lists must match, and of each list one entry."},
		"route.when": {
			Text: expression,
			More: object{
				"minLength": 1, "maxLength": notice.MaxExpression, "examples": []string{`ran > duration("1h") and not retryable`},
			},
		},
		"route.to": {
			Text: "Destinations. If missing, those of the route above; [] tells nobody.",
			More: object{"maxItems": maxDestinations},
		},
		"route.template": {Text: "Template. If missing, that of the route above."},
		"route.continue": {Text: "The event goes on to the routes after this one, too."},
		"route.namable": folder("Folders whose job files may name the route in jobdrop.notify. It takes no other events "+
			"then.",
			"teams/nlp/**"),
		"route.routes": {Text: "Routes below: the first that matches takes the event."},

		"match.types": patterns("Types of events; if missing, what each destination takes by itself.", Types(),
			"job.failed", "drop.*"),
		"match.states": patterns("States.", States(), "failed"),
		"match.drops": folder("Folders of the inbox: * stands for any characters other than /, ** for any characters "+
			"at all.", "teams/nlp/**"),
		"match.labels": {Text: "Labels of the job. Each must have one of its values.",
			More: object{"examples": []object{{"team": []string{"nlp-*"}}}}},
		"match.backends": patterns("Backends.", []string{"aiplatform", "vertex"}, "vertex"),
		"match.errorCodes": patterns("Codes of errors, as in google.rpc.Code.", nil,
			"INTERNAL"),
		"match.timeoutKinds":   patterns("Which limit was passed.", []string{job.KindWait, job.KindRun}, "wait"),
		"match.correlationIds": patterns("Correlation IDs of uploads.", nil, "ci-*"),
		"match.uploaders":      patterns("Names of uploaders, which nobody verifies.", nil, "*@example.com"),
	}
}

func TestSchema(t *testing.T) {
	schematest.UpToDate(t, "routes.schema.json", schematest.Source{
		Root: reflect.TypeFor[document](), ID: "https://jobdrop.dev/schemas/routes.schema.json", Title: "jobdrop routes",
		Description:  "Who is told of what becomes of drops, where, and in which words.",
		Descriptions: descriptions(),
		Required: map[string][]string{
			"document": {"destinations", "route"}, "Slack": {"token", "channel"}, "SlackWebhook": {"url"},
			"Webhook": {"url", "keys"}, "Email": {"server", "from", "to"}, "PagerDuty": {"routingKey"},
		},
	}.Generate(t), *update)
}

// What the schema and the check both know, they agree on. That another thing is needed, only Parse knows.
func TestSchemaAgrees(t *testing.T) {
	s, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	validate := schematest.Validator(t, s)
	data, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	accepted := []string{string(data), many(10)}
	for _, tt := range parseCases() {
		if !slices.ContainsFunc(tt.want, func(v string) bool { return !strings.HasPrefix(v, "warning ") }) {
			accepted = append(accepted, tt.data)
		}
	}
	for _, data := range accepted {
		if err := validate([]byte(data)); err != nil {
			t.Errorf("%v\n%s", err, data)
		}
	}
	refused := []string{
		"[]", "{}", "destinations: {A: {slackWebhook: {url: env://A}}}\nroute: {to: [A]}",
		"destinations: {}\nroute: {to: []}",
	}
	for _, rest := range []string{
		"", "route: []", "rute: {to: [a]}", "route: {to: [a], mach: {}}", "route: {to: [a], name: A}",
		"route: {to: [a], match: {types: []}}", "route: {to: [a], match: {type: [a]}}",
		"route: {to: [a], match: {states: ['']}}",
		"route: {to: [a], match: {drops: [/a]}}", "route: {to: [a], match: {drops: ['gs://a']}}",
		"route: {to: [a], match: {labels: [a]}}", "route: {to: [a], when: ''}", "route: {to: [a], continue: maybe}",
		"route: {to: [a], routes: {name: a}}", "route: {to: [a], routes: [{name: x, routes: [{name: y, whem: a}]}]}",
		"route: {to: [a]}\negress: {hosts: ['a b']}", "route: {to: [a]}\negress: {networks: [10.0.0.0]}",
		"route: {to: [a]}\nowners: {x: {slack: me}}", "route: {to: [a]}\nowners: {x: {email: me}}",
		"route: {to: [a]}\nowners: {x: {phone: me}}", "route: {to: [a]}\ntemplates: {x: {body: me}}",
	} {
		refused = append(refused, "destinations: {a: {slackWebhook: {url: env://A}}}\n"+rest)
	}
	for _, of := range []string{
		"slack: {token: xoxb-1, channel: C0123456789}", "slack: {token: env://A, channel: general}",
		"slack: {token: env://A}",
		"slackWebhook: {}", "slackWebhook: {url: env://A}, every: 1d", "webhook: {url: env://A}",
		"webhook: {url: env://A, keys: [a]}", "email: {server: a, from: a@b, to: [a@b]}",
		"email: {server: 'a:1', tls: ssl, from: a@b, to: [a@b]}", "pagerduty: {routingKey: abc}",
		"pagerduty: {routingKey: env://A, severity: bad}",
	} {
		refused = append(refused, "destinations: {a: {"+of+"}}\nroute: {to: [a]}")
	}
	for _, data := range refused {
		if validate([]byte(data)) == nil {
			t.Errorf("the schema accepts: %s", data)
		}
		if _, vs := Parse("routes.yaml", []byte(data)); !job.HasErrors(vs) {
			t.Errorf("only the schema refuses: %s", data)
		}
	}
}
