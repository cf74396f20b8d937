locals {
  apis = concat(
    [
      "artifactregistry.googleapis.com",
      "cloudbuild.googleapis.com",
      "cloudfunctions.googleapis.com",
      "cloudresourcemanager.googleapis.com", # grants in the project; it is asked even for a plan
      "cloudscheduler.googleapis.com",
      "eventarc.googleapis.com",
      "iam.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "pubsub.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
      "storage.googleapis.com",
    ],
    [{ vertex = "aiplatform.googleapis.com", aiplatform = "ml.googleapis.com" }[var.backend]],
    var.kms_key == null ? [] : ["cloudkms.googleapis.com"],
    var.console == null ? [] : ["iap.googleapis.com"],
    try(var.network.connector, null) == null ? [] : ["vpcaccess.googleapis.com"],
  )
}

resource "google_project_service" "this" {
  for_each = toset(var.enable_apis ? local.apis : [])
  project  = var.project_id
  service  = each.key
  # Others may use it too.
  disable_on_destroy = false
}
