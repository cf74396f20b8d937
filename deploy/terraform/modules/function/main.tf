# One of jobdrop's functions, as a Cloud Run function built from the source, or as
# a plain Cloud Run service of an image. Either way it is a service of Cloud Run by
# the same name, and who may call it is said there.
terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

resource "google_cloudfunctions2_function" "this" {
  count        = var.platform == "functions" ? 1 : 0
  project      = var.project_id
  location     = var.region
  name         = var.name
  description  = "jobdrop's function ${var.entry_point}"
  labels       = var.labels
  kms_key_name = var.kms_key

  build_config {
    runtime           = var.runtime
    entry_point       = var.entry_point
    service_account   = var.build.service_account
    docker_repository = var.build.repository
    worker_pool       = var.build.worker_pool
    source {
      storage_source {
        bucket = var.build.bucket
        object = var.build.object
      }
    }
  }

  service_config {
    service_account_email            = var.service_account
    available_memory                 = "${var.memory_mib}Mi"
    available_cpu                    = "1" # less allows no concurrency
    timeout_seconds                  = var.timeout_seconds
    min_instance_count               = 0
    max_instance_count               = var.max_instances
    max_instance_request_concurrency = var.concurrency
    all_traffic_on_latest_revision   = true
    ingress_settings                 = { internal = "ALLOW_INTERNAL_ONLY", all = "ALLOW_ALL" }[var.ingress]
    vpc_connector                    = try(var.network.connector, null)
    vpc_connector_egress_settings    = try({ private-ranges-only = "PRIVATE_RANGES_ONLY", all-traffic = "ALL_TRAFFIC" }[var.network.egress], null)
    environment_variables            = var.environment

    dynamic "secret_environment_variables" {
      for_each = var.secret_environment
      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = secret_environment_variables.value.secret
        version    = secret_environment_variables.value.version
      }
    }
  }

  dynamic "event_trigger" {
    for_each = var.event[*]
    content {
      event_type     = "google.cloud.storage.object.v1.finalized"
      trigger_region = event_trigger.value.region
      # Without it, an event whose handling fails is acknowledged, and lost.
      retry_policy          = "RETRY_POLICY_RETRY"
      service_account_email = var.caller
      event_filters {
        attribute = "bucket"
        value     = event_trigger.value.bucket
      }
    }
  }
}

resource "google_cloud_run_v2_service" "this" {
  count               = var.platform == "run" ? 1 : 0
  project             = var.project_id
  location            = var.region
  name                = var.name
  description         = "jobdrop's function ${var.entry_point}"
  labels              = var.labels
  ingress             = { internal = "INGRESS_TRAFFIC_INTERNAL_ONLY", all = "INGRESS_TRAFFIC_ALL" }[var.ingress]
  deletion_protection = false # it holds nothing; all state is in buckets

  template {
    service_account                  = var.service_account
    timeout                          = "${var.timeout_seconds}s"
    max_instance_request_concurrency = var.concurrency
    encryption_key                   = var.kms_key

    scaling {
      min_instance_count = 0
      max_instance_count = var.max_instances
    }

    dynamic "vpc_access" {
      for_each = var.network[*]
      content {
        connector = vpc_access.value.connector
        egress    = { private-ranges-only = "PRIVATE_RANGES_ONLY", all-traffic = "ALL_TRAFFIC" }[vpc_access.value.egress]
        dynamic "network_interfaces" {
          for_each = vpc_access.value.subnetwork[*]
          content {
            subnetwork = network_interfaces.value
          }
        }
      }
    }

    containers {
      image = var.image

      resources {
        limits = {
          cpu    = "1"
          memory = "${var.memory_mib}Mi"
        }
        cpu_idle = true # nothing is done between requests
      }

      # One image serves every function; this says which.
      env {
        name  = "FUNCTION_TARGET"
        value = var.entry_point
      }
      dynamic "env" {
        for_each = var.environment
        content {
          name  = env.key
          value = env.value
        }
      }
      dynamic "env" {
        for_each = var.secret_environment
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = env.value.secret
              version = env.value.version
            }
          }
        }
      }
    }
  }
}

# Another ID is another service, without the rights of the one before.
resource "terraform_data" "service" {
  triggers_replace = one(concat(google_cloudfunctions2_function.this[*].id, google_cloud_run_v2_service.this[*].id))
}

# Only its callers may call it.
resource "google_cloud_run_v2_service_iam_member" "caller" {
  project  = var.project_id
  location = var.region
  # Taken from the function or the service, since that has to be there first.
  name   = one(concat(google_cloudfunctions2_function.this[*].name, google_cloud_run_v2_service.this[*].name))
  role   = "roles/run.invoker"
  member = "serviceAccount:${var.caller}"

  # A service that is replaced takes its policy with it, and keeps its name.
  lifecycle {
    replace_triggered_by = [terraform_data.service]
  }
}
