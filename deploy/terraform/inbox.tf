# What wakes Submit: one of two triggers. Both deliver at least once, and again
# until Submit answers that the event is settled.

# Eventarc makes its topic and subscription itself. Their acknowledgement deadline
# and dead letter can't be set by Terraform: deploy/README.md has the step after the
# deployment that does, and this is where that subscription's dead letters go.
module "inbox_dead_letter" {
  source = "./modules/dead_letter"
  count  = var.inbox_trigger == "eventarc" ? 1 : 0

  project_id   = var.project_id
  region       = var.region
  name         = "${var.instance}-submit-inbox"
  labels       = local.labels
  kms_key      = var.kms_key
  pubsub_agent = local.agents.pubsub

  depends_on = [google_project_service.this]
}

# Eventarc has Cloud Storage publish to a topic of Eventarc's own, and demands that
# it may do so in the whole project. This is the only role of its kind here.
# Installations of one project share it: when one of them is destroyed, apply the
# others again.
resource "google_project_iam_member" "storage_agent" {
  count   = var.inbox_trigger == "eventarc" ? 1 : 0
  project = var.project_id
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${local.agents.storage}"
}

# What receives events from Eventarc may do so in the project: there is no narrower
# place.
resource "google_project_iam_member" "eventarc" {
  for_each = { for name, f in local.deployed : name => f if f.event }
  project  = var.project_id
  role     = "roles/eventarc.eventReceiver"
  member   = google_service_account.caller[each.key].member
}

# Functions have their trigger themselves; services need one of their own. Its
# events are delivered again by default.
resource "google_eventarc_trigger" "inbox" {
  for_each        = { for name, f in local.deployed : name => f if f.event && var.platform == "run" }
  project         = var.project_id
  name            = "${var.instance}-${each.key}"
  location        = lower(local.bucket_location)
  service_account = google_service_account.caller[each.key].email
  labels          = local.labels

  matching_criteria {
    attribute = "type"
    value     = "google.cloud.storage.object.v1.finalized"
  }
  matching_criteria {
    attribute = "bucket"
    value     = google_storage_bucket.this["inbox"].name
  }
  destination {
    cloud_run_service {
      service = module.function[each.key].name
      region  = var.region
    }
  }

  depends_on = [google_project_iam_member.storage_agent, google_project_iam_member.eventarc]
}

# The alternative: a notification of Cloud Storage, a topic and a subscription, all
# ours.
resource "google_pubsub_topic" "inbox" {
  count        = var.inbox_trigger == "notification" ? 1 : 0
  project      = var.project_id
  name         = "${var.instance}-inbox"
  labels       = local.labels
  kms_key_name = var.kms_key
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agents]
}

resource "google_pubsub_topic_iam_member" "inbox" {
  count   = var.inbox_trigger == "notification" ? 1 : 0
  project = var.project_id
  topic   = google_pubsub_topic.inbox[0].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${local.agents.storage}"
}

resource "google_storage_notification" "inbox" {
  count              = var.inbox_trigger == "notification" ? 1 : 0
  bucket             = google_storage_bucket.this["inbox"].name
  topic              = google_pubsub_topic.inbox[0].id
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = var.inbox_prefix == "" ? null : var.inbox_prefix
  depends_on         = [google_pubsub_topic_iam_member.inbox]
}

locals {
  inbox_push = {
    topic   = one(google_pubsub_topic.inbox[*].id)
    ordered = false # events of Cloud Storage have no order
    # As long as Eventarc keeps trying, and more: a weekend.
    retention = "${7 * local.day}s"
  }
}
