# An organisation: several inboxes, each an installation of its own with its own
# policy, all in one project and of one image. Nobody drops but into the folders of
# their team.
#
#   cp terraform.tfvars.example terraform.tfvars    and edit it, and policies/
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
  backend "gcs" {
    prefix = "jobdrop"
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}

module "jobdrop" {
  source   = "../../terraform"
  for_each = var.installations

  project_id  = var.project_id
  region      = var.region
  instance    = each.key
  policy_file = "${path.module}/policies/${each.key}.yaml"
  labels      = merge(var.labels, each.value.labels)

  scheduler_region = var.scheduler_region

  # One image for all: it is built and scanned once, and rolled back by its digest.
  platform = "run"
  image    = var.image

  # Topics and subscriptions are all ours: under our key, with dead letters, and
  # without a role for the whole project that one installation could take from
  # another when it goes.
  inbox_trigger = "notification"
  kms_key       = var.kms_key
  network       = var.subnetwork == null ? null : { subnetwork = var.subnetwork }

  droppers                 = each.value.droppers
  basic_roles              = false # Editors and Viewers have no rights of their own there
  trainer_service_accounts = each.value.trainers
  output_buckets           = each.value.output_buckets
  package_source_buckets   = each.value.package_source_buckets
  job_regions              = each.value.job_regions
  submit_max_instances     = each.value.submit_max_instances
  subscriptions            = each.value.subscriptions
  longest_wait_days        = 14
  staged_days              = 45

  notification_channels = var.notification_channels
}
