variable "project_id" {
  description = "Project of all that is made here."
  type        = string
  nullable    = false
  validation {
    condition     = var.project_id != ""
    error_message = "The project is missing."
  }
}

variable "region" {
  description = "Region in which messages are kept."
  type        = string
  nullable    = false
  validation {
    condition     = var.region != ""
    error_message = "The region is missing."
  }
}

variable "name" {
  description = "Name of the subscription."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{2,249}$", var.name)) && !startswith(var.name, "goog")
    error_message = "A subscription's name has 3 to 250 letters, digits and hyphens."
  }
}

variable "labels" {
  description = "Labels of all that is made here."
  type        = map(string)
  nullable    = false
  validation {
    condition     = length(var.labels) <= 64
    error_message = "There may be 64 labels."
  }
}

variable "kms_key" {
  description = "Key that messages are encrypted with."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key == null || can(regex("/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "A key is written projects/P/locations/REGION/keyRings/K/cryptoKeys/C."
  }
}

variable "pubsub_agent" {
  description = "Pub/Sub's own service account in the project: it moves messages to the dead letters."
  type        = string
  nullable    = false
  validation {
    condition     = endswith(var.pubsub_agent, ".gserviceaccount.com")
    error_message = "Pub/Sub's agent is a service account."
  }
}
