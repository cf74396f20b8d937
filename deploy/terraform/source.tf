# The source of the functions, and what builds it. All functions are built from
# the same archive; they differ in their entry point.

resource "google_storage_bucket_object" "source" {
  count  = var.platform == "functions" ? 1 : 0
  bucket = google_storage_bucket.this["source"].name
  # The digest in the name makes another source another object, which is what has
  # the functions built anew.
  name   = basename(var.source_archive)
  source = var.source_archive

  # The revision that runs keeps its archive until the functions are built of the next
  # one. A rollback packs the older commit again: the same bytes.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_artifact_registry_repository" "images" {
  count         = var.platform == "functions" ? 1 : 0
  project       = var.project_id
  location      = var.region
  repository_id = "${var.instance}-functions"
  description   = "Images of jobdrop's functions, made by their builds."
  format        = "DOCKER"
  labels        = local.labels
  kms_key_name  = var.kms_key

  cleanup_policies {
    id     = "keep-for-rollback"
    action = "KEEP"
    most_recent_versions {
      keep_count = 10
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "${90 * local.day}s"
    }
  }

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agents]
}

# The builds' account. Cloud Build's default one may do far more, and is shared
# with all other builds of the project.
resource "google_service_account" "build" {
  count        = var.platform == "functions" ? 1 : 0
  project      = var.project_id
  account_id   = "${var.instance}-build"
  display_name = "jobdrop ${var.instance}: builds the functions"
  depends_on   = [google_project_service.this]
}

# A build with an account of its own has to write its log itself. There is no
# narrower place to grant that.
resource "google_project_iam_member" "build_log" {
  count   = var.platform == "functions" ? 1 : 0
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.build[0].member
}

resource "google_artifact_registry_repository_iam_member" "build" {
  count      = var.platform == "functions" ? 1 : 0
  project    = var.project_id
  location   = var.region
  repository = google_artifact_registry_repository.images[0].repository_id
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build[0].member
}

resource "google_storage_bucket_iam_member" "build" {
  count  = var.platform == "functions" ? 1 : 0
  bucket = google_storage_bucket.this["source"].name
  role   = google_project_iam_custom_role.this["read"].name
  member = google_service_account.build[0].member
}

# Cloud Functions copies the archive to a bucket of its own, gcf-v2-sources-…. It does
# not exist before the first deployment, so the grant is on the project, and its
# condition limits it to that bucket.
resource "google_project_iam_member" "build_copy" {
  count   = var.platform == "functions" ? 1 : 0
  project = var.project_id
  role    = google_project_iam_custom_role.this["read"].name
  member  = google_service_account.build[0].member
  condition {
    title      = "only the copies of functions' sources"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-${var.region}\")"
  }
}
