# Entries of Cloud Logging about jobs, which wake Watch between ticks. A hint is not
# believed, and one that is lost costs nothing.

resource "google_pubsub_topic" "hints" {
  count        = var.hints ? 1 : 0
  project      = var.project_id
  name         = "${var.instance}-hints"
  labels       = local.labels
  kms_key_name = var.kms_key
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agents]
}

resource "google_logging_project_sink" "hints" {
  count                  = var.hints ? 1 : 0
  project                = var.project_id
  name                   = "${var.instance}-hints"
  description            = "jobdrop ${var.instance}: what happens to jobs"
  destination            = "pubsub.googleapis.com/${google_pubsub_topic.hints[0].id}"
  filter                 = local.hints_filter
  unique_writer_identity = true
}

resource "google_pubsub_topic_iam_member" "hints" {
  count   = var.hints ? 1 : 0
  project = var.project_id
  topic   = google_pubsub_topic.hints[0].name
  role    = "roles/pubsub.publisher"
  member  = google_logging_project_sink.hints[0].writer_identity
}

locals {
  # The same as in docs/watch.md.
  hints_filter = "(resource.type=\"ml_job\" AND resource.labels.task_name=\"service\") OR protoPayload.methodName=~\"JobService\\.(Create|Cancel)\""

  hints_push = {
    topic   = one(google_pubsub_topic.hints[*].id)
    ordered = false
    # The least that there is: the next tick knows more than an old hint.
    retention = "600s"
  }
}
