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

variable "topic" {
  description = "Topic that is subscribed to, as projects/P/topics/T."
  type        = string
  nullable    = false
  validation {
    condition     = var.topic != ""
    error_message = "The topic is missing."
  }
}

variable "filter" {
  description = "Filter of Pub/Sub over the messages' attributes; all messages where it is empty. Another filter makes another subscription."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = length(var.filter) <= 256
    error_message = "A filter has at most 256 bytes."
  }
}

variable "ordered" {
  description = "Whether messages with the same key come in their order."
  type        = bool
  nullable    = false
}

variable "retention" {
  description = "For how long messages are kept that nobody took: 600s to 2678400s (31 days)."
  type        = string
  default     = "604800s"
  nullable    = false
  validation {
    condition     = try(tonumber(trimsuffix(var.retention, "s")), 0) >= 600 && try(tonumber(trimsuffix(var.retention, "s")), 0) <= 2678400 && endswith(var.retention, "s")
    error_message = "Messages are kept for 600s to 2678400s."
  }
}

variable "push" {
  description = "Where messages are pushed to, and as whom; without it they are pulled."
  type        = object({ endpoint = string, service_account = string })
  default     = null
  validation {
    condition     = var.push == null || try(endswith(var.push.service_account, ".gserviceaccount.com"), false)
    error_message = "A push shows a service account."
  }
}

variable "readers" {
  description = "Members of IAM that may pull the messages, and the dead letters."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = length(setintersection(var.readers, ["allUsers", "allAuthenticatedUsers"])) == 0
    error_message = "Not everybody may read messages."
  }
}
