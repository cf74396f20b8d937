# A team: who may drop is a group and its CI, models have a bucket, somebody is told
# of alerts, and a program reads what failed.
#
#   cp terraform.tfvars.example terraform.tfvars    and edit it, and policy.yaml
#   terraform init -backend-config=bucket=BUCKET_OF_YOUR_STATES
#   terraform apply
terraform {
  required_version = ">= 1.9"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 9"
    }
  }
  # More than one person applies this.
  backend "gcs" {
    prefix = "jobdrop"
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}

# Job directories: trainers write here, by the names of their folders.
resource "google_storage_bucket" "models" {
  project                     = var.project_id
  name                        = "${var.project_id}-models"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  labels                      = var.labels
  versioning {
    enabled = true
  }
}

resource "google_monitoring_notification_channel" "mail" {
  for_each     = toset(var.alert_addresses)
  project      = var.project_id
  type         = "email"
  display_name = "jobdrop: ${each.key}"
  labels = {
    email_address = each.key
  }
}

module "jobdrop" {
  source = "../../terraform"

  project_id            = var.project_id
  region                = var.region
  scheduler_region      = var.scheduler_region
  instance              = var.instance
  source_archive        = var.source_archive
  policy_file           = "${path.module}/policy.yaml"
  routes                = var.notify_secrets == null ? null : "${path.module}/routes.yaml"
  notify_secrets        = var.notify_secrets == null ? [] : var.notify_secrets
  labels                = var.labels
  droppers              = [for member in var.droppers : { member = member }]
  basic_roles           = false # Editors and Viewers have no rights of their own there
  output_buckets        = [google_storage_bucket.models.name]
  notification_channels = [for c in google_monitoring_notification_channel.mail : c.name]

  subscriptions = {
    failures = {
      # What a person has to look at.
      filter  = "attributes.ce-type = \"dev.jobdrop.job.failed.v1\" OR attributes.ce-type = \"dev.jobdrop.job.timed_out.v1\" OR attributes.ce-type = \"dev.jobdrop.job.lost.v1\""
      members = var.readers_of_failures
    }
  }
}
