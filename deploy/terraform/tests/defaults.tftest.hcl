# An installation as it is made without any choice.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project_id     = "acme-ml"
  region         = "europe-west4"
  instance       = "prod"
  source_archive = "out/jobdrop-0123456789ab.zip"
  policy_file    = "tests/policy.yaml"
}

run "defaults" {
  # Buckets.
  assert {
    condition     = toset(keys(google_storage_bucket.this)) == toset(["inbox", "state", "staging", "status", "source"])
    error_message = "Other buckets are made than those that are described."
  }
  assert {
    condition     = alltrue([for b in google_storage_bucket.this : b.uniform_bucket_level_access && b.public_access_prevention == "enforced" && !b.force_destroy])
    error_message = "A bucket is open, or can be destroyed with what is in it."
  }
  assert {
    condition     = google_storage_bucket.this["inbox"].name == "acme-ml-prod-inbox" && google_storage_bucket.this["inbox"].location == "europe-west4"
    error_message = "The inbox has another name or lies elsewhere."
  }
  assert {
    condition     = { for purpose, b in google_storage_bucket.this : purpose => b.versioning[0].enabled } == { inbox = true, state = true, staging = false, status = false, source = false }
    error_message = "The inbox and the state bucket keep versions, the others don't."
  }
  assert {
    condition     = alltrue([for b in google_storage_bucket.this : b.soft_delete_policy[0].retention_duration_seconds == 604800])
    error_message = "What is deleted can be restored for seven days."
  }
  assert {
    condition = alltrue(flatten([for purpose in ["inbox", "state"] : [
      for r in google_storage_bucket.this[purpose].lifecycle_rule : one(r.condition[*].with_state) == "ARCHIVED" || purpose == "state" && toset(one(r.condition[*].matches_prefix)) == toset(["ended/", "recent/"])
      if one(r.action[*].type) == "Delete" && one(r.condition[*].matches_prefix) != tolist(["results/"]) && one(r.condition[*].age) != 100
    ]]))
    error_message = "A rule deletes live objects of the inbox, or of the ledger besides its index by time, the answers to requests and old deliveries."
  }
  assert {
    condition     = [for r in google_storage_bucket.this["state"].lifecycle_rule : one(r.condition[*].age) if one(r.condition[*].with_state) == "LIVE"] == [400, 100]
    error_message = "Attempts are listed by time for 400 days, and deliveries kept for 100."
  }
  assert {
    condition     = [for r in google_storage_bucket.this["state"].lifecycle_rule : one(r.condition[*].matches_prefix) if one(r.condition[*].age) == 100] == [tolist(["deliveries/folders/", "deliveries/open/", "deliveries/heartbeats/", "deliveries/parked/"])]
    error_message = "Something else of deliveries is deleted, e.g. their epoch, or something is kept for ever."
  }
  assert {
    condition     = [for r in google_storage_bucket.this["staging"].lifecycle_rule : one(r.condition[*].age) if one(r.action[*].type) == "Delete"] == [30]
    error_message = "Staged packages are deleted after 30 days."
  }

  # Functions.
  assert {
    condition     = toset([for f in module.function : f.name]) == toset(["prod-submit", "prod-watch"])
    error_message = "Other functions are made than those that function.go registers."
  }
  assert {
    condition     = local.functions.watch.max_instances == 1
    error_message = "Watch has one instance at most."
  }
  assert {
    condition     = google_storage_bucket_object.source[0].name == "jobdrop-0123456789ab.zip"
    error_message = "The source's object has the archive's name, and with it its digest."
  }
  assert {
    condition = output.environment == tomap({
      JOBDROP_INSTANCE         = "prod"
      JOBDROP_PROJECT          = "acme-ml"
      JOBDROP_INBOX            = "acme-ml-prod-inbox"
      JOBDROP_STATE_BUCKET     = "acme-ml-prod-state"
      JOBDROP_STAGING_BUCKET   = "acme-ml-prod-staging"
      JOBDROP_STATUS_BUCKET    = "acme-ml-prod-status"
      JOBDROP_TOPIC            = "projects/acme-ml/topics/topic"
      JOBDROP_POLICY           = "gs://acme-ml-prod-state/policy/policy.yaml"
      JOBDROP_BACKEND          = "vertex"
      JOBDROP_REGIONS          = "europe-west4"
      JOBDROP_PUBSUB_ENDPOINT  = "europe-west4-pubsub.googleapis.com:443"
      JOBDROP_SETTLE           = "60s"
      JOBDROP_INCOMPLETE_AFTER = "15m"
      JOBDROP_EXPIRE_AFTER     = "24h"
      JOBDROP_SUBMIT_WITHIN    = "24h"
      JOBDROP_GRACE            = "15m"
      JOBDROP_LOG_LEVEL        = "INFO"
      GOGC                     = "150"
      GOMEMLIMIT               = "409MiB"
    })
    error_message = "The environment is another one."
  }
  assert {
    condition     = length(google_secret_manager_secret_iam_member.function) == 0
    error_message = "There are no secrets, and nobody reads any."
  }

  # Rights.
  assert {
    condition = toset(keys(google_storage_bucket_iam_member.function)) == toset([
      "submit-inbox-read", "submit-state-read", "submit-state-write", "submit-staging-write", "submit-staging-fetch", "submit-status-read", "submit-status-write",
      "watch-inbox-read", "watch-state-read", "watch-state-write", "watch-staging-write", "watch-staging-fetch", "watch-status-read", "watch-status-write",
    ])
    error_message = "The functions have other rights on the buckets."
  }
  assert {
    condition = alltrue([for key, m in google_storage_bucket_iam_member.function :
      strcontains(key, "-state-write") || length(m.condition) == 0
    ])
    error_message = "A right besides that to write records has a condition."
  }
  assert {
    condition = alltrue([for name in ["submit", "watch"] :
      google_storage_bucket_iam_member.function["${name}-state-write"].condition[0].expression == "!resource.name.startsWith(\"projects/_/buckets/acme-ml-prod-state/objects/deliveries/\") && !resource.name.startsWith(\"projects/_/buckets/acme-ml-prod-state/objects/policy/\")"
    ])
    error_message = "Submit or Watch may write the operator's files, or deliveries."
  }
  assert {
    condition     = length(google_cloud_scheduler_job.notify) == 0 && length(google_storage_bucket_object.routes) == 0 && length(google_secret_manager_secret_iam_member.notify) == 0 && output.routes == null && !contains(keys(output.service_accounts), "notify")
    error_message = "Without routes there is something of Notify."
  }
  assert {
    condition     = toset(keys(google_project_iam_member.function)) == toset(["submit-run_jobs", "watch-run_jobs", "watch-cancel_jobs"])
    error_message = "In the project, Submit creates jobs, and Watch also cancels them."
  }
  assert {
    condition     = alltrue([for r in google_project_iam_custom_role.this : alltrue([for p in r.permissions : !can(regex("setIamPolicy|\\*", p))])])
    error_message = "A role of ours gives rights away."
  }
  assert {
    condition = toset([for m in google_service_account_iam_member.act_as : m.service_account_id]) == toset([
      "projects/-/serviceAccounts/prod-trainer@acme-ml.iam.gserviceaccount.com",
    ])
    error_message = "The functions may act as others than the trainer's account."
  }
  assert {
    condition     = length(google_storage_bucket_iam_member.trainer_output) == 0 && length(google_storage_bucket_iam_member.dropper) == 0
    error_message = "Somebody has rights without being listed."
  }
  assert {
    condition     = length(google_storage_bucket_iam_binding.default) == 0
    error_message = "Without droppers, the buckets' default bindings stay."
  }

  # Triggers.
  assert {
    condition     = output.inbox_trigger.location == "europe-west4" && length(google_eventarc_trigger.inbox) == 0 && length(google_storage_notification.inbox) == 0
    error_message = "Submit is woken by the trigger of the function alone."
  }
  assert {
    condition     = google_project_iam_member.storage_agent[0].role == "roles/pubsub.publisher" && toset(keys(google_project_iam_member.eventarc)) == toset(["submit"])
    error_message = "Eventarc needs that Cloud Storage publishes, and that Submit's caller receives."
  }
  assert {
    condition     = google_cloud_scheduler_job.tick.schedule == "* * * * *" && google_cloud_scheduler_job.tick.attempt_deadline == "560s" && google_cloud_scheduler_job.tick.retry_config[0].retry_count == 0
    error_message = "Ticks come each minute, and are not repeated."
  }
  assert {
    condition     = google_cloud_scheduler_job.tick.http_target[0].uri == google_cloud_scheduler_job.tick.http_target[0].oidc_token[0].audience
    error_message = "The token is for another audience."
  }
  assert {
    condition     = google_logging_project_sink.hints[0].unique_writer_identity && google_pubsub_topic_iam_member.hints[0].member == "serviceAccount:service-123456789012@gcp-sa-logging.iam.gserviceaccount.com"
    error_message = "The sink may not publish."
  }
  assert {
    condition     = output.dead_letters == { submit-inbox = "prod-submit-inbox-dead", watch-hints = "prod-watch-hints-dead" }
    error_message = "There are other dead letters."
  }

  # Events.
  assert {
    condition     = google_pubsub_topic.lifecycle.message_retention_duration == "604800s" && google_pubsub_topic.lifecycle.schema_settings[0].encoding == "JSON" && google_pubsub_topic.lifecycle.message_storage_policy[0].allowed_persistence_regions == toset(["europe-west4"])
    error_message = "The lifecycle topic has a schema, keeps messages for seven days, in its region."
  }

  assert {
    condition     = startswith(google_pubsub_schema.lifecycle.definition, "syntax = \"proto3\";\npackage jobdrop.v1;\nmessage Lifecycle {\n  string attempt = 1;\n") && !strcontains(google_pubsub_schema.lifecycle.definition, "//") && endswith(google_pubsub_schema.lifecycle.definition, "\n}")
    error_message = "A comment that changes would make a revision of the schema, of which there are twenty."
  }

  # APIs.
  assert {
    condition     = contains(keys(google_project_service.this), "aiplatform.googleapis.com") && contains(keys(google_project_service.this), "cloudresourcemanager.googleapis.com")
    error_message = "An API that is asked is not enabled."
  }

  # Policy.
  assert {
    condition     = google_storage_bucket_object.policy[0].bucket == "acme-ml-prod-state" && google_storage_bucket_object.policy[0].name == "policy/policy.yaml" && google_storage_bucket_object.policy[0].content == file("tests/policy.yaml")
    error_message = "The policy lies in the state bucket, as it is in the file."
  }
}
