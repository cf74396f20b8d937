# Values come from the installation, which has checked most of them; what is checked
# here is what this module itself counts on.

variable "project_id" {
  description = "Project of the console."
  type        = string
  nullable    = false
  validation {
    condition     = var.project_id != ""
    error_message = "The project is missing."
  }
}

variable "region" {
  description = "Region of the console."
  type        = string
  nullable    = false
  validation {
    condition     = var.region != ""
    error_message = "The region is missing."
  }
}

variable "name" {
  description = "Name of the service."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,47}[a-z0-9]$", var.name))
    error_message = "A service's name has at most 49 lower-case letters, digits and hyphens."
  }
}

variable "labels" {
  description = "Labels of the service."
  type        = map(string)
  nullable    = false
  validation {
    condition     = length(var.labels) <= 64
    error_message = "A service has at most 64 labels."
  }
}

variable "kms_key" {
  description = "Key that the service is encrypted with."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key == null || can(regex("/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "A key is written projects/P/locations/REGION/keyRings/K/cryptoKeys/C."
  }
}

variable "service_account" {
  description = "Whom the console runs as."
  type        = string
  nullable    = false
  validation {
    condition     = endswith(var.service_account, ".gserviceaccount.com")
    error_message = "The console needs a service account of its own."
  }
}

variable "audience" {
  description = "What Identity-Aware Proxy signs assertions for."
  type        = string
  nullable    = false
  validation {
    condition     = endswith(var.audience, "/services/${var.name}")
    error_message = "The audience is that of another service: an assertion for that one would count."
  }
}

variable "caller" {
  description = "The account of Identity-Aware Proxy, which alone calls the service."
  type        = string
  nullable    = false
  validation {
    condition     = endswith(var.caller, "@gcp-sa-iap.iam.gserviceaccount.com")
    error_message = "Only Identity-Aware Proxy calls the console."
  }
}

variable "environment" {
  description = "Environment variables."
  type        = map(string)
  nullable    = false
  validation {
    condition     = !contains(keys(var.environment), "PORT")
    error_message = "PORT is Cloud Run's to set."
  }
}

variable "settings" {
  description = "What the installation's variable console says."
  type = object({
    image         = string
    members       = list(string)
    cpu           = number
    memory_mib    = number
    max_instances = number
    ingress       = string
    act           = bool
  })
  nullable = false
  validation {
    condition     = var.settings.image != "" && length(var.settings.members) > 0
    error_message = "The console needs an image, and members."
  }
}
