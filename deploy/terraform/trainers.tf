# The account that jobs run as: the policy's defaults.serviceAccount. It runs code
# that somebody dropped. It reads staged packages that it can name, and writes the
# listed output buckets; not the ledger, not the inbox, not others' status. Nor may
# it write log entries: it could forge the lines that alerts read. (What a program
# prints is logged by Vertex AI itself.)

resource "google_service_account" "trainer" {
  project      = var.project_id
  account_id   = "${var.instance}-trainer"
  display_name = "jobdrop ${var.instance}: training jobs"
  depends_on   = [google_project_service.this]
}

locals {
  # Written out, since a for_each has to know it before the account is there.
  trainer_email    = "${var.instance}-trainer@${var.project_id}.iam.gserviceaccount.com"
  trainer_accounts = distinct(concat([local.trainer_email], var.trainer_service_accounts))
}

resource "google_storage_bucket_iam_member" "trainer_staging" {
  for_each   = toset(local.trainer_accounts)
  bucket     = google_storage_bucket.this["staging"].name
  role       = google_project_iam_custom_role.this["fetch"].name
  member     = "serviceAccount:${each.key}"
  depends_on = [google_service_account.trainer]
}

# A program reads back what it wrote: checkpoints. What other accounts may write is
# for those to say who made them.
resource "google_storage_bucket_iam_member" "trainer_output" {
  for_each = toset(var.output_buckets)
  bucket   = each.key
  role     = "roles/storage.objectUser"
  member   = google_service_account.trainer.member
}
