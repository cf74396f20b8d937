# What the real provider would give, where what is made up at random would not do.
mock_data "google_project" {
  defaults = {
    number = "123456789012"
  }
}

mock_data "google_storage_project_service_account" {
  defaults = {
    email_address = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
  }
}

mock_resource "google_service_account" {
  defaults = {
    email  = "account@acme-ml.iam.gserviceaccount.com"
    member = "serviceAccount:account@acme-ml.iam.gserviceaccount.com"
    name   = "projects/acme-ml/serviceAccounts/account@acme-ml.iam.gserviceaccount.com"
  }
}

mock_resource "google_project_iam_custom_role" {
  defaults = {
    name = "projects/acme-ml/roles/jobdrop"
  }
}

mock_resource "google_logging_project_sink" {
  defaults = {
    writer_identity = "serviceAccount:service-123456789012@gcp-sa-logging.iam.gserviceaccount.com"
  }
}

mock_resource "google_pubsub_topic" {
  defaults = {
    id = "projects/acme-ml/topics/topic"
  }
}
