# What training jobs write: Watch reads its end, for the policy's logExcerpt, and the
# console all of it. They read a view that holds the entries of training jobs, and
# nothing else of the project's logs.

resource "google_logging_log_view" "jobs" {
  count       = var.log_excerpts || var.console != null ? 1 : 0
  parent      = "projects/${var.project_id}"
  location    = var.log_bucket_location
  bucket      = "_Default"
  name        = "${var.instance}-jobs"
  description = "jobdrop ${var.instance}: what training jobs write"
  filter      = "SOURCE(\"projects/${var.project_id}\") AND resource.type = \"ml_job\""
  depends_on  = [google_project_service.this]
}

resource "google_logging_log_view_iam_member" "watch" {
  count    = var.log_excerpts ? 1 : 0
  parent   = google_logging_log_view.jobs[0].parent
  location = google_logging_log_view.jobs[0].location
  bucket   = google_logging_log_view.jobs[0].bucket
  name     = google_logging_log_view.jobs[0].name
  role     = "roles/logging.viewAccessor"
  member   = google_service_account.function["watch"].member
}
