package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// question is something that only a project answers. docs/first-project.md is made of
// these, and so is a report: the commands that people read are those that are run.
type question struct {
	title string
	// ask says what is not known, and since what.
	ask string
	// commands is a script for sh. The names in capitals are those of names.
	commands string
	// byHand is set where the commands change something, or wait: a report leaves those
	// to people.
	byHand bool
	// expect says what the answer should be. A report calls it as expected if the commands
	// end with status 0, each of want is found in what they print, and none of never is;
	// names stand for their values. Without want, people read the answer.
	expect string
	want   []string
	never  []string
	// otherwise says what to do about another answer.
	otherwise string
	// rests names what is built on the answer.
	rests string
}

// names are the variables that commands use. A report has their values from the
// outputs, or from its environment.
var (
	names = []string{"PROJECT", "REGION", "INSTANCE", "JOB_REGION", "SCHEDULER_REGION", "CONFIGURATION", "ARCHIVE", "FOLDER", "DROPPER"}
	used  = regexp.MustCompile(`\$(` + strings.Join(names, "|") + `)\b`)
)

// questions are in the order in which they are asked.
var questions = []question{
	{
		title: "Organisation policies",
		ask: "An organisation's policies may refuse what an installation makes: accounts, members of other domains, services of a " +
			"region, sinks, builds outside a pool. A project without an organisation has none of them.",
		commands: `for c in iam.disableServiceAccountCreation iam.allowedPolicyMemberDomains gcp.resourceLocations \
  gcp.restrictServiceUsage gcp.restrictNonCmekServices run.allowedIngress run.allowedVPCEgress \
  cloudfunctions.allowedIngressSettings cloudfunctions.requireVPCConnector cloudbuild.allowedWorkerPools \
  storage.softDeletePolicySeconds iam.disableCrossProjectServiceAccountUsage; do
  gcloud resource-manager org-policies describe $c --project=$PROJECT --effective --format='yaml(constraint,booleanPolicy,listPolicy)' ||
    echo "no answer about $c"
done`,
		expect: "No `enforced: true`, except for `iam.disableCrossProjectServiceAccountUsage`, which concerns only accounts of other " +
			"projects. Lists are absent, say `allValues: ALLOW`, or hold what the installation needs: its regions, the services of " +
			"`apis.tf`, `internal` as ingress, its own domain and service accounts.",
		otherwise: "Ask the organisation's administrators for an exception for the project, or choose what the policy allows: " +
			"`ingress`, `network`, `kms_key`, `build_worker_pool`, `soft_delete_days`, `region`.",
		rests: "deploy/terraform/variables.tf, deploy/terraform/apis.tf",
	},
	{
		title: "Service agents",
		ask: "Whether Google's own accounts have their roles. Those that are made on request, as step 4 of deploy/README.md makes " +
			"them, get none by themselves.",
		commands: `gcloud projects get-iam-policy $PROJECT --flatten='bindings[].members' --filter='bindings.role~serviceAgent$' \
  --format='value(bindings.role,bindings.members)'`,
		expect: "Each of six agents, `service-NUMBER@…`, with the role of its service: aiplatform, artifactregistry, cloudfunctions, " +
			"eventarc, pubsub and run.",
		want: []string{
			`roles/aiplatform\.serviceAgent\s+serviceAccount:service-[0-9]+@gcp-sa-aiplatform\.`,
			`roles/artifactregistry\.serviceAgent\s+serviceAccount:service-[0-9]+@gcp-sa-artifactregistry\.`,
			`roles/cloudfunctions\.serviceAgent\s+serviceAccount:service-[0-9]+@gcf-admin-robot\.`,
			`roles/eventarc\.serviceAgent\s+serviceAccount:service-[0-9]+@gcp-sa-eventarc\.`,
			`roles/pubsub\.serviceAgent\s+serviceAccount:service-[0-9]+@gcp-sa-pubsub\.`,
			`roles/run\.serviceAgent\s+serviceAccount:service-[0-9]+@serverless-robot-prod\.`,
		},
		otherwise: "Do the second part of step 4 again, for the role that is missing. Without `pubsub.serviceAgent`, pushed messages have " +
			"no token; without the others, builds, triggers or jobs fail.",
		rests: "step 4 of deploy/README.md, deploy/terraform/names.tf",
	},
	{
		title: "The region of Cloud Scheduler",
		ask:   "Cloud Scheduler is not in every region of Cloud Run. Which regions there are depends on the project.",
		commands: `gcloud scheduler locations list --project=$PROJECT --format='value(locationId)'
gcloud scheduler jobs describe $INSTANCE-tick --project=$PROJECT --location=$SCHEDULER_REGION \
  --format='yaml(state,lastAttemptTime,status)'`,
		expect: "The list has the region of the ticks, and their state is `ENABLED`. A `status` with a `code` is the error of the last call.",
		want:   []string{`(?m)^$SCHEDULER_REGION\s*$`, `(?m)^state: ENABLED`},
		never:  []string{`(?m)^\s+code: [1-9]`},
		otherwise: "Set `scheduler_region` to a region of the list, and apply. In other regions the apply fails with " +
			"`Location … is not a valid location` or 404 for `google_cloud_scheduler_job.tick`.",
		rests: "deploy/terraform/schedule.tf, step 6 of deploy/README.md",
	},
	{
		title: "The second plan",
		ask: "Whether a plan right after an apply is empty. An attribute that a service drops, adds or rewrites shows as a change in " +
			"every plan.",
		commands: `terraform -chdir=$CONFIGURATION plan -input=false -lock=false -no-color -detailed-exitcode -var source_archive=$ARCHIVE`,
		expect:   "`No changes.`, and status 0. Status 2 is a plan with changes.",
		want:     []string{`No changes\.`},
		otherwise: "The plan names the attribute. Write it in the form that the service keeps, and add a rule or an assertion that " +
			"refuses the other form.",
		rests: "deploy/terraform/modules/monitoring/dashboard.tf, and each resource",
	},
	{
		title:    "Metrics of distributions",
		ask:      "Whether Cloud Logging accepts the metrics of ticks with their buckets.",
		commands: `gcloud logging metrics list --project=$PROJECT --filter="name~^jobdrop/$INSTANCE/tick_" --format='json(name,bucketOptions)'`,
		expect:   "Six metrics, each with `exponentialBuckets`: 32 buckets, factor 2, scale 0.01.",
		want: []string{
			`(?s)(?:"exponentialBuckets": \{\s*"growthFactor": 2(?:\.0)?,\s*"numFiniteBuckets": 32,\s*"scale": 0\.01\s*\}.*){6}`,
		},
		never: []string{`(?s)(?:"exponentialBuckets".*){7}`},
		otherwise: "The error of step 8 names the attribute: mend `bucket_options` in " +
			"deploy/terraform/modules/monitoring/metrics.tf.",
		rests: "deploy/terraform/modules/monitoring/metrics.tf, rule `metric` of deploy/internal/check",
	},
	{
		title: "The source's bucket, and the build",
		ask: "The build may read one bucket, `gcf-v2-sources-NUMBER-REGION`. Whether Cloud Functions copies the source to a bucket of " +
			"that name, and whether the build has enough memory and time.",
		commands: `gcloud storage buckets list --project=$PROJECT --filter='name~^gcf-v2' --format='value(name,location)'
gcloud builds list --project=$PROJECT --region=$REGION --limit=6 \
  --format='table(id,status,createTime,finishTime,options.machineType,serviceAccount,failureInfo.type)'`,
		expect: "One `gcf-v2-sources-…-REGION`, and builds of the account `INSTANCE-build` that end with `SUCCESS` within five " +
			"minutes.",
		want: []string{`gcf-v2-sources-[0-9]+-$REGION\b`, `(?m)^.*\bSUCCESS\b.*/$INSTANCE-build@`},
		otherwise: "Another name: write it into the condition of `build_copy` in deploy/terraform/source.tf. A build that is killed " +
			"or takes longer: name a larger machine by `build_worker_pool`.",
		rests: "deploy/terraform/source.tf (build_copy)",
	},
	{
		title: "Default bindings of a bucket",
		ask: "Which roles a new bucket with uniform access grants by itself: docs/security.md relies on it, and `basic_roles = false` " +
			"takes them from Editors and Viewers.",
		commands: `grep -h basic_roles $CONFIGURATION/*.tf || echo 'basic_roles = null'
gcloud storage buckets get-iam-policy gs://$PROJECT-$INSTANCE-inbox --flatten='bindings[].members' \
  --format='value(bindings.role,bindings.members)' | grep legacy | sort`,
		expect: "`roles/storage.legacyBucketOwner` and `legacyObjectOwner` of `projectEditor:` and `projectOwner:`, " +
			"`legacyBucketReader` and `legacyObjectReader` of `projectViewer:`, and nothing else. With `basic_roles = false` " +
			"all four of `projectOwner:` alone.",
		want: []string{
			`basic_roles *= *(?:null|true)` + bindings("BucketOwner Editor", "BucketOwner Owner", "BucketReader Viewer",
				"ObjectOwner Editor", "ObjectOwner Owner", "ObjectReader Viewer") +
				`|basic_roles *= *false` + bindings("BucketOwner Owner", "BucketReader Owner", "ObjectOwner Owner", "ObjectReader Owner"),
		},
		otherwise: "A role that is missing here has no default binding: take it out of `default_roles` in deploy/terraform/buckets.tf. " +
			"Add one that is listed here and not there.",
		rests: "deploy/terraform/buckets.tf (default_roles), docs/security.md (Basic roles)",
	},
	{
		title: "The subscription of the trigger",
		ask:   "Whether the settings of step 10 stay on the subscription that Eventarc made, or Eventarc's agent puts its own back.",
		commands: `T=$(terraform -chdir=$CONFIGURATION output -json inbox_trigger | sed -n 's/.*"trigger": *"\([^"]*\)".*/\1/p')
[ "$T" ] || { echo 'a notification wakes Submit'; exit; }
S=$(gcloud eventarc triggers describe $T --format='value(transport.pubsub.subscription)')
gcloud pubsub subscriptions describe $S \
  --format='yaml(name,ackDeadlineSeconds,deadLetterPolicy,messageRetentionDuration,expirationPolicy,retryPolicy,pushConfig)'`,
		expect: "`ackDeadlineSeconds: 600`, a `deadLetterPolicy` with 20 attempts, a retention of `604800s`, an `expirationPolicy` without " +
			"`ttl`, and pauses of 10 to 600 s. Before step 10: 10 s, no dead letter, `86400s`.",
		want: []string{
			`ackDeadlineSeconds: 600\b|a notification wakes`, `maxDeliveryAttempts: 20\b|a notification wakes`,
			`messageRetentionDuration: 604800s|a notification wakes`, `maximumBackoff: 600s|a notification wakes`,
			`minimumBackoff: 10s|a notification wakes`,
		},
		never: []string{`\bttl:`},
		otherwise: "Run `go run ./deploy/eventarc -outputs out/outputs.json`, and look again after an hour: where the settings are " +
			"gone, take `inbox_trigger = \"notification\"`, and write that into deploy/README.md.",
		rests: "deploy/eventarc, deploy/README.md (The subscription of Eventarc)",
	},
	{
		title: "The topic's schema",
		ask: "Whether Pub/Sub accepts events as jobdrop writes them: JSON with `lowerCamelCase` names, maps, and whole numbers as " +
			"numbers for int64.",
		commands: `gcloud pubsub schemas validate-message --project=$PROJECT --schema-name=$INSTANCE-lifecycle \
  --message-encoding=json --message="$(cat docs/events/status.json)"
echo 'the message is taken'
gcloud pubsub schemas list-revisions $INSTANCE-lifecycle --project=$PROJECT --format='table(revisionId,revisionCreateTime)'`,
		expect: "The message is taken, and one revision is listed. The functions' log has no `publish to projects/…`.",
		want:   []string{`(?m)^the message is taken$`, `(?m)^[0-9a-f]{8}\s+20`},
		otherwise: "The answer names the field. Until it fits, no event is published: all wait in the outbox. Take `schema_settings` " +
			"out of deploy/terraform/lifecycle.tf and apply, and they are published within a tick.",
		rests: "deploy/terraform/lifecycle.proto, TestLifecycleSchemaTakesTheEvents of deploy/internal/check",
	},
	{
		title: "Warnings of the functions",
		ask:   "What the functions complain of in the first hours: rights that are missing, answers that nobody expected.",
		commands: `F="resource.type=cloud_run_revision AND resource.labels.service_name=($INSTANCE-submit OR $INSTANCE-watch)"
T='timestamp,resource.labels.service_name,severity,jsonPayload.message,jsonPayload.error,textPayload'
gcloud logging read "$F AND severity>=WARNING" --project=$PROJECT --freshness=2h --limit=40 --format="table($T)"
echo 'in the last ten minutes:'
gcloud logging read "$F AND severity>=WARNING" --project=$PROJECT --freshness=10m --limit=40 --format="table($T)"
gcloud logging read "$F AND jsonPayload.message=tick" --project=$PROJECT --freshness=3m --limit=1 --format='table(timestamp:label=TICK)'
gcloud storage cat gs://$PROJECT-$INSTANCE-state/heartbeat.json`,
		expect: "Warnings at most while rights were new, and none in the last ten minutes. A tick of the last three minutes, and a " +
			"heartbeat with `complete: true` and `failed: 0`.",
		want:  []string{`(?m)^TICK\b`, `"complete":\s*true`, `"failed":\s*0\b`},
		never: []string{`(?s)in the last ten minutes:.*TIMESTAMP`},
		otherwise: "`PERMISSION_DENIED` names the right: roles.tf and grants.tf. Any other error: the playbooks, submit-errors and " +
			"watch-errors.",
		rests: "deploy/terraform/roles.tf, deploy/playbooks",
	},
	{
		title: "Training images",
		ask: "Google promised each of its training images only until a date. Which of them can still be pulled: 200 is yes, 404 is " +
			"gone.",
		commands: `for i in tf-cpu.1-15 tf-cpu.2-1 tf-cpu.2-2 tf-cpu.2-3 tf-cpu.2-4 tf-cpu.2-5 tf-cpu.2-6 tf-cpu.2-7 tf-cpu.2-8 tf-cpu.2-9 \
  tf-cpu.2-11 tf-cpu.2-8.py310 tf-cpu.2-9.py310 tf-cpu.2-11.py310 tf-cpu.2-12.py310 tf-cpu.2-13.py310 tf-cpu.2-14.py310 \
  tf-cpu.2-15.py310 tf-cpu.2-16.py310 tf-cpu.2-17.py310; do
  echo $i $(curl -sS -m 20 -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $(gcloud auth print-access-token)" \
    -H 'Accept: application/vnd.oci.image.index.v1+json' -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
    https://europe-docker.pkg.dev/v2/vertex-ai/training/$i/manifests/latest)
done`,
		expect: "`tf-cpu.2-17.py310 200` at least, which step 11 uses.",
		want:   []string{`(?m)^tf-cpu\.2-17\.py310 200$`},
		otherwise: "In internal/backend/vertex/images.go and docs/vertex.md, change what is gone from `doubtful` to `refused`. Step 11 then " +
			"takes `-set runtimeVersion=` and `-set pythonVersion=` of one that is there, or an image that the policy has for `2.11`, the " +
			"drop's version, or for `2.17/3.10`.",
		rests: "internal/backend/vertex/images.go, deploy/verify, docs/vertex.md (Images)",
	},
	{
		title: "Vertex AI's installer",
		ask: "Whether Vertex AI's own installer of packages needs more than `storage.objects.get` on the staging bucket, and whether " +
			"the output of a program is logged though its account may not write logs.",
		commands: `J=$(gcloud ai custom-jobs list --project=$PROJECT --region=$JOB_REGION --limit=1 --format='value(name.basename())')
gcloud ai custom-jobs describe $J --project=$PROJECT --region=$JOB_REGION \
  --format='yaml(state,error,createTime,startTime,endTime,jobSpec.serviceAccount,jobSpec.workerPoolSpecs[0].pythonPackageSpec)'
gcloud logging read "resource.type=ml_job AND resource.labels.job_id=$J" --project=$PROJECT --freshness=1d --limit=25 \
  --format='value(resource.labels.task_name,severity,jsonPayload.message,textPayload)'`,
		expect: "`JOB_STATE_SUCCEEDED`, the account `INSTANCE-trainer`, and `Hello, jobdrop!` among the log's lines.",
		want: []string{
			`(?m)^state: JOB_STATE_SUCCEEDED$`, `(?m)^\s+serviceAccount: $INSTANCE-trainer@`, `Hello, jobdrop!`,
		},
		otherwise: "A job that fails before its first line with 403 on `storage.objects.list` or `storage.buckets.get`: add the " +
			"permission to `fetch` in roles.tf, and say in docs/security.md what that opens. No lines: give the trainer " +
			"`roles/logging.logWriter`, and say in docs/security.md that it may forge lines.",
		rests: "deploy/terraform/roles.tf (fetch), deploy/terraform/trainers.tf, docs/security.md (What the trainer's service account reaches)",
	},
	{
		title: "Entries about jobs",
		ask: "Which entries Cloud Logging has about a job, in which form, and how late: hints are made of them. `receiveTimestamp` " +
			"less `timestamp` is the delay.",
		commands: `F='json(logName,resource,labels,timestamp,receiveTimestamp,severity,jsonPayload,textPayload)'
gcloud logging read 'resource.type="ml_job" AND resource.labels.task_name="service"' --project=$PROJECT --freshness=1d --limit=8 \
  --format="$F"
gcloud logging read 'protoPayload.methodName=~"JobService\."' --project=$PROJECT --freshness=1d --limit=8 \
  --format="json(logName,resource,timestamp,receiveTimestamp,operation,protoPayload.methodName,protoPayload.resourceName,\
protoPayload.request.parent,protoPayload.response.name)"
gcloud logging read 'resource.type="ml_job"' --project=$PROJECT --freshness=1d --limit=4 --format="$F"`,
		expect: "Entries of the service, with the job's number as `job_id`, `service` as `task_name` and a label " +
			"`ml.googleapis.com/job_state`. Entries of the audit log with a method that ends in `JobService.CreateCustomJob` and the " +
			"job's name. Each within seconds.",
		want: []string{
			`"job_id": "[0-9]+"`, `"task_name": "service"`, `"ml\.googleapis\.com/job_state": "`,
			`"methodName": "[\w.]*JobService\.CreateCustomJob"`, `"name": "projects/[^"/]+/locations/$JOB_REGION/customJobs/[0-9]+"`,
		},
		never: []string{`"job_id": "[^"]*[^"0-9]`},
		otherwise: "Send the report: internal/service/inbound/hint.go and the filter of docs/watch.md follow it. Nothing is lost where " +
			"hints do not fit: the next tick sees the same.",
		rests: "internal/service/inbound/hint.go, deploy/terraform/hints.tf, docs/watch.md (Hints)",
	},
	{
		title: "A hint that was used",
		ask: "Whether an entry about a job wakes Watch between ticks. The ledger keeps the number of each job, by which such an entry " +
			"names it.",
		commands: `gcloud storage ls gs://$PROJECT-$INSTANCE-state/names/
gcloud pubsub subscriptions describe $INSTANCE-watch-hints --project=$PROJECT --format='value(pushConfig.pushEndpoint)'
F='value(timestamp,jsonPayload.message,jsonPayload.state,jsonPayload.job_id)'
gcloud logging read "resource.labels.service_name=$INSTANCE-watch AND (jsonPayload.message=tick OR jsonPayload.message=\"job seen\" OR \
jsonPayload.message=\"attempt decided\")" --project=$PROJECT --freshness=1h --limit=40 --format="$F"`,
		expect: "An object for the number of the job of step 11, and an endpoint. Read the times: a `job seen` that stands seconds before " +
			"a tick's line came with the tick; one in the middle between two ticks came by a hint.",
		otherwise: "No object: the backend's answer to a create has no name that ends in a number. No `job seen` between ticks: the entries " +
			"do not fit the sink's filter (the question before), or the push is refused (Warnings of the functions). With " +
			"`hints = false` there is no subscription.",
		rests: "internal/flow/ledger, deploy/terraform/hints.tf, docs/watch.md (Hints)",
	},
	{
		title: "The list of jobs",
		ask:   "Whether Vertex AI's list accepts a filter by a label with `AND` and alternatives in brackets, and a mask.",
		commands: `L=$(gcloud ai custom-jobs list --project=$PROJECT --region=$JOB_REGION --limit=1 --format='value(labels.jobdrop-instance)')
[ "$L" ]
curl -sS -m 60 -G -H "Authorization: Bearer $(gcloud auth print-access-token)" \
  https://$JOB_REGION-aiplatform.googleapis.com/v1/projects/$PROJECT/locations/$JOB_REGION/customJobs \
  --data-urlencode "filter=labels.jobdrop-instance=\"$L\" AND (state=\"JOB_STATE_QUEUED\" OR state=\"JOB_STATE_SUCCEEDED\")" \
  --data-urlencode 'readMask=name,displayName,labels,state,createTime,startTime,endTime,error' -d pageSize=3`,
		expect: "The job of step 11, with its label, and no job of others.",
		want:   []string{`"state":\s*"JOB_STATE_SUCCEEDED"`, `"jobdrop-instance":\s*"`},
		never:  []string{`"error":\s*\{\s*"code"`},
		otherwise: "`INVALID_ARGUMENT` names what is not accepted. Until it is mended, Watch follows a job only by asking for that job. " +
			"Change the filter in ListActive, which compares labels itself in any case.",
		rests: "internal/backend/vertex/backend.go (ListActive)",
	},
	{
		title:  "What a function may read and list",
		byHand: true,
		ask: "Whether the conditions on the functions' rights in the state bucket hold, where there are routes: Submit and Watch may list " +
			"three folders, read all but deliveries, and get 404, not 403, for a record that is not there yet, or nothing would run. " +
			"Watch's account is taken here; you need `roles/iam.serviceAccountTokenCreator` on it.",
		commands: `export W=$INSTANCE-watch@$PROJECT.iam.gserviceaccount.com S=gs://$PROJECT-$INSTANCE-state
gcloud storage ls $S/attempts/ --impersonate-service-account=$W
T=$(gcloud auth print-access-token --impersonate-service-account=$W)
for o in attempts%2Fnone.json deliveries%2Fnone.json; do curl -sS -m 60 -o /dev/null -w "read $o %{http_code}\n" \
  -H "Authorization: Bearer $T" https://storage.googleapis.com/storage/v1/b/${S#gs://}/o/$o; done
for p in attempts/ deliveries/ d ''; do curl -sS -m 60 -o /dev/null -w "list '$p' %{http_code}\n" -H "Authorization: Bearer $T" \
  "https://storage.googleapis.com/storage/v1/b/${S#gs://}/o?maxResults=1&prefix=$p"; done`,
		expect: "The records. Then 404 for `attempts`, 403 for `deliveries`; 200 for the list of `attempts/`, and 403 for the others.",
		otherwise: "403 for `attempts`: take the condition \"all but deliveries\" out of `state_conditions`, and apply, at once. " +
			"200 for the list of all: names of routes and destinations can be seen by Submit and Watch, and nothing more.",
		rests: "deploy/terraform/grants.tf, docs/security.md (Who may do what)",
	},
	{
		title: "An absent status, for a dropper",
		ask: "Whether a dropper who may list only below its folder gets 404 or 403 for a status that is not there yet: without the " +
			"right to list, Cloud Storage answers 403. Name a dropper that is a service account which you may impersonate, and its " +
			"folder. (A report has the answer for whoever runs it.)",
		commands: `export DROPPER=… FOLDER=…
gcloud storage cat gs://$PROJECT-$INSTANCE-status/$FOLDER/nothing/status.json --impersonate-service-account=$DROPPER`,
		byHand: true,
		expect: "404, `The following URLs matched no objects`.",
		otherwise: "403: droppers with a folder wait with the list of their folder, and not with the object; `verify` waits for ten " +
			"minutes and says that rights may be new. Say so in deploy/README.md, and have `verify` take 403 for an absent status.",
		rests: "deploy/verify (follow), deploy/terraform/droppers.tf",
	},
	{
		title: "A distribution without buckets",
		ask:   "Whether Cloud Logging refuses a distribution without buckets, as its reference says.",
		commands: `printf '%s\n' 'filter: jsonPayload.message="never"' 'valueExtractor: EXTRACT(jsonPayload.seconds)' \
  'metricDescriptor: {metricKind: DELTA, valueType: DISTRIBUTION}' > out/nobuckets.yaml
gcloud logging metrics create jobdrop-nobuckets --project=$PROJECT --config-from-file=out/nobuckets.yaml`,
		byHand: true,
		expect: "`INVALID_ARGUMENT`.",
		otherwise: "It is made: buckets are not needed, and do no harm. Delete it: `gcloud logging metrics delete jobdrop-nobuckets " +
			"--project=$PROJECT`.",
		rests: "rule `metric` of deploy/internal/check",
	},
	{
		title: "A heartbeat that never was",
		ask: "Whether the heartbeat's alert fires where no tick ever ended: a metric that was never written has no series, and " +
			"`EVALUATION_MISSING_DATA_ACTIVE` is documented for series that stop. A copy of the alert looks at a metric that stays empty.",
		commands: `gcloud logging metrics create jobdrop-never --project=$PROJECT --description='never written' \
  --log-filter='jsonPayload.message="never"'
sleep 600
gcloud alpha monitoring policies list --project=$PROJECT --format=json > out/alerts.json
python3 -c 'import json, os
name = "jobdrop %s: watch-heartbeat" % os.environ["INSTANCE"]
condition = next(p for p in json.load(open("out/alerts.json")) if p["displayName"] == name)["conditions"][0]
condition.pop("name")
condition["conditionThreshold"]["filter"] = (
    "metric.type=\"logging.googleapis.com/user/jobdrop-never\" AND resource.type=\"cloud_run_revision\"")
json.dump({"displayName": "jobdrop: never", "combiner": "OR", "conditions": [condition]}, open("out/never.json", "w"))'
gcloud alpha monitoring policies create --project=$PROJECT --policy-from-file=out/never.json`,
		byHand: true,
		expect: "Within half an hour an open incident of `jobdrop: never` in the console, below Monitoring, Alerting. Then delete the " +
			"policy there, and the metric: `gcloud logging metrics delete jobdrop-never --project=$PROJECT`.",
		otherwise: "No incident: a deployment whose first tick fails raises no heartbeat alert. Say so in the playbook watch-heartbeat; " +
			"`Ticks fail` of watch-errors counts failed calls of Cloud Scheduler, and fires.",
		rests: "deploy/terraform/modules/monitoring/alerts.tf (watch_heartbeat, watch_errors)",
	},
	{
		title: "The text of an alert",
		ask:   "Whether an alert's mail shows the commands of its playbook unchanged.",
		commands: `gcloud scheduler jobs pause $INSTANCE-tick --project=$PROJECT --location=$SCHEDULER_REGION
sleep 900
gcloud scheduler jobs resume $INSTANCE-tick --project=$PROJECT --location=$SCHEDULER_REGION`,
		byHand: true,
		expect: "After ten to fifteen minutes a mail, or an incident in the console, with the names of the installation in its " +
			"commands and no gap in them.",
		otherwise: "Cloud Monitoring took what is missing for a variable of its own. Write it in another form, and add the form to the " +
			"rule `playbook` of deploy/internal/check.",
		rests: "deploy/playbooks, deploy/terraform/modules/monitoring/alerts.tf",
	},
	{
		title: "The subscription after an update",
		ask:   "Whether an update of the function in place resets the trigger's subscription, or makes another one.",
		commands: `terraform -chdir=$CONFIGURATION apply -var source_archive=$ARCHIVE \
  -replace='module.jobdrop.module.function["submit"].google_cloudfunctions2_function.this[0]'
terraform -chdir=$CONFIGURATION output -json > out/outputs.json
go run ./deploy/eventarc -outputs out/outputs.json`,
		byHand: true,
		expect: "A plan that also replaces the right of the function's caller. After the replacement above: `set ackDeadlineSeconds, " +
			"deadLetterPolicy, …`, as the subscription is new. After an update in place instead (another source, without " +
			"`-replace`): `all is set`.",
		otherwise: "`set …` after an update in place: it is mended, and each upgrade needs step 10, as deploy/README.md says. A " +
			"replacement that fails by 409: the old function was not gone yet; apply again.",
		rests: "deploy/eventarc, deploy/README.md (The subscription of Eventarc)",
	},
	{
		title: "Another trigger of a live function",
		ask: "Whether `inbox_trigger` can be changed while drops arrive. The function loses its trigger in place, and gets a push " +
			"subscription. Add `inbox_trigger = \"notification\"` to the module's block, then:",
		commands: `terraform -chdir=$CONFIGURATION apply -var source_archive=$ARCHIVE
gcloud eventarc triggers list --project=$PROJECT --location=$REGION --format='table(name,destination)'
gcloud storage buckets notifications list gs://$PROJECT-$INSTANCE-inbox`,
		byHand: true,
		expect: "The apply succeeds. There is no trigger of `INSTANCE-submit`, and one notification to `INSTANCE-inbox`. Drops of " +
			"the time between run by the next ticks.",
		otherwise: "A trigger that stays wakes Submit twice, which does no harm: delete it by `gcloud eventarc triggers delete`. An " +
			"apply that fails: replace the function, by `-replace` as above, and say so in `inbox_trigger`'s description.",
		rests: "deploy/terraform/inbox.tf, deploy/terraform/modules/function/main.tf",
	},
	{
		title: "Uninstall",
		ask: "Whether an installation can be removed as deploy/README.md (Uninstall) says: with objects in its buckets, with " +
			"`basic_roles = false`, whose bindings are destroyed first, and with roles that an apply takes back.",
		commands: `terraform -chdir=$CONFIGURATION destroy -var source_archive=$ARCHIVE
gcloud iam roles list --project=$PROJECT --show-deleted --filter='name~jobdrop_' --format='table(name,deleted)'
gcloud storage buckets list --project=$PROJECT --format='value(name)'`,
		byHand: true,
		expect: "The destroy succeeds. The roles have `deleted: True`, and the buckets of job directories and `gcf-v2-sources-…` are left. " +
			"An apply within seven days takes the roles back.",
		otherwise: "403 on objects of a bucket: give yourself `roles/storage.admin` in the project, wait, and destroy again. A role that " +
			"can't be made again: choose another `instance`.",
		rests: "deploy/README.md (Uninstall), deploy/terraform/buckets.tf (default)",
	},
}

// bindings returns what finds a whole list of default bindings of a bucket, behind
// other lines: "ObjectReader Viewer" is roles/storage.legacyObjectReader of
// projectViewer.
func bindings(list ...string) string {
	var b strings.Builder
	b.WriteString(`.*(?:\n[^r].*)*`)
	for _, binding := range list {
		role, who, _ := strings.Cut(binding, " ")
		fmt.Fprintf(&b, `\nroles/storage\.legacy%s\s+project%s:$PROJECT`, role, who)
	}
	return b.String() + `\s*(?:\z|\n[^r])`
}

// preface begins the page: it takes the command that writes it, and the limit of a report.
const preface = "# The first project\n\n" +
	"Only a Google Cloud project can answer these questions. For each there is the command, the answer to expect, what to do about " +
	"another answer, and what relies on it. %[1]s writes this page; " +
	"[questions.go](../deploy/verify/questions.go) has its text.\n\n" +
	"Make an installation by steps 1 to 10 of [deploy/README.md](../deploy/README.md). Instead of step 11, in the same shell:\n\n" +
	"```\n" +
	"export JOB_REGION=$REGION CONFIGURATION=deploy/installations/$INSTANCE ARCHIVE=../../../$archive\n" +
	"export SCHEDULER_REGION=$(sed -n 's/^scheduler_region *= *\"\\(.*\\)\"/\\1/p' $CONFIGURATION/terraform.tfvars | grep . || " +
	"echo $REGION)\n" +
	"go run ./deploy/verify -outputs out/outputs.json -set jobDir=gs://$PROJECT-$INSTANCE-models/hello -report out/report.md " +
	"testdata/drops/hello\n" +
	"```\n\n" +
	"It drops the first job and follows it. Then it runs the commands below that change nothing, and writes one file with the " +
	"answers. They run as you, and need gcloud, Terraform and curl. The file has at most %[2]d KiB. Known forms of tokens and keys, " +
	"and addresses of people, are left out. It names the project, its buckets, accounts and jobs, and has lines of their logs: read " +
	"it before you send it to somebody. Commands that change something, or wait, are marked *by hand* and come last.\n\n"

// manual writes docs/first-project.md.
func manual(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, preface, "`go run ./deploy/verify -manual`", reportLimit>>10)
	for i, q := range questions {
		mark := ""
		if q.byHand {
			mark = "*By hand.* "
		}
		fmt.Fprintf(&b, "## %s\n\n%d. %s%s\n\n```\n%s\n```\n\n- Expect: %s\n- Otherwise: %s\n- What rests on it: %s.\n\n",
			q.title, i+1, mark, q.ask, q.commands, q.expect, q.otherwise, q.rests)
	}
	_, err := w.Write(append(bytes.TrimRight(b.Bytes(), "\n"), '\n'))
	return err
}
