# The topic on which jobdrop tells what becomes of each drop.

resource "google_pubsub_schema" "lifecycle" {
  project = var.project_id
  name    = "${var.instance}-lifecycle"
  type    = "PROTOCOL_BUFFER"
  # The same as pkg/event/schemas/lifecycle.v1.json; a test compares them, since an
  # event that does not fit can't be published.
  # Its comments stay here: each change of the definition is a revision of the schema,
  # and there may be twenty.
  definition = trimspace(replace(replace(file("${path.module}/lifecycle.proto"), "/(?m)[ \\t]*//.*$/", ""), "/\\n\\n+/", "\n"))
  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic" "lifecycle" {
  project                    = var.project_id
  name                       = "${var.instance}-lifecycle"
  labels                     = local.labels
  kms_key_name               = var.kms_key
  message_retention_duration = "${var.lifecycle_retention_days * local.day}s"

  schema_settings {
    schema   = google_pubsub_schema.lifecycle.id
    encoding = "JSON"
  }

  # Messages are ordered within a region; the functions publish to its endpoint.
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

# All events: a filter can't be changed later, and what nobody is to hear of costs
# Notify no call.
locals {
  lifecycle_push = {
    topic     = google_pubsub_topic.lifecycle.id
    ordered   = true
    retention = "${7 * local.day}s"
  }
}

module "subscription" {
  source   = "./modules/subscription"
  for_each = var.subscriptions

  project_id   = var.project_id
  region       = var.region
  name         = "${var.instance}-lifecycle-${each.key}"
  topic        = google_pubsub_topic.lifecycle.id
  filter       = each.value.filter
  ordered      = true
  readers      = each.value.members
  labels       = local.labels
  kms_key      = var.kms_key
  pubsub_agent = local.agents.pubsub

  depends_on = [google_kms_crypto_key_iam_member.agents]
}
