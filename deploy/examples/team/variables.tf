variable "project_id" {
  description = "Project of the installation."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "This is no project's ID."
  }
}

variable "region" {
  description = "Region of the installation."
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

variable "instance" {
  description = "Name of the installation."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$", var.instance))
    error_message = "A name has at most 16 lower-case letters, digits and hyphens."
  }
}

variable "source_archive" {
  description = "Path of the packed source."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("[0-9a-f]{12,64}\\.(zip|tar\\.gz)$", var.source_archive))
    error_message = "The archive's name ends with its digest and .zip."
  }
}

variable "labels" {
  description = "Labels of all that can have some."
  type        = map(string)
  default     = {}
  nullable    = false
  validation {
    condition     = alltrue([for v in values(var.labels) : can(regex("^[a-z0-9_-]{0,63}$", v))])
    error_message = "Labels have lower-case letters, digits, hyphens and underscores."
  }
}

variable "droppers" {
  description = "Who may drop, as members of IAM."
  type        = list(string)
  nullable    = false
  validation {
    condition     = alltrue([for m in var.droppers : can(regex("^(user|group|serviceAccount):", m))])
    error_message = "A dropper is a user, a group or a service account."
  }
}

variable "alert_addresses" {
  description = "Who is told of alerts, by mail."
  type        = list(string)
  nullable    = false
  validation {
    condition     = alltrue([for a in var.alert_addresses : can(regex("^[^@ ]+@[^@ ]+$", a))])
    error_message = "This is no address."
  }
}

variable "readers_of_failures" {
  description = "Who reads the events of jobs that failed, as members of IAM."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for m in var.readers_of_failures : can(regex("^(user|group|serviceAccount):", m))])
    error_message = "A reader is a user, a group or a service account."
  }
}

variable "notify_secrets" {
  description = "Secrets that routes.yaml names, which have to be there. With them Notify tells whom routes.yaml says; nobody is told where it is null."
  type        = list(string)
  default     = null
  validation {
    condition     = var.notify_secrets == null || alltrue([for s in coalesce(var.notify_secrets, []) : can(regex("^[A-Za-z0-9_-]{1,255}$", s))])
    error_message = "A secret is its ID in Secret Manager."
  }
}
