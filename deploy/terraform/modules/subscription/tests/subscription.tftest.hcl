mock_provider "google" {
}

variables {
  project_id   = "acme-ml"
  region       = "europe-west4"
  name         = "prod-lifecycle-failures"
  topic        = "projects/acme-ml/topics/prod-lifecycle"
  ordered      = true
  labels       = {}
  pubsub_agent = "service-1@gcp-sa-pubsub.iam.gserviceaccount.com"
}

run "pulled" {
  variables {
    filter  = "attributes.ce-state = \"failed\""
    readers = ["serviceAccount:reports@acme-ml.iam.gserviceaccount.com"]
  }
  assert {
    condition     = google_pubsub_subscription.this.enable_message_ordering && google_pubsub_subscription.this.filter == var.filter && length(google_pubsub_subscription.this.push_config) == 0
    error_message = "The subscription is another one."
  }
  assert {
    condition     = google_pubsub_subscription.this.dead_letter_policy[0].dead_letter_topic == module.dead_letter.topic && output.dead_letter_subscription == "prod-lifecycle-failures-dead"
    error_message = "The dead letters go elsewhere."
  }
  assert {
    condition     = google_pubsub_subscription_iam_member.agent.member == "serviceAccount:${var.pubsub_agent}" && google_pubsub_subscription_iam_member.agent.role == "roles/pubsub.subscriber"
    error_message = "Pub/Sub can't move dead letters."
  }
  assert {
    condition     = keys(google_pubsub_subscription_iam_member.reader) == keys(google_pubsub_subscription_iam_member.dead_letter_reader)
    error_message = "Who reads messages reads its dead letters, too."
  }
}

run "pushed" {
  command = plan
  variables {
    push = { endpoint = "https://watch.example.com", service_account = "caller@acme-ml.iam.gserviceaccount.com" }
  }
  assert {
    condition     = google_pubsub_subscription.this.push_config[0].push_endpoint == "https://watch.example.com" && google_pubsub_subscription.this.push_config[0].oidc_token[0].service_account_email == "caller@acme-ml.iam.gserviceaccount.com" && google_pubsub_subscription.this.filter == null
    error_message = "Messages are pushed elsewhere, or as somebody else."
  }
}

run "refused" {
  command = plan
  variables {
    readers   = ["allUsers"]
    retention = "60s"
    push      = { endpoint = "https://watch.example.com", service_account = "me@example.com" }
  }
  expect_failures = [var.readers, var.retention, var.push]
}
