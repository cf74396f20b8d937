data "google_project" "this" {
  project_id = var.project_id
}

data "google_storage_project_service_account" "this" {
  project = var.project_id
}

locals {
  labels          = merge(var.labels, { jobdrop = var.instance })
  bucket_location = coalesce(var.bucket_location, var.region)

  # A bucket's name is everybody's: the project's ID makes it ours.
  bucket_names = {
    for purpose in ["inbox", "state", "staging", "status", "source"] : purpose => "${var.project_id}-${var.instance}-${purpose}"
  }

  # Google's own accounts of the project. Each comes with its API; deploy/README.md
  # says how to have those made that come late.
  agents = {
    storage           = data.google_storage_project_service_account.this.email_address
    pubsub            = "service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    functions         = "service-${data.google_project.this.number}@gcf-admin-robot.iam.gserviceaccount.com"
    run               = "service-${data.google_project.this.number}@serverless-robot-prod.iam.gserviceaccount.com"
    artifact_registry = "service-${data.google_project.this.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
  }
}
