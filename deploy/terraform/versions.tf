# One installation of jobdrop: one inbox, and all that runs its drops. Several
# inboxes are several installations; ../examples/organisation has them in one
# root module.
terraform {
  # A validation may look at other variables from 1.9 on.
  required_version = ">= 1.9"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 9"
    }
  }
}
