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
