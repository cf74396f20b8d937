# The least: one inbox, Cloud Run functions, an Eventarc trigger. For a trial, or a
# handful of people.
#
#   cp terraform.tfvars.example terraform.tfvars    and edit it, and policy.yaml
#   terraform init
#   terraform apply
terraform {
  required_version = ">= 1.9"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 9"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}

# Job directories: programs leave what they trained here.
resource "google_storage_bucket" "models" {
  project                     = var.project_id
  name                        = "${var.project_id}-${var.instance}-models"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
}

module "jobdrop" {
  source = "../../terraform"

  project_id       = var.project_id
  region           = var.region
  scheduler_region = var.scheduler_region
  instance         = var.instance
  source_archive   = var.source_archive
  policy_file      = "${path.module}/policy.yaml"
  output_buckets   = [google_storage_bucket.models.name]
}
