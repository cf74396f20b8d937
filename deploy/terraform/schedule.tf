locals {
  tick_name        = "${var.instance}-tick"
  notify_tick_name = "${var.instance}-notify-tick"
}

# Watch's ticks. Scheduler may call twice, or while a tick still runs: two ticks do
# no harm.
resource "google_cloud_scheduler_job" "tick" {
  project     = var.project_id
  region      = coalesce(var.scheduler_region, var.region)
  name        = local.tick_name
  description = "jobdrop ${var.instance}: has Watch look at everything"
  schedule    = var.tick_schedule
  time_zone   = "Etc/UTC"
  # Longer than the function's own timeout: a tick that is cut off by the caller
  # would go on all the same.
  attempt_deadline = "${local.timeout_seconds + 20}s"

  # The next tick is the retry.
  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = module.function["watch"].uri
    oidc_token {
      service_account_email = google_service_account.caller["watch"].email
      audience              = module.function["watch"].uri
    }
  }

  depends_on = [google_project_service.this]
}

# Notify's own, which sends what could not be sent at once, and what waits for its
# time. It comes each minute: people wait for messages.
resource "google_cloud_scheduler_job" "notify" {
  count            = var.routes == null ? 0 : 1
  project          = var.project_id
  region           = coalesce(var.scheduler_region, var.region)
  name             = local.notify_tick_name
  description      = "jobdrop ${var.instance}: has Notify send what is due"
  schedule         = "* * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "${local.timeout_seconds + 20}s"

  # The next tick is the retry.
  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = module.function["notify"].uri
    oidc_token {
      service_account_email = google_service_account.caller["notify"].email
      audience              = module.function["notify"].uri
    }
  }

  depends_on = [google_project_service.this]
}
