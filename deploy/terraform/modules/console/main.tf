# The console as a service of Cloud Run, with Identity-Aware Proxy before it.
terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

locals {
  # Cloud Logging answers 60 reads a minute of a project: all instances together take
  # half of them, and the functions have theirs besides.
  log_reads = max(1, floor(30 / var.settings.max_instances))
}

# Not google_cloud_run_v2_service: in the oldest provider that is allowed, its
# iap_enabled is google-beta's alone.
resource "google_cloud_run_service" "this" {
  project                    = var.project_id
  location                   = var.region
  name                       = var.name
  autogenerate_revision_name = true

  metadata {
    labels = var.labels
    annotations = {
      "run.googleapis.com/iap-enabled" = "true"
      "run.googleapis.com/ingress"     = var.settings.ingress
    }
  }

  template {
    metadata {
      labels = var.labels
      annotations = merge(
        { "autoscaling.knative.dev/maxScale" = tostring(var.settings.max_instances) },
        var.kms_key == null ? {} : { "run.googleapis.com/encryption-key" = var.kms_key },
      )
    }
    spec {
      service_account_name  = var.service_account
      timeout_seconds       = 900  # longer than a live stream
      container_concurrency = 1000 # the most: each visible tab holds a stream, and pages have to get in beside them
      containers {
        image = var.settings.image
        args  = concat(["console", "--host=0.0.0.0", "--port=8080", "--iap-audience=${var.audience}", "--log-reads-per-minute=${local.log_reads}"], var.settings.act ? ["--act"] : [])
        resources {
          limits = {
            cpu    = tostring(var.settings.cpu)
            memory = "${var.settings.memory_mib}Mi"
          }
        }
        dynamic "env" {
          for_each = var.environment
          content {
            name  = env.key
            value = env.value
          }
        }
      }
    }
  }

  traffic {
    percent         = 100
    latest_revision = true
  }
}

# Another ID is another service, without the rights of the one before.
resource "terraform_data" "service" {
  triggers_replace = google_cloud_run_service.this.id
}

# IAP alone calls it. Who comes another way has no right, and no assertion.
resource "google_cloud_run_v2_service_iam_member" "caller" {
  project  = var.project_id
  location = var.region
  name     = google_cloud_run_service.this.name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${var.caller}"

  # A service that is replaced takes its policy with it, and keeps its name.
  lifecycle {
    replace_triggered_by = [terraform_data.service]
  }
}

resource "google_iap_web_cloud_run_service_iam_member" "member" {
  for_each               = toset(var.settings.members)
  project                = var.project_id
  location               = var.region
  cloud_run_service_name = google_cloud_run_service.this.name
  role                   = "roles/iap.httpsResourceAccessor"
  member                 = each.value

  lifecycle {
    replace_triggered_by = [terraform_data.service]
  }
}
