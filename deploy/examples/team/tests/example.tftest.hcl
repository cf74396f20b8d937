# The example as it is, with terraform.tfvars.example as terraform.tfvars.
mock_provider "google" {
  source = "../../terraform/tests/mocks"
  mock_resource "google_monitoring_notification_channel" {
    defaults = {
      name = "projects/acme-ml/notificationChannels/1"
    }
  }
}

run "told" {
  variables {
    notify_secrets = ["jobdrop-slack", "jobdrop-pagerduty"]
  }
  assert {
    condition     = contains(keys(output.environment), "JOBDROP_ROUTES")
    error_message = "Nobody is told."
  }
}

run "example" {
  command = plan
  assert {
    condition     = output.models == "gs://acme-ml-models" && keys(output.subscriptions) == ["failures"]
    error_message = "The example makes something else."
  }
}
