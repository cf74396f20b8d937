package routes

import "github.com/jobdrop/jobdrop/pkg/job"

// The rules that this package finds broken. A constant's comment is its page: "jobdrop explain"
// prints it, and docs/rules.md is made of it. A line that begins with - breaks the rule, one that
// begins with + mends it.
const (
	// ruleRoutesAddress: an address of mail stands alone, without a name.
	//
	// Source: RFC 5321.
	//
	//	 # routes.yaml
	//	 destinations:
	//	   ops:
	//	     email:
	//	       server: 'smtp.example.com:587'
	//	       from: jobdrop@example.com
	//	-      to: [ml]
	//	+      to: [ml@example.com]
	//	 egress: {hosts: [smtp.example.com]}
	ruleRoutesAddress job.Rule = "routes-address"

	// ruleRoutesBackends: no event has this backend.
	//
	// Source: docs/events.
	//
	//	 # routes.yaml
	//	 route:
	//	   to: []
	//	   routes:
	//	-  - {name: cloud, match: {backends: [gcp]}, to: [ops]}
	//	+  - {name: cloud, match: {backends: [vertex]}, to: [ops]}
	ruleRoutesBackends job.Rule = "routes-backends"

	// ruleRoutesContinue: nothing comes after the first route, so that it can't continue.
	//
	// Source: docs/notify.md.
	//
	//	 # routes.yaml
	//	 route:
	//	   to: [ops]
	//	-  continue: true
	ruleRoutesContinue job.Rule = "routes-continue"

	// ruleRoutesDestination: the file has a destination, and each is of exactly one kind.
	//
	// Source: docs/notify.md, destinations.
	//
	//	 # routes.yaml
	//	 destinations:
	//	-  ops: {}
	//	+  ops: {slackWebhook: {url: env://OPS}}
	ruleRoutesDestination job.Rule = "routes-destination"

	// ruleRoutesDrop: the pattern matches no folder: it is held against the folder's name within the
	// inbox.
	//
	// Source: docs/notify.md, match.drops.
	//
	//	 # routes.yaml
	//	 route:
	//	   to: []
	//	   routes:
	//	-  - {name: nlp, match: {drops: ['gs://inbox/teams/nlp/**']}, to: [ops]}
	//	+  - {name: nlp, match: {drops: [teams/nlp/**]}, to: [ops]}
	ruleRoutesDrop job.Rule = "routes-drop"

	// ruleRoutesDuration: every: is how often a test message is sent, from 1h to a year.
	//
	// Source: docs/notify.md.
	//
	//	 # routes.yaml
	//	 destinations:
	//	-  ops: {slackWebhook: {url: 'env://OPS'}, every: 5m}
	//	+  ops: {slackWebhook: {url: 'env://OPS'}, every: 24h}
	ruleRoutesDuration job.Rule = "routes-duration"

	// ruleRoutesEgress: a host or address is not one of those that may be reached.
	//
	// Source: docs/notify.md, egress; docs/security.md.
	//
	//	 # routes.yaml
	//	 destinations:
	//	   ops:
	//	     webhook:
	//	       url: 'https://ops.example.com/h'
	//	       keys: ['env://KEY']
	//	-egress: {hosts: [other.example.com]}
	//	+egress: {hosts: [ops.example.com]}
	ruleRoutesEgress job.Rule = "routes-egress"

	// ruleRoutesEmpty: a setting of the routes has no value, and what it means would be a guess.
	//
	// Source: docs/notify.md.
	//
	//	 # routes.yaml
	//	 route:
	//	   to: [ops]
	//	-  match:
	ruleRoutesEmpty job.Rule = "routes-empty"

	// ruleRoutesHost: an entry of egress.hosts is the name of a host alone.
	//
	// Source: docs/notify.md, egress.
	//
	//	 # routes.yaml
	//	-egress: {hosts: ['https://ops.example.com/']}
	//	+egress: {hosts: [ops.example.com]}
	ruleRoutesHost job.Rule = "routes-host"

	// ruleRoutesLabel: no job has a label of this name: it begins with a lower-case letter. The rule
	// only warns.
	//
	// Source: Google Cloud, "Requirements for labels".
	//
	//	 # routes.yaml
	//	 route:
	//	   to: []
	//	   routes:
	//	-  - {name: ml, match: {labels: {Team: [ml]}}, to: [ops]}
	//	+  - {name: ml, match: {labels: {team: [ml]}}, to: [ops]}
	ruleRoutesLabel job.Rule = "routes-label"

	// ruleRoutesLength: a list of the routes is too long, or the file has too many routes.
	//
	// Source: jobdrop's own limits: 1,000 routes, 500 entries of a list. They bound the time that an
	// event takes.
	//
	// For example: a match with 501 folders in drops; let patterns stand for several.
	ruleRoutesLength job.Rule = "routes-length"

	// ruleRoutesMatch: a match asks for nothing, so that every event matches. The rule only warns.
	//
	// Source: docs/notify.md, match.
	//
	//	 # routes.yaml
	//	 route:
	//	   to: []
	//	   routes:
	//	-  - {name: failed, match: {}, to: [ops]}
	//	+  - {name: failed, match: {states: [failed]}, to: [ops]}
	ruleRoutesMatch job.Rule = "routes-match"

	// ruleRoutesName: names of destinations, templates and routes have 1 to 63 lower-case letters,
	// digits and hyphens, with a letter or digit at both ends. Each route below the first has a name
	// of its own.
	//
	// Source: docs/notify.md. Messages are recorded under the route's name.
	//
	//	 # routes.yaml
	//	 route:
	//	   to: [ops]
	//	   routes:
	//	-  - {name: Failed!, match: {states: [failed]}}
	//	+  - {name: failed, match: {states: [failed]}}
	ruleRoutesName job.Rule = "routes-name"

	// ruleRoutesNetwork: an entry of egress.networks is a range of addresses that holds none which
	// gives out the function's own credentials.
	//
	// Source: docs/notify.md, egress; docs/security.md.
	//
	//	 # routes.yaml
	//	-egress: {networks: [0.0.0.0/0]}
	//	+egress: {networks: [10.1.0.0/16]}
	ruleRoutesNetwork job.Rule = "routes-network"

	// ruleRoutesOwner: an entry of owners says who the uploader is: by the ID of a user or group in
	// Slack, an address, or both.
	//
	// Source: docs/notify.md, owners.
	//
	//	 # routes.yaml
	//	 owners:
	//	-  ada: {slack: '@ada'}
	//	+  ada: {slack: U0123456789}
	ruleRoutesOwner job.Rule = "routes-owner"

	// ruleRoutesPattern: a pattern of a match matches nothing, or has characters that mean something
	// elsewhere.
	//
	// Source: docs/notify.md, match.
	//
	//	 # routes.yaml
	//	 route:
	//	   to: []
	//	   routes:
	//	-  - {name: nlp, match: {drops: []}, to: [ops]}
	//	+  - {name: nlp, match: {drops: [teams/nlp/**]}, to: [ops]}
	ruleRoutesPattern job.Rule = "routes-pattern"

	// ruleRoutesRequired: a destination lacks a setting that its kind needs.
	//
	// Source: docs/notify-destinations.md.
	//
	//	 # routes.yaml
	//	 destinations:
	//	-  ops: {slackWebhook: {}}
	//	+  ops: {slackWebhook: {url: env://OPS}}
	ruleRoutesRequired job.Rule = "routes-required"

	// ruleRoutesRoute: the file of routes has no route, so nobody would be told of anything.
	//
	// Source: docs/notify.md.
	//
	//	 # routes.yaml
	//	 destinations: {ops: {slackWebhook: {url: env://OPS}}}
	//	+route: {to: [ops]}
	ruleRoutesRoute job.Rule = "routes-route"

	// ruleRoutesSecret: a secret must not stand in the file: whoever reads the file could use it. A
	// reference stands in its place.
	//
	// Source: docs/notify.md, secrets.
	//
	//	 # routes.yaml
	//	 destinations:
	//	-  ops: {slackWebhook: {url: 'https://hooks.slack.com/services/T0/B0/x'}}
	//	+  ops: {slackWebhook: {url: 'secret://projects/my-project/secrets/ops'}}
	ruleRoutesSecret job.Rule = "routes-secret"

	// ruleRoutesServer: a mail server is a host and a port.
	//
	// Source: docs/notify-destinations.md.
	//
	//	 # routes.yaml
	//	 destinations:
	//	   ops:
	//	     email:
	//	-      server: smtp.example.com
	//	+      server: 'smtp.example.com:587'
	//	       from: jobdrop@example.com
	//	       to: [ml@example.com]
	//	 egress: {hosts: [smtp.example.com]}
	ruleRoutesServer job.Rule = "routes-server"

	// ruleRoutesSlackChannel: a channel of Slack is given by its ID: a name may come to mean another
	// one.
	//
	// Source: Slack, chat.postMessage, channel.
	//
	//	 # routes.yaml
	//	 destinations:
	//	-  ops: {slack: {token: 'env://TOKEN', channel: '#ops'}}
	//	+  ops: {slack: {token: 'env://TOKEN', channel: C0123456789}}
	ruleRoutesSlackChannel job.Rule = "routes-slack-channel"

	// ruleRoutesSlackWebhook: the URL of a webhook is one of Slack's incoming webhooks, which take
	// other messages.
	//
	// Source: Slack, "Sending messages using incoming webhooks".
	//
	//	 # routes.yaml
	//	 destinations:
	//	-  ops: {webhook: {url: 'https://hooks.slack.com/', keys: ['env://KEY']}}
	//	+  ops: {slackWebhook: {url: env://OPS}}
	ruleRoutesSlackWebhook job.Rule = "routes-slack-webhook"

	// ruleRoutesStates: no event has this state.
	//
	// Source: docs/events.
	//
	//	 # routes.yaml
	//	 route:
	//	   to: []
	//	   routes:
	//	-  - {name: failed, match: {states: [failure]}, to: [ops]}
	//	+  - {name: failed, match: {states: [failed]}, to: [ops]}
	ruleRoutesStates job.Rule = "routes-states"

	// ruleRoutesTemplate: a template can't be read, says nothing, or is not in the file.
	//
	// Source: docs/notify.md, templates.
	//
	//	 # routes.yaml
	//	 templates:
	//	-  short: {title: '{{ jobId'}
	//	+  short: {title: '{{ jobId }}'}
	//	 route: {to: [ops], template: short}
	ruleRoutesTemplate job.Rule = "routes-template"

	// ruleRoutesTimeoutKinds: no event has this kind of timeout: they are wait and run.
	//
	// Source: docs/events.
	//
	//	 # routes.yaml
	//	 route:
	//	   to: []
	//	   routes:
	//	-  - {name: slow, match: {timeoutKinds: [queue]}, to: [ops]}
	//	+  - {name: slow, match: {timeoutKinds: [wait]}, to: [ops]}
	ruleRoutesTimeoutKinds job.Rule = "routes-timeout-kinds"

	// ruleRoutesTLS: a password or mail would go to another machine in clear.
	//
	// Source: RFC 8314.
	//
	//	 # routes.yaml
	//	 destinations:
	//	   ops:
	//	     email:
	//	       server: 'smtp.example.com:587'
	//	-      tls: none
	//	+      tls: starttls
	//	       from: jobdrop@example.com
	//	       to: [ml@example.com]
	//	 egress: {hosts: [smtp.example.com]}
	ruleRoutesTLS job.Rule = "routes-tls"

	// ruleRoutesTo: a route tells destinations that the file has, each once. The first says who is
	// told.
	//
	// Source: docs/notify.md.
	//
	//	 # routes.yaml
	//	-route: {to: [opps]}
	//	+route: {to: [ops]}
	ruleRoutesTo job.Rule = "routes-to"

	// ruleRoutesTypes: no event has this type.
	//
	// Source: docs/events.
	//
	//	 # routes.yaml
	//	 route:
	//	   to: []
	//	   routes:
	//	-  - {name: failed, match: {types: [job.fail]}, to: [ops]}
	//	+  - {name: failed, match: {types: [job.failed]}, to: [ops]}
	ruleRoutesTypes job.Rule = "routes-types"

	// ruleRoutesUnreached: a route takes every event, so that nobody is told by another one. The rule
	// only warns.
	//
	// Source: docs/notify.md: the first route that matches takes the event.
	//
	//	 # routes.yaml
	//	 route:
	//	   to: []
	//	   routes:
	//	-  - {name: all, to: [ops]}
	//	+  - {name: cloud, match: {backends: [vertex]}, to: [ops]}
	//	   - {name: failed, match: {states: [failed]}, to: [ops]}
	ruleRoutesUnreached job.Rule = "routes-unreached"

	// ruleRoutesUnused: no route names the destination or template. The rule only warns.
	//
	// Source: docs/notify.md.
	//
	//	 # routes.yaml
	//	 destinations:
	//	   ops: {slackWebhook: {url: env://OPS}}
	//	-  ml: {slackWebhook: {url: env://ML}}
	//	 route: {to: [ops]}
	ruleRoutesUnused job.Rule = "routes-unused"

	// ruleRoutesURL: a receiver's URL is whole, and https.
	//
	// Source: docs/notify-destinations.md.
	//
	//	 # routes.yaml
	//	 destinations:
	//	   ops:
	//	     webhook:
	//	-      url: 'http://ops.example.com/h'
	//	+      url: 'https://ops.example.com/h'
	//	       keys: ['env://KEY']
	//	 egress: {hosts: [ops.example.com]}
	ruleRoutesURL job.Rule = "routes-url"

	// ruleRoutesWhen: an expression of when: can't be read, or is not true or false.
	//
	// Source: docs/notify.md, when.
	//
	//	 # routes.yaml
	//	 route:
	//	   to: []
	//	   routes:
	//	-  - {name: failed, when: state = "failed", to: [ops]}
	//	+  - {name: failed, when: state == "failed", to: [ops]}
	ruleRoutesWhen job.Rule = "routes-when"
)
