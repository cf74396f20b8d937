package routes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

const sample = "../../../testdata/routes/routes.yaml"

// example returns an event of the documentation.
func example(t testing.TB, name string) notice.Event {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../../docs/events", name+".v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Attributes map[string]string
		Data       json.RawMessage
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	c, err := event.FromMessage(m.Attributes, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	e, err := notice.Decode(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// parse reads a file that must have no errors.
func parse(t testing.TB, data string) *File {
	t.Helper()
	f, vs := Parse("routes.yaml", []byte(data))
	if f == nil {
		t.Fatalf("%v\n%s", vs, data)
	}
	return f
}

// with returns a file with two destinations and the route.
func with(route string) string {
	return `destinations:
  a: {slackWebhook: {url: env://A}}
  b: {slack: {token: env://B, channel: C0123456789}}
  c: {webhook: {url: env://C, keys: [env://K]}}
` + route
}

type parseCase struct {
	name, data string
	// want has, for each violation, its severity unless it is an error, its place, rule and field.
	want []string
}

func parseCases() []parseCase {
	return []parseCase{
		{"the least", "destinations: {a: {slackWebhook: {url: env://A}}}\nroute: {to: [a]}\n", nil},
		{"one destination without a list", "destinations: {a: {slackWebhook: {url: env://A}}}\nroute: {to: a}\n", nil},
		{"nobody", with("route: {to: []}"), []string{
			"warning 2:3 routes-unused destinations.a", "warning 3:3 routes-unused destinations.b",
			"warning 4:3 routes-unused destinations.c",
		}},
		{"empty", "", []string{"0:0 file-empty "}},
		{"nothing", "{}", []string{"1:1 routes-destination destinations", "1:1 routes-route route"}},
		{"not a mapping", "[]", []string{"1:1 shape "}},
		{"unknown fields", with("route: {to: [a, b, c], mach: {}}\ndestination: {}\n"), []string{
			"5:24 unknown-field route.mach", "6:1 unknown-field destination",
		}},
		{"settings without a value", with("route:\n  to: [a, b, c]\n  match:\n  when:\negress:\n"), []string{
			"7:3 routes-empty route.match", "8:3 routes-empty route.when", "9:1 routes-empty egress",
		}},
		{"a destination without a value", "destinations: {a: }\nroute: {to: [a]}",
			[]string{"1:16 routes-empty destinations.a"}},
		{
			"names", "destinations:\n  A_b: {slackWebhook: {url: env://A}}\n  -: {slackWebhook: {url: env://A}}\n" +
				"templates:\n  a.b: {title: a}\nroute:\n  name: default/x\n  to: ['A_b', '-']\n  template: a.b\n",
			[]string{
				"2:3 routes-name destinations.A_b", "3:3 routes-name destinations.-", "5:3 routes-name templates.a.b",
				"7:9 routes-name route.name",
			},
		},
		{
			"kinds", "destinations:\n  a: {}\n  b: {slackWebhook: {url: env://A}, pagerduty: {routingKey: env://A}}\n  c: " +
				"{slack: }\n" +
				"  d: {every: 24h}\n  e: {email: {}}\nroute: {to: [a, b, c, d, e]}\n",
			[]string{
				"2:3 routes-destination destinations.a", "3:3 routes-destination destinations.b",
				"4:7 routes-empty destinations.c.slack", "5:3 routes-destination destinations.d",
				"6:7 routes-required destinations.e.email.from", "6:7 routes-required destinations.e.email.server",
				"6:7 routes-required destinations.e.email.to",
			},
		},
		{
			"what kinds need", "destinations:\n  a: {slack: {}}\n  b: {slackWebhook: {}}\n  c: {webhook: {}}\n  d: " +
				"{pagerduty: {}}\n" +
				"route: {to: [a, b, c, d]}\n",
			[]string{
				"2:7 routes-required destinations.a.slack.channel", "2:7 routes-required destinations.a.slack.token",
				"3:7 routes-required destinations.b.slackWebhook.url", "4:7 routes-required destinations.c.webhook.keys",
				"4:7 routes-required destinations.c.webhook.url", "5:7 routes-required destinations.d.pagerduty.routingKey",
			},
		},
		{
			"references", "destinations:\n" +
				"  a: {slack: {token: xoxb-1234, channel: C0123456789}}\n" +
				"  b: {slack: {token: secret://p/s, channel: C0123456789}}\n" +
				"  c: {slack: {token: env://A-B, channel: '#general'}}\n" +
				"  d: {slack: {token: 1234567890, channel: C0123456789}}\n" +
				"  e: {webhook: {url: env://A, keys: [whsec_abc, secret://projects/p1/secrets/s/versions/3]}}\n" +
				"  f: {pagerduty: {routingKey: secret://projects/p1/secrets/s/versions/0}}\n" +
				"  g: {slackWebhook: {url: https://hooks.slack.com/services/T/B/x}}\n" +
				"route: {to: [a, b, c, d, e, f, g]}\n",
			[]string{
				"2:22 routes-secret destinations.a.slack.token", "3:22 routes-secret destinations.b.slack.token",
				"4:22 routes-secret destinations.c.slack.token", "4:42 routes-slack-channel destinations.c.slack.channel",
				"5:22 text destinations.d.slack.token", "6:38 routes-secret destinations.e.webhook.keys[0]",
				"7:31 routes-secret destinations.f.pagerduty.routingKey",
				"8:27 routes-secret destinations.g.slackWebhook.url",
			},
		},
		{
			"URLs", "destinations:\n" +
				"  a: {webhook: {url: https://ops.example.com/a, keys: env://K}}\n" +
				"  b: {webhook: {url: https://other.example.com/a, keys: env://K}}\n" +
				"  c: {webhook: {url: http://ops.example.com/a, keys: env://K}}\n" +
				"  d: {webhook: {url: 'http://10.1.2.3:8080/a', keys: env://K}}\n" +
				"  e: {webhook: {url: 'http://localhost:8080/a', keys: env://K}}\n" +
				"  f: {webhook: {url: 'https://u:p@ops.example.com/', keys: env://K}}\n" +
				"  g: {webhook: {url: ops.example.com, keys: env://K}}\n" +
				"  h: {webhook: {url: 'ftp://ops.example.com', keys: env://K}}\n" +
				"  i: {webhook: {url: 'http://10.2.2.3/a', keys: env://K}}\n" +
				"  j: {pagerduty: {url: https://events.eu.pagerduty.com, routingKey: env://K}}\n" +
				"  k: {pagerduty: {url: https://events.au.pagerduty.com, routingKey: env://K}}\n" +
				"egress: {hosts: [OPS.example.com.], networks: [10.1.0.0/16]}\n" +
				"route: {to: [a, b, c, d, e, f, g, h, i, j, k]}\n",
			[]string{
				"3:22 routes-egress destinations.b.webhook.url", "4:22 routes-url destinations.c.webhook.url",
				"6:22 routes-egress destinations.e.webhook.url", "7:22 routes-secret destinations.f.webhook.url",
				"8:22 routes-url destinations.g.webhook.url", "9:22 routes-url destinations.h.webhook.url",
				"10:22 routes-egress destinations.i.webhook.url", "12:24 routes-egress destinations.k.pagerduty.url",
			},
		},
		{
			"on this machine", "destinations: {a: {webhook: {url: 'http://localhost:8080/a', keys: env://K}}}\n" +
				"egress: {networks: [127.0.0.0/8]}\nroute: {to: a}\n", nil,
		},
		{
			"egress", "destinations: {a: {slackWebhook: {url: env://A}}}\n" +
				"egress:\n  hosts: [https://a.example, '*.example.com', a.example:443, 192.0.2.1, '']\n" +
				"  networks: [10.0.0.0, 10.1.2.3/16, 169.254.0.0/16, 0.0.0.0/0, fd00::/8]\nroute: {to: a}\n",
			[]string{
				"3:11 routes-host egress.hosts[0]", "3:30 routes-host egress.hosts[1]", "3:47 routes-host egress.hosts[2]",
				"3:73 routes-host egress.hosts[4]", "4:14 routes-network egress.networks[0]",
				"warning 4:24 routes-network egress.networks[1]", "4:37 routes-network egress.networks[2]",
				"4:53 routes-network egress.networks[3]", "4:64 routes-network egress.networks[4]",
			},
		},
		{
			"mail", "destinations:\n" +
				"  a: {email: {server: mail.example.com, from: a, to: 'Ann <ann@example.com>'}}\n" +
				"  b: {email: {server: 'mail.example.com:0', from: a@b, to: [a@b, '']}}\n" +
				"  c: {email: {server: 'mail.example.com:25', tls: none, username: u, password: env://P, from: a@b, to: [a@b]}}\n" +
				"  d: {email: {server: 'mail.example.com:25', tls: ssl, username: u, from: a@b, to: [a@b]}}\n" +
				"  e: {email: {server: '[fd00::1]:25', password: env://P, from: a@b, to: []}}\n" +
				"egress: {hosts: [mail.example.com], networks: ['fd00::/16']}\nroute: {to: [a, b, c, d, e]}\n",
			[]string{
				"2:23 routes-server destinations.a.email.server", "2:47 routes-address destinations.a.email.from",
				"2:54 routes-address destinations.a.email.to[0]", "warning 2:54 list-of-one destinations.a.email.to",
				"3:23 routes-server destinations.b.email.server", "3:66 routes-address destinations.b.email.to[1]",
				"4:51 routes-tls destinations.c.email.tls", "5:7 routes-required destinations.d.email.password",
				"5:51 enum destinations.d.email.tls", "6:7 routes-required destinations.e.email.username",
				"6:69 routes-required destinations.e.email.to",
			},
		},
		{
			"mail in clear", "destinations:\n" +
				"  a: {email: {server: 'mail.example.com:25', tls: none, from: a@b, to: [a@b]}}\n" +
				"  b: {email: {server: '10.1.2.3:25', tls: none, from: a@b, to: [a@b]}}\n" +
				"  c: {email: {server: 'LOCALHOST:25', tls: none, from: a@b, to: [a@b]}}\n" +
				"  d: {email: {server: '127.0.0.2:25', tls: none, from: a@b, to: [a@b]}}\n" +
				"  e: {email: {server: '[::1]:25', tls: none, from: a@b, to: [a@b]}}\n" +
				"egress: {hosts: [mail.example.com], networks: [10.1.0.0/16, 127.0.0.0/8, '::1/128']}\n" +
				"route: {to: [a, b, c, d, e]}\n",
			[]string{"2:51 routes-tls destinations.a.email.tls", "3:43 routes-tls destinations.b.email.tls"},
		},
		{
			"networks with other ways to the metadata", "destinations: {a: {slackWebhook: {url: env://A}}}\n" +
				"egress:\n  networks:\n" +
				"  - 169.254.169.254/32\n  - fd20:ce::/32\n  - 64:ff9b::/96\n  - 64:ff9b::a9fe:a9fe/128\n  - 64:ff9b:1:2::/64\n" +
				"  - ::ffff:0:0/96\n  - ::ffff:10.0.0.0/104\n  - 2002:a9fe::/32\n  - ::/1\n  - ::/0\n" +
				"  - fd20:cf::/32\n  - 169.254.0.0/17\n  - ::1/128\nroute: {to: a}\n",
			[]string{
				"4:5 routes-network egress.networks[0]", "5:5 routes-network egress.networks[1]",
				"6:5 routes-network egress.networks[2]", "7:5 routes-network egress.networks[3]",
				"8:5 routes-network egress.networks[4]", "9:5 routes-network egress.networks[5]",
				"10:5 routes-network egress.networks[6]", "11:5 routes-network egress.networks[7]",
				"12:5 routes-network egress.networks[8]", "13:5 routes-network egress.networks[9]",
			},
		},
		{
			"private addresses without a network", "destinations:\n" +
				"  a: {webhook: {url: 'http://localhost:9901/hook', keys: env://K}}\n" +
				"  b: {webhook: {url: 'https://10.1.2.3/h', keys: env://K}}\n" +
				"  c: {email: {server: '[::1]:25', from: a@b, to: [a@b]}}\n" +
				"  d: {pagerduty: {url: 'http://127.0.0.1:1', routingKey: env://K}}\n" +
				"  e: {slack: {url: 'http://169.254.169.254', token: env://K, channel: C0123456789}}\n" +
				"  f: {webhook: {url: 'https://192.0.2.1/h', keys: env://K}}\n" +
				"egress: {hosts: [192.0.2.1]}\nroute: {to: [a, b, c, d, e, f]}\n",
			[]string{
				"2:22 routes-egress destinations.a.webhook.url", "3:22 routes-egress destinations.b.webhook.url",
				"4:23 routes-egress destinations.c.email.server", "5:24 routes-egress destinations.d.pagerduty.url",
				"6:20 routes-egress destinations.e.slack.url",
			},
		},
		{
			"private addresses among the hosts", "destinations:\n" +
				"  a: {webhook: {url: 'http://localhost:9901/hook', keys: env://K}}\n" +
				"  b: {webhook: {url: 'https://10.1.2.3/h', keys: env://K}}\n" +
				"  c: {webhook: {url: 'https://ops.example.com/h', keys: env://K}}\n" +
				"egress: {hosts: [localhost, 10.1.2.3, '*.example.com']}\nroute: {to: [a, b, c]}\n",
			[]string{
				"5:18 routes-egress egress.hosts[0]", "5:29 routes-egress egress.hosts[1]", "5:39 routes-host egress.hosts[2]",
			},
		},
		{
			"webhooks of Slack", "destinations:\n" +
				"  a: {slack: {url: https://hooks.slack.com/services/T/B/x, token: env://A, channel: C0123456789}}\n" +
				"  b: {webhook: {url: https://hooks.slack.com/services/T/B/x, keys: env://K}}\n" +
				"  c: {slackWebhook: {url: 'http://127.0.0.1:1/'}}\n" +
				"egress: {networks: [127.0.0.0/8]}\nroute: {to: [a, b, c]}\n",
			[]string{
				"2:20 routes-slack-webhook destinations.a.slack.url", "3:22 routes-slack-webhook destinations.b.webhook.url",
			},
		},
		{
			"numbers and truth values", "destinations:\n" +
				"  a: {email: {server: 'smtp.example.com:1', tls: true, from: a@b, to: [a@b]}}\n" +
				"  b: {pagerduty: {routingKey: env://A, severity: 1}, every: 24}\n" +
				"egress: {hosts: [smtp.example.com]}\nroute: {to: [a, b], namable: true, when: 1, match: {states: [on]}}\n",
			[]string{
				"2:50 text destinations.a.email.tls", "3:50 text destinations.b.pagerduty.severity",
				"3:61 text destinations.b.every",
				"5:30 text route.namable[0]", "5:42 text route.when", "5:62 text route.match.states[0]",
			},
		},
		{"nobody is named", with("route:\n  to:\n"), []string{"6:3 routes-empty route.to"}},
		{
			"a space at the end", with("route: {to: [a, b, c], match: {types: ['job.failed ']}}"),
			[]string{"5:40 routes-pattern route.match.types[0]"},
		},
		{
			"a route below takes all", with("route:\n  to: [a, b]\n  routes:\n" +
				"  - {name: x, to: [c], match: {states: [failed]}}\n  - {name: all, to: [c], continue: true}\n"),
			[]string{"warning 6:3 routes-unreached route.to"},
		},
		{
			"a route below takes all types", with("route:\n  to: [a, b]\n  routes:\n" +
				"  - {name: all, to: [c], match: {types: ['drop.*', 'job.*'], drops: ['**']}, continue: true}\n" +
				"  - name: x\n    to: [a]\n    match: {states: [failed]}\n    routes: [{name: y, to: [c]}]\n"),
			[]string{"warning 6:3 routes-unreached route.to", "warning 10:5 routes-unreached route.routes[1].to"},
		},
		{
			"a route below takes all, and another inherits", with("route:\n  to: [a, b]\n  routes:\n" +
				"  - {name: all, to: [c], match: {types: ['*']}, continue: true}\n  - {name: people, match: {states: [failed]}}\n"),
			nil,
		},
		{
			"a route below takes all, and one that inherits passes all on", with("route:\n  to: [a, b]\n  routes:\n" +
				"  - {name: all, match: {types: ['*']}, routes: [{name: x, to: [c]}]}\n"),
			[]string{"warning 6:3 routes-unreached route.to"},
		},
		{
			"a route below takes nearly all", with("route:\n  to: [a, b]\n  routes:\n" +
				"  - {name: all, to: [c], match: {types: ['job.*'], uploaders: ['**']}, continue: true}\n"),
			nil,
		},
		{
			"durations", "destinations:\n  a: {slackWebhook: {url: env://A}, every: 5m}\n  b: {slackWebhook: {url: " +
				"env://A}, every: 1d}\n" +
				"  c: {slackWebhook: {url: env://A}, every: 9000h}\n  d: {slackWebhook: {url: env://A}, every: 24}\n" +
				"  e: {slackWebhook: {url: env://A}, every: 90m}\nroute: {to: [a, b, c, d]}\n",
			[]string{
				"2:44 routes-duration destinations.a.every", "3:44 routes-duration destinations.b.every",
				"4:44 routes-duration destinations.c.every", "5:44 text destinations.d.every",
			},
		},
		{
			"owners", with("owners:\n  ann: {}\n  ' bob': {email: bob@example.com}\n  eve: {slack: '@eve', email: " +
				"eve}\nroute: {to: [a, b, c]}\n"),
			[]string{
				"6:3 routes-owner owners.ann", "7:3 routes-owner owners. bob", "8:16 routes-owner owners.eve.slack",
				"8:31 routes-address owners.eve.email",
			},
		},
		{
			"templates", with("templates:\n  a: {}\n  b:\n    title: 'it''s {{ stat }}'\n    summary: |\n      one\n      " +
				"two {{ reson }}\n" +
				"    next: \"{{ labels }}\"\n  c: {title: \"a\\nb\"}\nroute: {to: [a, b, c], template: c, routes: [{name: a, " +
				"template: d}, {name: b, template: b}]}\n"),
			[]string{
				"6:3 routes-template templates.a",
				"8:22 routes-template templates.b.title", "11:14 routes-template templates.b.summary",
				"12:15 routes-template templates.b.next", "warning 13:14 routes-template templates.c.title",
				"warning 14:46 routes-unreached route.routes[0]", "14:66 routes-template route.routes[0].template",
			},
		},
		{
			"when", with("route:\n  to: [a, b, c]\n  routes:\n" +
				"  - {name: a, when: stat == \"a\"}\n" +
				"  - {name: b, when: 'labels[''a''] == stat'}\n" +
				"  - {name: c, when: \"ran > 'a'\"}\n" +
				"  - name: d\n    when: >\n      state ==\n      stat\n" +
				"  - name: e\n    when: |\n      state == \"é\" or\n        stat == 1\n" +
				"  - {name: f, when: \"state ==\\tstat\"}\n" +
				"  - {name: g, when: ''}\n  - {name: h, when: state}\n  - {name: i, when: true}\n" +
				"  - name: j\n    when: state ==\n      stat\n"),
			[]string{
				"8:21 routes-when route.routes[0].when", "9:39 routes-when route.routes[1].when",
				"10:26 routes-when route.routes[2].when", "12:11 routes-when route.routes[3].when",
				"18:9 routes-when route.routes[4].when", "19:21 routes-when route.routes[5].when",
				"20:22 routes-when route.routes[6].when", "21:21 routes-when route.routes[7].when",
				"22:21 text route.routes[8].when", "24:11 routes-when route.routes[9].when",
			},
		},
		{
			"routes", with("route:\n  continue: true\n  routes:\n" +
				"  - {to: [a]}\n  - {name: x, to: [a, a, d]}\n  - {name: x, to: [], match: {states: [failed]}}\n" +
				"  - {name: default, to: [b, c], when: retryable}\n"),
			[]string{
				"5:1 routes-to route.to", "6:13 routes-continue route.continue", "8:5 routes-name route.routes[0].name",
				"warning 8:5 routes-unreached route.routes[0]", "warning 9:5 routes-unreached route.routes[1]",
				"9:23 routes-to route.routes[1].to[1]", "9:26 routes-to route.routes[1].to[2]",
				"10:12 routes-name route.routes[2].name", "11:12 routes-name route.routes[3].name",
			},
		},
		{
			"matches", with("route:\n  to: [a, b, c]\n  match:\n    types: [job.faild, dev.jobdrop.job.lost.v1, failed, " +
				"'job.*']\n" +
				"    states: [timed-out, FAILED]\n    drops: ['gs://inbox/a', /a, 'a?', 'a/']\n    labels: {team: [], Team: x, " +
				"tier: 'a '}\n" +
				"    backends: [vertx]\n    errorCodes: ['']\n    timeoutKinds: [queue]\n    correlationIds: []\n" +
				"    uploaders: ['" + strings.Repeat("a*", 17) + "']\n  namable: ['gs://a']\n"),
			[]string{
				"8:13 routes-types route.match.types[0]", "8:24 routes-types route.match.types[1]",
				"8:49 routes-types route.match.types[2]", "9:14 routes-states route.match.states[0]",
				"9:25 routes-states route.match.states[1]", "10:13 routes-drop route.match.drops[0]",
				"10:29 routes-drop route.match.drops[1]", "warning 10:33 routes-pattern route.match.drops[2]",
				"11:14 routes-pattern route.match.labels.team", "warning 11:30 routes-label route.match.labels.Team",
				"11:39 routes-pattern route.match.labels.tier[0]", "warning 11:39 list-of-one route.match.labels.tier",
				"12:16 routes-backends route.match.backends[0]", "13:18 routes-pattern route.match.errorCodes[0]",
				"14:20 routes-timeout-kinds route.match.timeoutKinds[0]", "15:5 routes-pattern route.match.correlationIds",
				"16:17 routes-pattern route.match.uploaders[0]", "17:13 routes-drop route.namable[0]",
			},
		},
		{"a match of nothing", with("route: {to: [a, b, c], match: {}}"), []string{"warning 5:24 routes-match route.match"}},
		{
			"a list in the wrong place", with("route: {to: [a, b, c], types: [job.failed]}\n"),
			[]string{"5:24 unknown-field route.types"},
		},
	}
}

func TestParse(t *testing.T) {
	for _, tt := range parseCases() {
		t.Run(tt.name, func(t *testing.T) {
			f, vs := Parse("routes.yaml", []byte(tt.data))
			var got []string
			for _, v := range vs {
				line := fmt.Sprintf("%d:%d %s %s", v.Line, v.Column, v.Rule, v.Field)
				if v.Severity == job.Warning {
					line = "warning " + line
				}
				got = append(got, line)
				if !rules.Known(v.Rule) || v.Message == "" || v.Remedy == "" || v.File != "routes.yaml" {
					t.Errorf("violation %+v", v)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, tt.data)
			}
			if (f == nil) != job.HasErrors(vs) {
				t.Errorf("file %v", f)
			}
		})
	}
}

// Messages name what is meant, and never a secret.
func TestMessages(t *testing.T) {
	for _, tt := range []struct{ data, has string }{
		{with("route: {to: [aa]}"), "routes.yaml:5:14: route.to[0]: the file has no destination of this name; did you " +
			"mean a? " +
			"(found aa, allowed: a, b, c); write a"},
		{with("route: {to: [a], match: {types: [job.timed-out]}}"), "did you mean job.timed_out? (found job.timed-out, "},
		{with("route: {to: [a], match: {types: [dev.jobdrop.job.lost.v1]}}"), "did you mean job.lost?"},
		{with("route: {to: [a], when: 'retriable'}"), "routes.yaml:5:25: route.when: retriable is not a variable or " +
			"function; did you mean retryable?"},
		{with("route: {to: [a], when: \"state \\u003d= stat\"}"), "did you mean state?, at character 10 of the text"},
		{with("route: {to: [a], channel: C01}"), "move it to destinations.*.slack.channel"},
		{with("route: {to: [a], routes: [{name: x, routs: []}]}"), "did you mean routes?"},
		{with("route: {to: [a], match: {types: [job.faild]}}"), "no event has this type; did you mean job.failed?"},
		{"destinations: {a: {email: {tls: true}}}", "text is expected (found true, allowed: starttls, tls, none); " +
			"write starttls, tls or none"},
		{"destinations: {a: {every: 24}}", "write 24h, for example"},
		{with("route: {to: [a], namable: true}"),
			"write the folders whose job files may name the route, such as ['teams/nlp/**']"},
		{with("route: {to: [a], when: 1}"), "write an expression that is true or false, such as state == \"failed\""},
		{with("route: {to: [a], match: {states: [on]}}"), "write the name of a state"},
		{"destinations:\n  a:\n    slack:\n      token: ${SLACK}\n", "did you mean env://SLACK?"},
		{"destinations: {a: {slack: {token: $SLACK}}}", "if it is a variable's name, write env:// before it in place of $"},
		{"destinations: {a: {slack: {token: projects/p1/secrets/s}}}", "did you mean secret://projects/p1/secrets/s?"},
		{"destinations: {a: {webhook: {url: projects/p1/secrets/s}}}", "did you mean secret://projects/p1/secrets/s?"},
		{"destinations:\n  a:\n    webhook:\n      url: ${HOOK}\n", "did you mean env://HOOK?"},
		{"destinations: {a: {slack: {url: 'https://hooks.slack.com/services/T/B/x'}}}", "did you mean slackWebhook?"},
		{"destinations: {a: {webhook: {url: 'https://10.1.2.3/h'}}}",
			"the address 10.1.2.3 is a private one, which is reached " +
				"through egress.networks alone (found a value that is not shown); add 10.1.2.3/32 to the list egress.networks"},
		{"destinations: {a: {webhook: {url: 'http://localhost:1/h'}}}",
			"localhost is the machine that Notify runs on, which is " +
				"reached through egress.networks alone (found a value that is not shown); add 127.0.0.0/8 to the list"},
		{"destinations: {a: {webhook: {url: 'http://[::1]:1/h'}}}", "add ::1/128 to the list egress.networks"},
	} {
		_, vs := Parse("routes.yaml", []byte(tt.data))
		var all strings.Builder
		for _, v := range vs {
			all.WriteString(v.String() + "\n")
		}
		if !strings.Contains(all.String(), tt.has) {
			t.Errorf("lacks %q:\n%s", tt.has, all.String())
		}
	}
}

func TestSample(t *testing.T) {
	data, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	f, vs := Parse("routes.yaml", data)
	if len(vs) > 0 {
		t.Fatal(vs)
	}
	if diff := cmp.Diff([]string{"mail", "ops", "pager", "room", "team"}, f.Destinations()); diff != "" {
		t.Error(diff)
	}
	want := map[string]Destination{
		"team": {
			Name: "team", Every: 24 * time.Hour,
			Slack: &Slack{Token: "secret://projects/acme-ml/secrets/slack-token", Channel: "C0123456789"},
		},
		"room": {Name: "room", SlackWebhook: &SlackWebhook{URL: "env://SLACK_WEBHOOK_URL"}},
		"ops": {Name: "ops", Webhook: &Webhook{URL: "https://ops.example.com/jobdrop", Keys: []Reference{
			"secret://projects/acme-ml/secrets/hook-key/versions/2", "secret://projects/acme-ml/secrets/hook-key/versions/1",
		}}},
		"mail": {Name: "mail", Email: &Email{
			Server: "smtp.example.com:587", TLS: "starttls", Username: "jobdrop",
			Password: "secret://projects/acme-ml/secrets/smtp",
			From:     "jobdrop@example.com", To: []string{"ml@example.com"},
		}},
		"pager": {Name: "pager", PagerDuty: &PagerDuty{
			RoutingKey: "secret://projects/acme-ml/secrets/pager/versions/latest", Severity: "error",
		}},
	}
	kinds := map[string]string{"team": "slack", "room": "slackWebhook", "ops": "webhook", "mail": "email",
		"pager": "pagerduty"}
	for name, d := range want {
		got, ok := f.Destination(name)
		if diff := cmp.Diff(d, got); diff != "" || !ok {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got.Kind() != kinds[name] || got.Progress() != (name == "team") ||
			got.Conversational() != (name == "team" || name == "pager") || got.CountsRepeats() != (name != "ops") {
			t.Errorf("%s: %s %t %t %t", name, got.Kind(), got.Progress(), got.Conversational(), got.CountsRepeats())
		}
	}
	if _, ok := f.Destination("none"); ok {
		t.Error("a destination that the file does not have")
	}
	if diff := cmp.Diff([]notice.Owner{{Name: "ci@acme.example", Slack: "S0123456789"}},
		f.Owners("ci@acme.example")); diff != "" {
		t.Error(diff)
	}
	if got := f.Owners("CI@acme.example"); got != nil {
		t.Error(got)
	}
	wantEgress := Egress{
		Hosts: []string{
			"events.eu.pagerduty.com", "events.pagerduty.com", "hooks.slack.com", "ops.example.com", "slack.com",
			"smtp.example.com",
		},
		Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
	}
	if diff := cmp.Diff(wantEgress, f.Egress(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	r, ok := f.Route("nlp-mail")
	if !ok || !r.Has("mail") || r.Has("room") || r.Template == nil {
		t.Errorf("%+v, %t", r, ok)
	}
	if root, ok := f.Route("default"); !ok || !root.Has("team") || root.Template != nil {
		t.Errorf("%+v, %t", root, ok)
	}
	if _, ok := f.Route("gone"); ok {
		t.Error("a route that the file does not have")
	}
}

// Addresses of networks that URLs name may be reached.
func TestEgressOfURLs(t *testing.T) {
	f := parse(t, "destinations:\n  a: {webhook: {url: 'http://127.0.0.1:1/', keys: env://K}}\n"+
		"  b: {webhook: {url: 'http://LOCALHOST:1/', keys: env://K}}\n  c: {email: {server: '[::1]:25', from: a@b, to: "+
		"a@b}}\n"+
		"egress: {networks: [127.0.0.0/8, '::1/128']}\nroute: {to: [a, b, c]}\n")
	want := append([]string{"127.0.0.1", "::1"}, append(vendors()[:3:3], "localhost", "slack.com")...)
	if diff := cmp.Diff(want, f.Egress().Hosts); diff != "" {
		t.Error(diff)
	}
}

// The examples of the documentation are files, or parts of one, that have no faults.
func TestDocumentedExamples(t *testing.T) {
	data, err := os.ReadFile("../../../docs/notify.md")
	if err != nil {
		t.Fatal(err)
	}
	const destinations = "destinations: {team: {slackWebhook: {url: env://A}}, " +
		"pager: {pagerduty: {routingKey: env://B}}}\n"
	const route = "route: {to: [team, pager]}\n"
	blocks := strings.Split(string(data), "```yaml\n")[1:]
	if len(blocks) < 6 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		var files []string
		switch begin, _, _ := strings.Cut(block, ":"); begin {
		case "# yaml-language-server":
			files = []string{block}
		case "route":
			files = []string{destinations + block}
		case "templates", "owners":
			files = []string{destinations + route + block}
		case "when":
			for line := range strings.Lines(block) {
				files = append(files, destinations+"route:\n  to: [team, pager]\n  "+line)
			}
		case "jobdrop": // of a job file
		default:
			t.Errorf("an example of no known kind:\n%s", block)
		}
		for _, file := range files {
			_, vs := Parse("routes.yaml", []byte(file))
			for _, v := range vs {
				if v.Rule != "routes-unused" || strings.HasPrefix(block, "#") {
					t.Errorf("%v\n%s", v, file)
				}
			}
		}
	}
}

// secrets are destinations in which a secret stands where a reference should, or where nothing should.
var secrets = []string{
	"a: {slack: {token: hunter2, channel: C0123456789}}", "a: {slack: {token: [hunter2]}}",
	"a: {slackWebhook: {url: https://hooks.slack.com/hunter2}}",
	"a: {slackWebhook: {url: 'ftp://hunter2'}}", "a: {webhook: {url: 'https://u:hunter2@a.example/', keys: hunter2}}",
	"a: {webhook: {url: 'https://slack.com/hunter2 ', keys: [hunter2, hunter2, 'secret://hunter2', 'env://hunter2!']}}",
	"a: {webhook: {keys: 'hunter2 a'}}", "a: {email: {password: hunter2}}",
	"a: {pagerduty: {routingKey: hunter2, url: 'http://slack.com/hunter2'}}",
	"a: {pagerduty: {routingKey: !!binary aHVudGVyMg==}}", "a: {pagerduty: {routingKey: hunter2, routingKey: hunter2}}",
	// misspelled
	"a: {slack: {tokn: hunter2, channel: general}}", "a: {email: {passwrd: hunter2}}", "a: {token: hunter2}",
	"a:\n    slack:\n      channel: general\n      tokn: hunter2", "a: {webhok: {keys: [hunter2]}}",
	"a:\n    webhok:\n      keys:\n      - hunter2", "a: {webhook: {key: [hunter2]}}", "a: {slack: {TOKEN: hunter2}}",
	"a:\n    slack:\n      tokn: |\n        hunter2", "a: {slack: {tokn: 1, x: {hunter: hunter2}}}",
	// of another shape
	"a: hunter2", "a: [hunter2]", "a: {slack: hunter2}", "a: {slack: [hunter2]}", "a: {slack: {token: {a: hunter2}}}",
	"a: {slackWebhook: https://hooks.slack.com/hunter2}", "a: {slack: {1: hunter2}}",
	// not YAML, or not YAML's way
	"a:\n    slack:\n      token: 'hunter2\n      channel: C01", "a: {slack: {token: *hunter2}}",
	"a: {slack: {token: @hunter2}}",
	"a:\n    slack:\n      token: hunter2: x", "a: {slack: {token: hunter2, channel: [}}",
	"a: {slack: {token: {{ hunter2 }}}}",
	"a:\n    slack:\n      token: \"\\hunter2\"", "a:\n    slack:\n\ttoken: hunter2", "a: {slack: {token: ${hunter2}}}",
	"a:\n    slack:\n      # token: hunter2\n      tokn: 1",
}

// No violation holds a secret, nor does the excerpt that is shown with it.
func TestSecretsAreHidden(t *testing.T) {
	const secret = "hunter2"
	for _, destination := range secrets {
		for _, data := range []string{
			"destinations:\n  " + destination + "\nroute: {to: [a]}\n", "destination:\n  " + destination + "\n",
			"route: {to: [a]}\ndestinations:\n  " + destination + "\n", destination,
		} {
			_, vs := Parse("routes.yaml", []byte(data))
			if len(vs) == 0 {
				t.Errorf("no violation: %s", data)
			}
			shown := Redact([]byte(data), vs)
			for _, v := range vs {
				if strings.Contains(v.String(), secret) {
					t.Errorf("the secret is told: %v", v)
				}
				if e := jobspec.Excerpt(shown, v); strings.Contains(e, secret) {
					t.Errorf("the secret is shown:\n%v\n%s", v, e)
				}
			}
			if bytes.Contains(shown, []byte(secret)) {
				t.Errorf("the secret is left in:\n%s", shown)
			}
			if bytes.Count(shown, []byte("\n")) != strings.Count(data, "\n") {
				t.Errorf("lines have other numbers:\n%s", shown)
			}
		}
	}
}

// What holds no secret is shown.
func TestRedact(t *testing.T) {
	data := `# about mail
destinations:
  team:
    slack:
      token: secret://projects/p1/secrets/s # not xoxb-1
      channel: general
    every: 24h
  hook: {webhook: {url: https://a.example/secret, keys: [whsec_a]}}
  ops:
    webhook:
      url: https://a.example/secret
      keys:
      - env://KEY
      - whsec_a
egress: {hosts: [a.example]}
route:
  to: [team]
  token: xoxb-1
`
	want := ` …
destinations:
  team:
    slack:
      token: …
      channel: general
    every: 24h
  hook: …
  ops:
    webhook:
      url: …
      keys:
      - env://KEY
      - …
egress: {hosts: [a.example]}
route:
  to: [team]
  token: …
`
	_, vs := Parse("routes.yaml", []byte(data))
	if diff := cmp.Diff(want, string(Redact([]byte(data), vs))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
