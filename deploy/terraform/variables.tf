# Nothing that names a resource has a default.

variable "project_id" {
  description = "Project in which everything is made, and in which jobs run."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project's ID has 6 to 30 lower-case letters, digits and hyphens, begins with a letter and does not end with a hyphen. (Its number does not do.)"
  }
}

variable "region" {
  description = "Region of the functions, their triggers, and of events."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region is written like europe-west4."
  }
}

variable "instance" {
  description = "Name of this installation: part of the names of all that is made, of each job's labels and of the events' source. It can't be changed later without making a new installation."
  type        = string
  nullable    = false
  validation {
    # A service account's name has at most 30 characters, the longest suffix of it
    # here, -submit-caller, 14.
    condition     = can(regex("^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$", var.instance))
    error_message = "An installation's name has at most 16 lower-case letters, digits and hyphens, begins with a letter and does not end with a hyphen."
  }
}

variable "labels" {
  description = "Labels of all that can have some, e.g. for billing."
  type        = map(string)
  default     = {}
  nullable    = false
  validation {
    condition     = alltrue([for k, v in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", k)) && can(regex("^[a-z0-9_-]{0,63}$", v))])
    error_message = "Labels have keys and values of at most 63 lower-case letters, digits, hyphens and underscores; a key begins with a letter."
  }
  validation {
    condition     = !anytrue([for k, v in var.labels : startswith(k, "jobdrop")])
    error_message = "Labels that begin with jobdrop are jobdrop's own."
  }
}

variable "enable_apis" {
  description = "Whether to enable the APIs that jobdrop needs. They stay enabled when the installation is destroyed."
  type        = bool
  default     = true
  nullable    = false
}

# The functions.

variable "source_archive" {
  description = "Path of the packed source, whose name holds its digest: another source is another object, and so a new revision. Needed where platform is functions."
  type        = string
  default     = null
  validation {
    condition     = var.platform != "functions" || can(regex("[0-9a-f]{12,64}\\.(zip|tar\\.gz)$", var.source_archive))
    error_message = "The archive's name ends with 12 to 64 hex digits of its digest and .zip: a source that changes under one name would not be deployed."
  }
}

variable "platform" {
  description = "What the functions run as: functions (Cloud Run functions, built from source_archive) or run (plain Cloud Run services of image). Not to be changed later: both are services of the same names, and a function's is Google's to delete. Make another installation instead."
  type        = string
  default     = "functions"
  nullable    = false
  validation {
    condition     = contains(["functions", "run"], var.platform)
    error_message = "The platform is functions or run."
  }
}

variable "image" {
  description = "Container image of cmd/server, pinned by its digest. Needed where platform is run: it is yours to build, by the commands in deploy/README.md (Sizes)."
  type        = string
  default     = null
  validation {
    condition     = var.platform != "run" || can(regex("^[a-z0-9.-]+/[^@ ]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image is written HOST/PATH@sha256:DIGEST: a tag may name another image tomorrow."
  }
}

variable "runtime" {
  description = "Runtime of the functions."
  type        = string
  default     = "go126"
  nullable    = false
  validation {
    condition     = contains(["go126", "go127"], var.runtime)
    error_message = "The runtime is go126 or go127."
  }
}

variable "memory_mib" {
  description = "Memory of an instance, in MiB: each of two inspections at once may take 64 MiB for a wheel in /tmp, which is memory."
  type        = number
  default     = 512
  nullable    = false
  validation {
    condition     = var.memory_mib >= 512 && var.memory_mib <= 4096 && floor(var.memory_mib) == var.memory_mib
    error_message = "The memory is 512 to 4096 MiB."
  }
}

variable "submit_max_instances" {
  description = "How many instances of Submit there may be: a bound on what a flood of uploads costs. Drops beyond that wait."
  type        = number
  default     = 10
  nullable    = false
  validation {
    condition     = var.submit_max_instances >= 1 && var.submit_max_instances <= 100 && floor(var.submit_max_instances) == var.submit_max_instances
    error_message = "There may be 1 to 100 instances of Submit."
  }
}

# What wakes them.

variable "inbox_trigger" {
  description = "What wakes Submit: eventarc (an Eventarc trigger, which makes a subscription of its own whose deadline and dead letter are set after the deployment, see deploy/README.md) or notification (a notification of Cloud Storage, with a topic and a subscription that are wholly made here)."
  type        = string
  default     = "eventarc"
  nullable    = false
  validation {
    condition     = contains(["eventarc", "notification"], var.inbox_trigger)
    error_message = "The trigger is eventarc or notification."
  }
}

variable "inbox_prefix" {
  description = "Only objects whose names begin so wake Submit; all do where it is empty. Eventarc knows no prefixes. Watch looks at the whole inbox in any case."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.inbox_prefix == "" || var.inbox_trigger == "notification"
    error_message = "A prefix takes inbox_trigger = \"notification\"."
  }
  validation {
    condition     = !startswith(var.inbox_prefix, "/") && length(var.inbox_prefix) <= 1024
    error_message = "A prefix has at most 1,024 characters and does not begin with a slash, which no object's name here does."
  }
}

variable "tick_schedule" {
  description = "When Watch looks at everything, in the form of cron, UTC. Warnings and limits are as exact as that."
  type        = string
  default     = "* * * * *"
  nullable    = false
  validation {
    condition     = can(regex("^(\\*|\\*/[1-5]) \\* \\* \\* \\*$", var.tick_schedule))
    error_message = "Ticks come every one to five minutes, e.g. * * * * *: alerts and limits count on them."
  }
}

variable "scheduler_region" {
  description = "Region of Cloud Scheduler, which has fewer regions than Cloud Run (gcloud scheduler locations list); that of the functions where it is null."
  type        = string
  default     = null
  validation {
    condition     = var.scheduler_region == null || can(regex("^[a-z]+-[a-z]+[0-9]+$", var.scheduler_region))
    error_message = "A region is written like europe-west4."
  }
}

variable "hints" {
  description = "Whether entries of Cloud Logging about jobs wake Watch between ticks, so that what happens to a job is told as soon as its service logs it, not with the next tick."
  type        = bool
  default     = true
  nullable    = false
}

variable "log_excerpts" {
  description = "Whether Watch may read what training jobs write to Cloud Logging, for the policy's logExcerpt. Whoever applies this needs roles/logging.admin."
  type        = bool
  default     = false
  nullable    = false
}

variable "log_bucket_location" {
  description = "Location of the project's log bucket _Default, for log_excerpts: global, unless the organisation's default settings for Cloud Logging put it in a region (gcloud logging buckets list)."
  type        = string
  default     = "global"
  nullable    = false
  validation {
    condition     = can(regex("^([a-z]+-[a-z]+[0-9]+|[a-z]+)$", var.log_bucket_location))
    error_message = "A location is written like global, eu or europe-west4."
  }
}

# The backend.

variable "backend" {
  description = "Service that runs jobs: vertex (Vertex AI), or aiplatform (ml/v1), which Google closed in January 2025."
  type        = string
  default     = "vertex"
  nullable    = false
  validation {
    condition     = contains(["vertex", "aiplatform"], var.backend)
    error_message = "The backend is vertex or aiplatform."
  }
}

variable "job_regions" {
  description = "Regions in which jobs may run, all of which each tick asks for its jobs; that of the functions where it is empty."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for r in var.job_regions : can(regex("^[a-z]+-[a-z]+[0-9]+$", r))]) && length(distinct(var.job_regions)) == length(var.job_regions)
    error_message = "Regions are written like europe-west4, each once."
  }
}

variable "trainer_service_accounts" {
  description = "Service accounts, besides this installation's own, that jobs may run as: those that the policy names. jobdrop may let jobs run as them, and they may fetch staged packages. What else they may do is for those who made them to say."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for a in var.trainer_service_accounts : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9-]{4,28}[a-z0-9]\\.iam\\.gserviceaccount\\.com$", a))]) && length(distinct(var.trainer_service_accounts)) == length(var.trainer_service_accounts)
    error_message = "Service accounts are written NAME@PROJECT.iam.gserviceaccount.com, each once. Google's own agents and default accounts reach too much."
  }
  validation {
    condition     = var.trainers_of_others || alltrue([for a in var.trainer_service_accounts : endswith(a, "@${var.project_id}.iam.gserviceaccount.com")])
    error_message = "A service account of another project takes what can't be granted here: see trainers_of_others."
  }
}

variable "trainers_of_others" {
  description = "Whether trainer_service_accounts may be of other projects. In each of those, its owners have to give Vertex AI's agent of this project, service-NUMBER@gcp-sa-aiplatform.iam.gserviceaccount.com, roles/iam.serviceAccountTokenCreator on the account, and iam.disableCrossProjectServiceAccountUsage must not be enforced; deploy/README.md has the commands."
  type        = bool
  default     = false
  nullable    = false
}

variable "output_buckets" {
  description = "Buckets of job directories, which are yours to make: jobs write there, and jobdrop reads where they lie, to warn of one in another region than the job."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for b in var.output_buckets : can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", b))]) && length(distinct(var.output_buckets)) == length(var.output_buckets)
    error_message = "Buckets are named without gs://, each once."
  }
}

variable "package_source_buckets" {
  description = "Buckets outside the inbox that allow.packageSources of the policy names: jobdrop has to read them."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for b in var.package_source_buckets : can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", b))]) && length(distinct(var.package_source_buckets)) == length(var.package_source_buckets)
    error_message = "Buckets are named without gs://, each once."
  }
}

variable "policy_file" {
  description = "Path of the operator's policy.yaml, which is written to the state bucket. Without one (null), jobs run as Vertex AI's own agent, which reaches all of the project's buckets."
  type        = string
  default     = null
  validation {
    condition     = var.policy_file == null || can(keys(yamldecode(file(var.policy_file))))
    error_message = "The policy is a file that can be read, with a mapping in YAML; jobdrop policy validate FILE says more."
  }
}

# People.

variable "droppers" {
  description = "Who may drop, as members of IAM, and where: only below folder, if it is set. They read the status of what they may drop."
  type = list(object({
    member = string
    folder = optional(string, "")
  }))
  default  = []
  nullable = false
  validation {
    condition     = alltrue([for d in var.droppers : can(regex("^(user|group|serviceAccount|domain|principal|principalSet):.+$", d.member))])
    error_message = "A dropper is a member of IAM, e.g. group:nlp@example.com. Everybody (allUsers, allAuthenticatedUsers) is none."
  }
  validation {
    condition     = alltrue([for d in var.droppers : d.folder == "" || can(regex("^[^/'\"\\\\]+(/[^/'\"\\\\]+)*/$", d.folder))])
    error_message = "A folder ends with a slash, e.g. teams/nlp/, does not begin with one, and has no quotes and backslashes."
  }
  validation {
    condition     = length(distinct([for d in var.droppers : "${d.member} ${d.folder}"])) == length(var.droppers)
    error_message = "A dropper is listed twice for one folder."
  }
}

variable "basic_roles" {
  description = "Whether the project's basic roles reach the buckets. By default Cloud Storage opens a new bucket to them: every Editor may write inbox, ledger and policy and give rights on them, and every Viewer may read them. null leaves that as it is. false takes it from all but the Owners: name droppers. true gives it back. Once it was true or false, null, like terraform destroy, takes it from Owners, too: see Uninstall in deploy/README.md."
  type        = bool
  default     = null
}

variable "subscriptions" {
  description = "Subscriptions to lifecycle events, by name: who may read one, and which events it gets (a filter of Pub/Sub over the attributes, e.g. attributes.ce-type = \"dev.jobdrop.job.failed.v1\")."
  type = map(object({
    members = optional(list(string), [])
    filter  = optional(string, "")
  }))
  default  = {}
  nullable = false
  validation {
    condition     = alltrue([for name, s in var.subscriptions : can(regex("^[a-z][a-z0-9-]{0,30}$", name))])
    error_message = "A subscription's name has at most 31 lower-case letters, digits and hyphens and begins with a letter."
  }
  validation {
    condition     = alltrue(flatten([for s in var.subscriptions : [for m in s.members : can(regex("^(user|group|serviceAccount|domain|principal|principalSet):.+$", m))]]))
    error_message = "Members are those of IAM, e.g. serviceAccount:reports@example.iam.gserviceaccount.com. Everybody (allUsers, allAuthenticatedUsers) is none."
  }
  validation {
    condition     = alltrue([for s in var.subscriptions : length(s.filter) <= 256])
    error_message = "A filter has at most 256 bytes."
  }
}

# Where things lie, and for how long.

variable "bucket_location" {
  description = "Location of the buckets: a region, a dual-region or a multi-region; the region of the functions where it is null. An event of a bucket elsewhere crosses regions."
  type        = string
  default     = null
  validation {
    condition     = var.bucket_location == null || can(regex("^([a-z]+-[a-z]+[0-9]+|[a-z]{2,4}[0-9]*)$", lower(var.bucket_location)))
    error_message = "A location is written like europe-west4, eu or nam4."
  }
}

variable "longest_wait_days" {
  description = "How long a drop may wait between its acceptance and its job's first second: behind a pause, a limit, a quota, and maxWaitTime."
  type        = number
  default     = 7
  nullable    = false
  validation {
    condition     = var.longest_wait_days >= 1 && var.longest_wait_days <= 365 && floor(var.longest_wait_days) == var.longest_wait_days
    error_message = "The longest wait is 1 to 365 days."
  }
  validation {
    condition     = try(timecmp(timeadd("2000-01-01T00:00:00Z", "${24 * var.longest_wait_days}h"), timeadd("2000-01-01T00:00:00Z", var.submit_within)) >= 0, true)
    error_message = "The backend may be asked for a job for as long as submit_within, which is longer than longest_wait_days: its packages would be gone."
  }
}

variable "longest_run_days" {
  description = "How long a job may run: 7 days where a job sets no maxRunningTime. Vertex AI restarts jobs, and each start reads the packages."
  type        = number
  default     = 7
  nullable    = false
  validation {
    condition     = var.longest_run_days >= 1 && var.longest_run_days <= 365 && floor(var.longest_run_days) == var.longest_run_days
    error_message = "The longest run is 1 to 365 days."
  }
}

variable "staged_days" {
  description = "For how long staged packages are kept: longer than the longest wait and the longest run together."
  type        = number
  default     = 30
  nullable    = false
  validation {
    condition     = var.staged_days > var.longest_wait_days + var.longest_run_days && floor(var.staged_days) == var.staged_days
    error_message = "Staged packages are kept for longer than longest_wait_days and longest_run_days together: a job would find its package gone."
  }
}

variable "history_days" {
  description = "For how long versions that were overwritten or deleted are kept in the inbox and in the state bucket. Live objects are never deleted there, except the lists of recent_days."
  type        = number
  default     = 14
  nullable    = false
  validation {
    # A pinned generation has to outlive the time in which its drop is decided.
    condition     = var.history_days >= 2 && var.history_days <= 365 && floor(var.history_days) == var.history_days
    error_message = "Former versions are kept for 2 to 365 days."
  }
  validation {
    # What is not a duration, its own variable refuses.
    condition     = try(timecmp(timeadd("2000-01-01T00:00:00Z", "${24 * var.history_days}h"), timeadd("2000-01-01T00:00:00Z", var.expire_after)) >= 0, true)
    error_message = "Former versions are kept for as long as an incomplete drop is waited for, expire_after, or for longer: it is decided by the versions that it began with."
  }
}

variable "status_days" {
  description = "For how long status objects are kept after their last change."
  type        = number
  default     = 180
  nullable    = false
  validation {
    condition     = var.status_days > var.longest_wait_days + var.longest_run_days && floor(var.status_days) == var.status_days
    error_message = "Status objects are kept for longer than longest_wait_days and longest_run_days together: somebody still waits for them."
  }
}

variable "recent_days" {
  description = "For how long attempts are listed by time and by state. Their records are kept."
  type        = number
  default     = 400
  nullable    = false
  validation {
    condition     = var.recent_days > var.longest_wait_days + var.longest_run_days && floor(var.recent_days) == var.recent_days
    error_message = "Attempts are listed for longer than longest_wait_days and longest_run_days together: one that is under way would be missing."
  }
}

variable "soft_delete_days" {
  description = "For how long deleted objects can be restored: 7 to 90 days, or 0 for never."
  type        = number
  default     = 7
  nullable    = false
  validation {
    condition     = contains(concat([0], range(7, 91)), var.soft_delete_days)
    error_message = "Deleted objects can be restored for 7 to 90 days, or not at all (0)."
  }
}

variable "lifecycle_retention_days" {
  description = "For how long lifecycle events are kept, so that a subscription can be set back to a time before."
  type        = number
  default     = 7
  nullable    = false
  validation {
    condition     = var.lifecycle_retention_days >= 1 && var.lifecycle_retention_days <= 31 && floor(var.lifecycle_retention_days) == var.lifecycle_retention_days
    error_message = "Lifecycle events are kept for 1 to 31 days."
  }
}

variable "force_destroy" {
  description = "Whether terraform destroy deletes buckets with all that is in them. For trials only."
  type        = bool
  default     = false
  nullable    = false
}

# How long jobdrop waits: see docs/environment.md. The policy may say otherwise.

variable "settle" {
  description = "How long a folder that ran before is given for its new package."
  type        = string
  default     = "60s"
  nullable    = false
  validation {
    condition     = can(regex("^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$", var.settle))
    error_message = "A duration is written like 90s, 15m or 1h30m."
  }
}

variable "incomplete_after" {
  description = "When missing packages are reported; not later than expire_after."
  type        = string
  default     = "15m"
  nullable    = false
  validation {
    condition     = can(regex("^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$", var.incomplete_after))
    error_message = "A duration is written like 90s, 15m or 1h30m."
  }
}

variable "expire_after" {
  description = "When an incomplete drop is given up."
  type        = string
  default     = "24h"
  nullable    = false
  validation {
    condition     = can(regex("^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$", var.expire_after))
    error_message = "A duration is written like 90s, 15m or 1h30m."
  }
}

variable "submit_within" {
  description = "How long the backend is asked for the job of an accepted drop that it does not take, which is part of longest_wait_days; 0s is for ever: then packages are kept for staged_days all the same. A policy that sets other patience is not compared."
  type        = string
  default     = "24h"
  nullable    = false
  validation {
    condition     = can(regex("^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$", var.submit_within))
    error_message = "A duration is written like 90s, 15m or 1h30m."
  }
}

variable "grace" {
  description = "How long after a limit on a job's time jobdrop itself cancels the job, where the backend has not."
  type        = string
  default     = "15m"
  nullable    = false
  validation {
    condition     = can(regex("^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$", var.grace))
    error_message = "A duration is written like 90s, 15m or 1h30m."
  }
}

variable "log_level" {
  description = "From which level on the functions log. Alerts and dashboard read lines of the level INFO."
  type        = string
  default     = "INFO"
  nullable    = false
  validation {
    condition     = contains(["DEBUG", "INFO"], var.log_level)
    error_message = "The level is DEBUG or INFO: above, there would be no heartbeat for the alerts to read."
  }
}

# Telemetry.

variable "collector_endpoint" {
  description = "URL of a collector that takes metrics and traces, OTLP over HTTP; nothing is sent where it is null. Alerts and dashboard do without it."
  type        = string
  default     = null
  validation {
    condition     = var.collector_endpoint == null || can(regex("^https?://[^/]", var.collector_endpoint))
    error_message = "The collector is a URL, https://HOST[:PORT]."
  }
}

variable "collector_headers_secret" {
  description = "Secret of Secret Manager in the project, by its ID, with the headers for the collector (KEY=VALUE,…), e.g. its API key. Only the functions read it; Terraform does not."
  type        = string
  default     = null
  validation {
    condition     = var.collector_headers_secret == null || can(regex("^[A-Za-z0-9_-]{1,255}$", var.collector_headers_secret))
    error_message = "A secret is named by its ID, without the project."
  }
  validation {
    condition     = var.collector_headers_secret == null || var.collector_endpoint != null
    error_message = "Headers are for a collector: set collector_endpoint."
  }
}

variable "collector_headers_version" {
  description = "Version of that secret. A number, since instances that start at different times would read different ones of latest."
  type        = string
  default     = "1"
  nullable    = false
  validation {
    condition     = can(regex("^[1-9][0-9]*$", var.collector_headers_version))
    error_message = "A version is a number."
  }
}

variable "publish_lag_metric" {
  description = "Type under which the collector writes jobdrop.publish.lag to Cloud Monitoring, if it does, e.g. workload.googleapis.com/jobdrop.publish.lag: the alert publish-lag then looks at it, too. Set it once the metric has data: Cloud Monitoring refuses alerts on what it does not know."
  type        = string
  default     = null
  validation {
    condition     = var.publish_lag_metric == null || can(regex("^[a-z.]+\\.googleapis\\.com/[A-Za-z0-9_./-]+$", var.publish_lag_metric))
    error_message = "The type of a metric is written like workload.googleapis.com/jobdrop.publish.lag."
  }
}

# Alerts.

variable "alerts" {
  description = "Whether to make alerts and the dashboard."
  type        = bool
  default     = true
  nullable    = false
}

variable "notification_channels" {
  description = "Channels of Cloud Monitoring that are told of alerts, as projects/PROJECT/notificationChannels/ID. Without one, alerts are only seen in the console."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for c in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", c))])
    error_message = "A channel is written projects/PROJECT/notificationChannels/ID."
  }
}

variable "thresholds" {
  description = "When alerts are given: rejected drops in an hour and their share of all, jobs that timed out in six hours, errors in ten minutes, how many seconds a tick may come late to what is due, and how many a message may wait to be sent."
  type = object({
    rejected            = optional(number, 20)
    rejected_share      = optional(number, 0.5)
    timed_out           = optional(number, 3)
    errors              = optional(number, 5)
    lag_seconds         = optional(number, 600)
    undelivered_seconds = optional(number, 3600)
  })
  default  = {}
  nullable = false
  validation {
    condition     = alltrue([for name, n in var.thresholds : n >= 0]) && var.thresholds.rejected_share <= 1
    error_message = "Thresholds are not negative, and a share is at most 1."
  }
}

# Closed networks.

variable "ingress" {
  description = "From where the functions can be called at all: internal (Google's own services of the same project or perimeter: Eventarc, Pub/Sub and Scheduler are) or all. Only their callers' service accounts may call them in either case."
  type        = string
  default     = "internal"
  nullable    = false
  validation {
    condition     = contains(["internal", "all"], var.ingress)
    error_message = "The ingress is internal or all."
  }
}

variable "network" {
  description = "What of the functions' own traffic goes through a VPC, and how: by a connector (projects/P/locations/R/connectors/C), or, where platform is run, directly by a subnetwork (projects/P/regions/R/subnetworks/S). egress is private-ranges-only or all-traffic; a perimeter of VPC Service Controls wants all, and Private Google Access."
  type = object({
    connector  = optional(string)
    subnetwork = optional(string)
    egress     = optional(string, "all-traffic")
  })
  default = null
  validation {
    condition     = var.network == null || (try(var.network.connector, null) == null) != (try(var.network.subnetwork, null) == null)
    error_message = "A network is reached by a connector or by a subnetwork: name one of them."
  }
  validation {
    condition     = var.network == null || try(var.network.subnetwork, null) == null || var.platform == "run"
    error_message = "A subnetwork takes platform = \"run\"; functions take a connector."
  }
  validation {
    condition     = var.network == null || contains(["private-ranges-only", "all-traffic"], try(var.network.egress, ""))
    error_message = "The egress is private-ranges-only or all-traffic."
  }
}

variable "build_worker_pool" {
  description = "Private pool of Cloud Build that builds the functions, as projects/P/locations/R/workerPools/W; needed in a perimeter. Cloud Build's own where it is null."
  type        = string
  default     = null
  validation {
    condition     = var.build_worker_pool == null || can(regex("^projects/[^/]+/locations/[^/]+/workerPools/[^/]+$", var.build_worker_pool))
    error_message = "A pool is written projects/P/locations/R/workerPools/W."
  }
}

variable "kms_key" {
  description = "Key of Cloud KMS that buckets, topics, functions and their images are encrypted with, as projects/P/locations/REGION/keyRings/K/cryptoKeys/C; Google's own where it is null."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "A key is written projects/P/locations/REGION/keyRings/K/cryptoKeys/C, without a version."
  }
  validation {
    condition     = var.kms_key == null || try(split("/", var.kms_key)[3], "") == var.region && lower(coalesce(var.bucket_location, var.region)) == var.region
    error_message = "One key is for one place: it lies in the region of the functions, and so do the buckets."
  }
  validation {
    condition     = var.kms_key == null || var.inbox_trigger == "notification"
    error_message = "The topic that Eventarc makes is not encrypted with the key: take inbox_trigger = \"notification\"."
  }
}
