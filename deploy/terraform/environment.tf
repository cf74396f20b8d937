# The environment of the functions: what internal/app/config reads, all of it. Those that are
# null here are not set, and each function gets those that it reads. What is for the local stack alone stands, with the reasons,
# in environment-elsewhere.json; a test compares all three.
locals {
  settings = {
    JOBDROP_INSTANCE            = var.instance
    JOBDROP_PROJECT             = var.project_id
    JOBDROP_INBOX               = google_storage_bucket.this["inbox"].name
    JOBDROP_STATE_BUCKET        = google_storage_bucket.this["state"].name
    JOBDROP_STAGING_BUCKET      = google_storage_bucket.this["staging"].name
    JOBDROP_STATUS_BUCKET       = google_storage_bucket.this["status"].name
    JOBDROP_TOPIC               = google_pubsub_topic.lifecycle.id
    JOBDROP_POLICY              = var.policy_file == null ? null : "gs://${local.bucket_names.state}/${local.policy_folder}policy.yaml"
    JOBDROP_ROUTES              = var.routes == null ? null : "gs://${local.bucket_names.state}/${local.routes_object}"
    JOBDROP_BACKEND             = var.backend
    JOBDROP_REGIONS             = join(",", coalescelist(var.job_regions, [var.region]))
    JOBDROP_PUBSUB_ENDPOINT     = "${var.region}-pubsub.googleapis.com:443"
    JOBDROP_SETTLE              = var.settle
    JOBDROP_INCOMPLETE_AFTER    = var.incomplete_after
    JOBDROP_EXPIRE_AFTER        = var.expire_after
    JOBDROP_SUBMIT_WITHIN       = var.submit_within
    JOBDROP_GRACE               = var.grace
    JOBDROP_LOG_LEVEL           = var.log_level
    JOBDROP_LOG_VIEW            = var.log_excerpts ? one(google_logging_log_view.jobs[*].id) : null
    OTEL_EXPORTER_OTLP_ENDPOINT = var.collector_endpoint
    # A function holds some megabytes: Go would collect them thirty times a second under load. The
    # limit keeps that from costing memory that the instance does not have.
    GOGC       = "150"
    GOMEMLIMIT = "${floor(var.memory_mib * 4 / 5)}MiB"
  }
  environment = { for name, value in local.settings : name => value if value != null }

  # Notify knows neither the inbox nor the backend, and the others know no routes.
  read_by_notify_alone = ["JOBDROP_ROUTES"]
  read_by_notify = concat(local.read_by_notify_alone, [
    "JOBDROP_INSTANCE", "JOBDROP_PROJECT", "JOBDROP_STATE_BUCKET", "JOBDROP_STATUS_BUCKET", "JOBDROP_LOG_LEVEL", "OTEL_EXPORTER_OTLP_ENDPOINT",
    "GOGC", "GOMEMLIMIT",
  ])
  environments = { for name in keys(local.deployed) : name => {
    for variable, value in local.environment : variable => value
    if name == "notify" ? contains(local.read_by_notify, variable) : !contains(local.read_by_notify_alone, variable)
  } }

  # By the names of secrets in Secret Manager, with their versions.
  secret_settings = {
    OTEL_EXPORTER_OTLP_HEADERS = var.collector_headers_secret == null ? null : { secret = var.collector_headers_secret, version = var.collector_headers_version }
  }
  secret_environment = { for name, value in local.secret_settings : name => value if value != null }
}

# Each function reads these secrets. Notify also reads those of its destinations.
resource "google_secret_manager_secret_iam_member" "function" {
  for_each = merge([for name in keys(local.deployed) : {
    for variable, s in local.secret_environment : "${name}-${variable}" => { function = name, secret = s.secret }
  }]...)
  project   = var.project_id
  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.value.function].member
}
