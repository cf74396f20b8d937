# Two accounts for each function: the one that it runs as, and the one that its
# callers (Eventarc, Pub/Sub, Scheduler) show, which may call that function and
# nothing else.

resource "google_service_account" "function" {
  for_each     = local.deployed
  project      = var.project_id
  account_id   = "${var.instance}-${each.key}"
  display_name = "jobdrop ${var.instance}: ${each.value.entry_point}"
  depends_on   = [google_project_service.this]
}

resource "google_service_account" "caller" {
  for_each     = local.deployed
  project      = var.project_id
  account_id   = "${var.instance}-${each.key}-caller"
  display_name = "jobdrop ${var.instance}: calls ${each.value.entry_point}"
  depends_on   = [google_project_service.this]
}
