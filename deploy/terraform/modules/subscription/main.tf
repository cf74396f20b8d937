# A subscription with its dead letters: pushed to a function, or pulled.
terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

module "dead_letter" {
  source       = "../dead_letter"
  project_id   = var.project_id
  region       = var.region
  name         = var.name
  labels       = var.labels
  kms_key      = var.kms_key
  pubsub_agent = var.pubsub_agent
}

resource "google_pubsub_subscription" "this" {
  project                    = var.project_id
  name                       = var.name
  topic                      = var.topic
  labels                     = var.labels
  filter                     = var.filter == "" ? null : var.filter
  enable_message_ordering    = var.ordered
  message_retention_duration = var.retention
  # The most that there is: a function works for up to 540 s, and a message that is
  # delivered again meanwhile is work for nothing.
  ack_deadline_seconds = 600

  expiration_policy {
    ttl = "" # never: one that is not used for a month would be gone
  }

  # Twenty deliveries with these pauses are about two hours and a half. What is a
  # dead letter of the inbox by then is found by Watch all the same.
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
  dead_letter_policy {
    dead_letter_topic     = module.dead_letter.topic
    max_delivery_attempts = 20
  }

  dynamic "push_config" {
    for_each = var.push[*]
    content {
      push_endpoint = push_config.value.endpoint
      oidc_token {
        service_account_email = push_config.value.service_account
        audience              = push_config.value.endpoint
      }
    }
  }
}

# To move a message, Pub/Sub takes it from here.
resource "google_pubsub_subscription_iam_member" "agent" {
  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:${var.pubsub_agent}"
}

resource "google_pubsub_subscription_iam_member" "reader" {
  for_each     = toset(var.readers)
  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = each.key
}

resource "google_pubsub_subscription_iam_member" "dead_letter_reader" {
  for_each     = toset(var.readers)
  project      = var.project_id
  subscription = module.dead_letter.subscription
  role         = "roles/pubsub.subscriber"
  member       = each.key
}
