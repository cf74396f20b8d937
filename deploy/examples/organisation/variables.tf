variable "project_id" {
  description = "Project of all installations."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "This is no project's ID."
  }
}

variable "region" {
  description = "Region of all installations."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region is written like europe-west4."
  }
}

variable "scheduler_region" {
  description = "Region of Cloud Scheduler, which has fewer regions than Cloud Run; that of the installation where it is null."
  type        = string
  default     = null
  validation {
    condition     = var.scheduler_region == null || can(regex("^[a-z]+-[a-z]+[0-9]+$", var.scheduler_region))
    error_message = "A region is written like europe-west4."
  }
}

variable "image" {
  description = "Image of cmd/server, pinned by its digest. It is yours to build: deploy/README.md has the commands."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image is pinned by its digest."
  }
}

variable "kms_key" {
  description = "Key of Cloud KMS in the region; Google's own where it is null."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key == null || can(regex("/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "A key is written projects/P/locations/REGION/keyRings/K/cryptoKeys/C."
  }
}

variable "subnetwork" {
  description = "Subnetwork that all traffic of the functions goes through; none where it is null."
  type        = string
  default     = null
  validation {
    condition     = var.subnetwork == null || can(regex("^projects/[^/]+/regions/[^/]+/subnetworks/[^/]+$", var.subnetwork))
    error_message = "A subnetwork is written projects/P/regions/R/subnetworks/S."
  }
}

variable "labels" {
  description = "Labels of everything."
  type        = map(string)
  default     = {}
  nullable    = false
  validation {
    condition     = alltrue([for v in values(var.labels) : can(regex("^[a-z0-9_-]{0,63}$", v))])
    error_message = "Labels have lower-case letters, digits, hyphens and underscores."
  }
}

variable "notification_channels" {
  description = "Channels that are told of alerts."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for c in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", c))])
    error_message = "A channel is written projects/PROJECT/notificationChannels/ID."
  }
}

variable "installations" {
  description = "The installations by name; each has its policy in policies/NAME.yaml."
  type = map(object({
    droppers               = list(object({ member = string, folder = optional(string, "") }))
    trainers               = optional(list(string), [])
    output_buckets         = optional(list(string), [])
    package_source_buckets = optional(list(string), [])
    job_regions            = optional(list(string), [])
    submit_max_instances   = optional(number, 10)
    subscriptions          = optional(map(object({ members = optional(list(string), []), filter = optional(string, "") })), {})
    labels                 = optional(map(string), {})
  }))
  nullable = false
  validation {
    condition     = alltrue([for name, i in var.installations : fileexists("${path.module}/policies/${name}.yaml")])
    error_message = "An installation has no policy in policies/."
  }
  validation {
    condition     = alltrue(flatten([for i in var.installations : [for d in i.droppers : d.folder != "" || startswith(d.member, "serviceAccount:")]]))
    error_message = "People and groups drop into their folders only."
  }
}
