# What else an operator may choose.

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

run "cloud_run" {
  variables {
    platform       = "run"
    source_archive = null
    image          = "europe-west4-docker.pkg.dev/acme-ml/jobdrop/server@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  }
  assert {
    condition     = toset([for f in module.function : f.name]) == toset(["prod-submit", "prod-watch"])
    error_message = "The services have other names than the functions."
  }
  assert {
    condition     = length(google_storage_bucket_object.source) == 0 && length(google_service_account.build) == 0 && length(google_artifact_registry_repository.images) == 0
    error_message = "Nothing is built."
  }
  assert {
    condition     = length(google_eventarc_trigger.inbox) == 1 && google_eventarc_trigger.inbox["submit"].location == "europe-west4"
    error_message = "Submit's service needs a trigger of its own."
  }
  assert {
    condition = { for c in google_eventarc_trigger.inbox["submit"].matching_criteria : c.attribute => c.value } == {
      type   = "google.cloud.storage.object.v1.finalized"
      bucket = "acme-ml-prod-inbox"
    }
    error_message = "The trigger is for other events."
  }
  assert {
    condition     = google_eventarc_trigger.inbox["submit"].destination[0].cloud_run_service[0].service == "prod-submit"
    error_message = "The trigger wakes another service."
  }
}

run "notification" {
  variables {
    inbox_trigger = "notification"
    inbox_prefix  = "teams/"
  }
  assert {
    condition     = google_storage_notification.inbox[0].object_name_prefix == "teams/" && google_storage_notification.inbox[0].payload_format == "JSON_API_V1" && google_storage_notification.inbox[0].event_types == toset(["OBJECT_FINALIZE"])
    error_message = "The notification is another one."
  }
  assert {
    condition     = length(google_project_iam_member.storage_agent) == 0 && length(google_project_iam_member.eventarc) == 0 && google_pubsub_topic_iam_member.inbox[0].role == "roles/pubsub.publisher"
    error_message = "Cloud Storage publishes to our topic alone."
  }
  assert {
    condition     = toset(keys(module.push)) == toset(["submit-inbox", "watch-hints"])
    error_message = "There are other push subscriptions."
  }
  assert {
    condition     = output.inbox_trigger == null && output.dead_letters.submit-inbox == "prod-submit-inbox-dead"
    error_message = "The dead letters are those of our own subscription."
  }
}

run "closed_to_basic_roles" {
  variables {
    droppers         = [{ member = "group:nlp@example.com" }]
    basic_roles      = false
    scheduler_region = "europe-west1"
  }
  assert {
    condition = toset([for b in google_storage_bucket_iam_binding.default : "${b.bucket} ${b.role}"]) == toset([for p in setproduct(
      ["inbox", "state", "staging", "status", "source"], ["BucketOwner", "BucketReader", "ObjectOwner", "ObjectReader"]
    ) : "acme-ml-prod-${p[0]} roles/storage.legacy${p[1]}"])
    error_message = "A bucket keeps a default binding."
  }
  assert {
    condition     = alltrue([for b in google_storage_bucket_iam_binding.default : b.members == toset(["projectOwner:acme-ml"])])
    error_message = "Editors or viewers keep their default rights, or owners lose them."
  }
  assert {
    condition     = google_cloud_scheduler_job.tick.region == "europe-west1" && module.monitoring[0].dashboard != ""
    error_message = "Cloud Scheduler is where it is not."
  }
}

run "open_to_basic_roles" {
  variables {
    basic_roles = true
  }
  assert {
    condition     = { for b in google_storage_bucket_iam_binding.default : replace(b.role, "roles/storage.legacy", "") => join(" ", sort(b.members)) if b.bucket == "acme-ml-prod-inbox" } == { BucketOwner = "projectEditor:acme-ml projectOwner:acme-ml", BucketReader = "projectViewer:acme-ml", ObjectOwner = "projectEditor:acme-ml projectOwner:acme-ml", ObjectReader = "projectViewer:acme-ml" }
    error_message = "Editors, viewers or owners do not get back what Cloud Storage gives them."
  }
}

run "notify" {
  variables {
    routes         = "tests/routes.yaml"
    notify_secrets = ["slack-token", "projects/acme-keys/secrets/pager"]
    log_level      = "DEBUG"
  }
  assert {
    condition     = toset([for f in module.function : f.name]) == toset(["prod-submit", "prod-watch", "prod-notify"])
    error_message = "There is no function Notify."
  }
  assert {
    condition     = output.routes == "gs://acme-ml-prod-state/policy/routes.yaml" && google_storage_bucket_object.routes[0].content == file("tests/routes.yaml") && google_storage_bucket_object.routes[0].cache_control == "no-store"
    error_message = "The routes lie elsewhere, or are others."
  }
  # It has what is its own, and nothing of what the others have.
  assert {
    condition = local.environments.notify == {
      JOBDROP_INSTANCE      = "prod"
      JOBDROP_PROJECT       = "acme-ml"
      JOBDROP_STATE_BUCKET  = "acme-ml-prod-state"
      JOBDROP_STATUS_BUCKET = "acme-ml-prod-status"
      JOBDROP_ROUTES        = "gs://acme-ml-prod-state/policy/routes.yaml"
      JOBDROP_LOG_LEVEL     = "DEBUG"
      GOGC                  = "150"
      GOMEMLIMIT            = "409MiB"
    }
    error_message = "The environment of Notify is another one."
  }
  assert {
    condition     = local.environments.submit == local.environments.watch && !contains(keys(local.environments.submit), "JOBDROP_ROUTES") && contains(keys(local.environments.submit), "JOBDROP_INBOX")
    error_message = "Submit and Watch know the routes, or miss something."
  }
  assert {
    condition     = toset([for key in keys(google_storage_bucket_iam_member.function) : key if startswith(key, "notify-")]) == toset(["notify-state-read", "notify-state-write"]) && length([for key in keys(google_project_iam_member.function) : key if startswith(key, "notify-")]) == 0
    error_message = "Notify has rights on other buckets, or in the project."
  }
  assert {
    condition     = google_storage_bucket_iam_member.function["notify-state-write"].condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/acme-ml-prod-state/objects/deliveries/\")"
    error_message = "Notify writes something else than deliveries."
  }
  assert {
    condition     = google_storage_bucket_iam_member.function["notify-state-read"].condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/acme-ml-prod-state/objects/deliveries/\") || resource.name == \"projects/_/buckets/acme-ml-prod-state/objects/policy/routes.yaml\" || !resource.name.startsWith(\"projects/_/buckets/acme-ml-prod-state/objects/\") && api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"deliveries/\").startsWith(\"deliveries/\")"
    error_message = "Notify reads something else than deliveries and the routes."
  }
  assert {
    condition = alltrue([for name in ["submit", "watch"] :
      google_storage_bucket_iam_member.function["${name}-state-read"].condition[0].expression == "!resource.name.startsWith(\"projects/_/buckets/acme-ml-prod-state/objects/deliveries/\") && (${join(" || ", [for folder in ["attempts/", "open/", "requests/"] : "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"attempts/\").startsWith(\"${folder}\")"])})"
    ])
    error_message = "Submit or Watch may read deliveries, or list them, or may not list what they do."
  }
  assert {
    condition     = keys(google_pubsub_topic_iam_member.function) == ["submit", "watch"] && toset([for key in keys(google_service_account_iam_member.act_as) : split("-", key)[0]]) == toset(["submit", "watch"])
    error_message = "Notify publishes, or has jobs run."
  }
  # One right for each secret, on the secret.
  assert {
    condition = { for key, m in google_secret_manager_secret_iam_member.notify : key => "${m.project} ${m.secret_id} ${m.role}" } == {
      "slack-token"                      = "acme-ml slack-token roles/secretmanager.secretAccessor"
      "projects/acme-keys/secrets/pager" = "acme-keys pager roles/secretmanager.secretAccessor"
    }
    error_message = "Notify reads other secrets."
  }
  # What wakes it.
  assert {
    condition     = contains(keys(module.push), "notify-lifecycle") && output.dead_letters.notify-lifecycle == "prod-notify-lifecycle-dead" && local.lifecycle_push.ordered && !contains(keys(local.lifecycle_push), "filter")
    error_message = "Notify gets no events, not all of them, or in no order, or loses those that it can't take."
  }
  assert {
    condition     = google_cloud_scheduler_job.notify[0].schedule == "* * * * *" && google_cloud_scheduler_job.notify[0].attempt_deadline == "560s" && google_cloud_scheduler_job.notify[0].retry_config[0].retry_count == 0 && google_cloud_scheduler_job.notify[0].http_target[0].uri == google_cloud_scheduler_job.notify[0].http_target[0].oidc_token[0].audience
    error_message = "Notify is not woken each minute, or by somebody else."
  }
}

run "routes_with_secrets_that_are_not_granted" {
  command = plan
  variables {
    routes         = "tests/routes.yaml"
    notify_secrets = ["slack-token"]
  }
  expect_failures = [google_storage_bucket_object.routes]
}

run "routes_with_variables" {
  command = plan
  variables {
    routes = "tests/routes-env.yaml"
  }
  expect_failures = [google_storage_bucket_object.routes]
}

run "log_excerpts" {
  variables {
    log_excerpts        = true
    log_bucket_location = "europe-west4"
  }
  assert {
    condition     = google_logging_log_view.jobs[0].location == "europe-west4" && google_logging_log_view.jobs[0].bucket == "_Default" && strcontains(google_logging_log_view.jobs[0].filter, "resource.type = \"ml_job\"")
    error_message = "The view is of other entries."
  }
  assert {
    condition     = google_logging_log_view_iam_member.watch[0].name == "prod-jobs" && google_logging_log_view_iam_member.watch[0].location == "europe-west4" && google_logging_log_view_iam_member.watch[0].role == "roles/logging.viewAccessor" && google_logging_log_view_iam_member.watch[0].member == google_service_account.function["watch"].member
    error_message = "Somebody else reads the view, or Watch does not."
  }
  assert {
    condition     = contains(keys(output.environment), "JOBDROP_LOG_VIEW")
    error_message = "Watch is not told of the view."
  }
}

run "no_policy" {
  variables {
    policy_file = null
  }
  assert {
    condition     = length(google_storage_bucket_object.policy) == 0 && !contains(keys(output.environment), "JOBDROP_POLICY") && output.policy == null
    error_message = "There is no policy, and nothing names one."
  }
  # People are told what that means.
  expect_failures = [check.trainer_account]
}

run "own_key" {
  variables {
    kms_key       = "projects/acme-keys/locations/europe-west4/keyRings/jobdrop/cryptoKeys/data"
    inbox_trigger = "notification"
  }
  assert {
    condition     = alltrue([for b in google_storage_bucket.this : b.encryption[0].default_kms_key_name == var.kms_key])
    error_message = "A bucket is encrypted with another key."
  }
  assert {
    condition     = alltrue([for t in [google_pubsub_topic.lifecycle, google_pubsub_topic.inbox[0], google_pubsub_topic.hints[0]] : t.kms_key_name == var.kms_key])
    error_message = "A topic is encrypted with another key."
  }
  assert {
    condition     = google_artifact_registry_repository.images[0].kms_key_name == var.kms_key
    error_message = "Images are encrypted with another key."
  }
  assert {
    condition     = length(google_kms_crypto_key_iam_member.agents) == 5 && contains(keys(google_project_service.this), "cloudkms.googleapis.com")
    error_message = "Google's agents may not use the key."
  }
  assert {
    condition     = google_storage_notification.inbox[0].object_name_prefix == null
    error_message = "An empty prefix is no prefix."
  }
}

run "all_that_can_be_added" {
  variables {
    trainer_service_accounts = ["nlp-trainer@acme-ml.iam.gserviceaccount.com", "trainer@other-project.iam.gserviceaccount.com"]
    trainers_of_others       = true
    output_buckets           = ["acme-models"]
    package_source_buckets   = ["acme-packages"]
    job_regions              = ["europe-west4", "us-central1"]
    droppers = [
      { member = "serviceAccount:ci@acme-ml.iam.gserviceaccount.com" },
      { member = "group:nlp@example.com", folder = "teams/nlp/" },
    ]
    requesters = ["group:nlp@example.com"]
    subscriptions = {
      failures = { filter = "attributes.ce-type = \"dev.jobdrop.job.failed.v1\"", members = ["serviceAccount:reports@acme-ml.iam.gserviceaccount.com"] }
      archive  = {}
    }
    collector_endpoint        = "https://collector.example.com"
    collector_headers_secret  = "collector-key"
    collector_headers_version = "3"
    publish_lag_metric        = "workload.googleapis.com/jobdrop.publish.lag"
    network = {
      connector = "projects/acme-ml/locations/europe-west4/connectors/jobdrop"
    }
    build_worker_pool = "projects/acme-ml/locations/europe-west4/workerPools/build"
    bucket_location   = "EU"
  }

  # Trainers.
  assert {
    condition     = length(google_service_account_iam_member.act_as) == 6 && length(google_storage_bucket_iam_member.trainer_staging) == 3
    error_message = "Jobs can't run as all accounts that are listed."
  }
  assert {
    condition     = google_service_account_iam_member.act_as["watch-trainer@other-project.iam.gserviceaccount.com"].role == "roles/iam.serviceAccountUser"
    error_message = "A role of this project is none in another."
  }
  assert {
    condition     = google_storage_bucket_iam_member.trainer_output["acme-models"].role == "roles/storage.objectUser" && toset(keys(google_storage_bucket_iam_member.place)) == toset(["submit-acme-models", "watch-acme-models"])
    error_message = "Jobs write to the output bucket, and jobdrop sees where it lies."
  }
  assert {
    condition     = alltrue([for m in google_storage_bucket_iam_member.package_source : m.role == "roles/storage.objectViewer" && m.bucket == "acme-packages"])
    error_message = "jobdrop may do more with packages of others than read them."
  }
  assert {
    condition     = output.environment.JOBDROP_REGIONS == "europe-west4,us-central1"
    error_message = "Jobs run in other regions."
  }
  # Requesters.
  assert {
    condition     = google_storage_bucket_iam_member.requester["group:nlp@example.com"].condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/acme-ml-prod-state/objects/requests/\")" && google_project_iam_custom_role.this["ask"].permissions == toset(["storage.objects.create"])
    error_message = "Whoever may ask may write more than requests, or overwrite one."
  }
  assert {
    condition     = length(google_storage_bucket_iam_member.requester_answers["group:nlp@example.com"].condition) == 1 && strcontains(google_storage_bucket_iam_member.requester_answers["group:nlp@example.com"].condition[0].expression, "objects/results/")
    error_message = "Whoever may ask reads no answer, or reads the whole ledger."
  }
  assert {
    condition     = google_storage_notification.requests[0].object_name_prefix == "requests/" && google_storage_notification.requests[0].topic == google_pubsub_topic.hints[0].id
    error_message = "Requests wait for the next tick, or other objects wake Watch."
  }
  # Droppers.
  assert {
    condition     = length(google_storage_bucket_iam_member.dropper["serviceAccount:ci@acme-ml.iam.gserviceaccount.com "].condition) == 0
    error_message = "Who has no folder may drop everywhere."
  }
  assert {
    condition     = google_storage_bucket_iam_member.dropper["group:nlp@example.com teams/nlp/"].condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/acme-ml-prod-inbox/objects/teams/nlp/\") || api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"teams/nlp/\")"
    error_message = "A folder's dropper may drop elsewhere."
  }
  assert {
    condition     = strcontains(google_storage_bucket_iam_member.dropper_status["group:nlp@example.com teams/nlp/"].condition[0].expression, "acme-ml-prod-status/objects/teams/nlp/")
    error_message = "A folder's dropper may read the status of others."
  }
  # Subscribers.
  assert {
    condition     = toset(keys(output.dead_letters)) == toset(["submit-inbox", "watch-hints", "lifecycle-failures", "lifecycle-archive"])
    error_message = "A subscription has no dead letters."
  }
  # Collector.
  assert {
    condition     = output.environment.OTEL_EXPORTER_OTLP_ENDPOINT == "https://collector.example.com" && !contains(keys(output.environment), "OTEL_EXPORTER_OTLP_HEADERS")
    error_message = "The collector is set, and its secret is no plain text."
  }
  assert {
    condition     = length(google_secret_manager_secret_iam_member.function) == 2 && alltrue([for m in google_secret_manager_secret_iam_member.function : m.secret_id == "collector-key" && m.role == "roles/secretmanager.secretAccessor"])
    error_message = "The functions may not read the secret."
  }
  # Closed network.
  assert {
    condition     = contains(keys(google_project_service.this), "vpcaccess.googleapis.com")
    error_message = "A connector is of an API of its own."
  }
  assert {
    condition     = var.network.egress == "all-traffic"
    error_message = "All traffic goes through the network, if nothing else is said."
  }
  # Multi region.
  assert {
    condition     = output.inbox_trigger.location == "eu" && google_storage_bucket.this["inbox"].location == "EU"
    error_message = "The trigger lies where the bucket does."
  }
}

run "all_that_can_be_left_out" {
  variables {
    backend     = "aiplatform"
    hints       = false
    alerts      = false
    enable_apis = false
  }
  assert {
    condition     = length(google_kms_crypto_key_iam_member.agents) == 0 && alltrue([for b in google_storage_bucket.this : length(b.encryption) == 0]) && google_pubsub_topic.lifecycle.kms_key_name == null
    error_message = "There is no key."
  }
  assert {
    condition     = output.environment.JOBDROP_BACKEND == "aiplatform" && toset(google_project_iam_custom_role.this["run_jobs"].permissions) == toset(["ml.jobs.create", "ml.jobs.get", "ml.jobs.list"])
    error_message = "The rights are those at another backend."
  }
  assert {
    condition     = length(google_logging_project_sink.hints) == 0 && length(google_pubsub_topic.hints) == 0 && length(module.push) == 0
    error_message = "Hints were not wanted."
  }
  assert {
    condition     = contains(local.apis, "ml.googleapis.com") && !contains(local.apis, "aiplatform.googleapis.com")
    error_message = "The API is another backend's."
  }
  assert {
    condition     = length(module.monitoring) == 0 && length(google_project_service.this) == 0
    error_message = "Alerts or APIs were not wanted."
  }
}

run "console" {
  variables {
    console = {
      image   = "europe-west4-docker.pkg.dev/acme-ml/jobdrop/jobdrop@sha256:0000000000000000000000000000000000000000000000000000000000000000"
      members = ["domain:example.com", "user:ann@example.org"]
    }
  }
  assert {
    condition     = output.console.audience == "/projects/123456789012/locations/europe-west4/services/prod-console"
    error_message = "The audience is another one."
  }
  assert {
    condition     = toset(keys(google_storage_bucket_iam_member.console)) == toset(["inbox", "state"]) && local.console_buckets["inbox"] == "fetch" && google_project_iam_custom_role.this["fetch"].permissions == toset(["storage.objects.get"]) && length(google_storage_bucket_iam_member.console_output) == 0 && length(google_storage_bucket_iam_member.console_asks) == 0
    error_message = "The console reads something else, or writes."
  }
  assert {
    condition     = google_storage_bucket_iam_member.console["state"].condition[0].expression == "!resource.name.startsWith(\"projects/_/buckets/acme-ml-prod-state/objects/deliveries/\") && resource.name != \"projects/_/buckets/acme-ml-prod-state/objects/policy/routes.yaml\" && (${join(" || ", [for folder in ["attempts/", "open/", "recent/", "ended/", "requests/", "parked/"] : "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"attempts/\").startsWith(\"${folder}\")"])})"
    error_message = "The console reads who is told of what, or what was told, or lists what it does not show."
  }
  assert {
    condition     = length(google_storage_bucket_iam_member.console["inbox"].condition) == 0
    error_message = "The console may not get the text of job files."
  }
  assert {
    condition     = google_logging_log_view_iam_member.console[0].role == "roles/logging.viewAccessor" && length(google_logging_log_view_iam_member.watch) == 0
    error_message = "The console does not read logs, or Watch does."
  }
  assert {
    condition     = contains(keys(google_project_service.this), "iap.googleapis.com")
    error_message = "IAP's API is not enabled."
  }
  assert {
    condition     = contains(keys(local.console_environment), "JOBDROP_LOG_VIEW") && !contains(keys(output.environment), "JOBDROP_LOG_VIEW")
    error_message = "The view of the logs is the console's alone here."
  }
  assert {
    condition     = output.environment.JOBDROP_CONSOLE == "https://prod-console-123456789012.europe-west4.run.app" && output.environment.JOBDROP_CONSOLE == output.console.uri && !contains(keys(local.environment), "JOBDROP_CONSOLE")
    error_message = "Commands do not know where the console is, or functions do."
  }
  assert {
    condition     = alltrue([for name in keys(local.console_environment) : startswith(name, "JOBDROP_") || name == "GOMEMLIMIT"]) && !contains(keys(local.console_environment), "JOBDROP_ROUTES")
    error_message = "The console knows more than the names of an installation."
  }
}

run "console_that_acts" {
  variables {
    console = {
      image          = "europe-west4-docker.pkg.dev/acme-ml/jobdrop/jobdrop@sha256:0000000000000000000000000000000000000000000000000000000000000000"
      members        = ["domain:example.com"]
      output_buckets = ["acme-models"]
      act            = true
    }
  }
  assert {
    condition     = google_storage_bucket_iam_member.console_asks[0].condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/acme-ml-prod-state/objects/requests/\")"
    error_message = "The console writes something else than requests."
  }
  assert {
    condition     = length(google_storage_notification.requests) == 1
    error_message = "Nobody hears of what the console asks for."
  }
  assert {
    condition     = google_storage_bucket_iam_member.console_output["acme-models"].role == "roles/storage.objectViewer"
    error_message = "The console may do something else than read outputs."
  }
}
