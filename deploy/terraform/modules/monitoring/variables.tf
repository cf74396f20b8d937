variable "project_id" {
  description = "Project of the installation."
  type        = string
  nullable    = false
  validation {
    condition     = var.project_id != ""
    error_message = "The project is missing."
  }
}

variable "region" {
  description = "Region of the functions."
  type        = string
  nullable    = false
  validation {
    condition     = var.region != ""
    error_message = "The region is missing."
  }
}

variable "instance" {
  description = "Name of the installation."
  type        = string
  nullable    = false
  validation {
    condition     = var.instance != ""
    error_message = "The installation's name is missing."
  }
}

variable "labels" {
  description = "Labels of the alerts."
  type        = map(string)
  nullable    = false
  validation {
    condition     = length(var.labels) <= 64
    error_message = "There may be 64 labels."
  }
}

variable "services" {
  description = "Names of the functions' services of Cloud Run, by function."
  type        = map(string)
  nullable    = false
  validation {
    condition     = length(setsubtract(["submit", "watch"], keys(var.services))) == 0
    error_message = "There are alerts on submit and on watch. Those on notify are made where it is."
  }
}

variable "scheduler_job" {
  description = "Name of the job of Cloud Scheduler that calls Watch."
  type        = string
  nullable    = false
  validation {
    condition     = var.scheduler_job != ""
    error_message = "The job's name is missing."
  }
}

variable "notify_scheduler_job" {
  description = "Name of the job of Cloud Scheduler that calls Notify, where there is that function."
  type        = string
  default     = null
  validation {
    condition     = var.notify_scheduler_job != null || !contains(keys(var.services), "notify")
    error_message = "The job's name is missing."
  }
}

variable "scheduler_region" {
  description = "Region of that job."
  type        = string
  nullable    = false
  validation {
    condition     = var.scheduler_region != ""
    error_message = "The region is missing."
  }
}

variable "lifecycle_topic" {
  description = "Name of the topic of lifecycle events."
  type        = string
  nullable    = false
  validation {
    condition     = var.lifecycle_topic != ""
    error_message = "The topic's name is missing."
  }
}

variable "dead_letters" {
  description = "Names of the subscriptions to dead letters, by what they are of."
  type        = map(string)
  nullable    = false
  validation {
    condition     = length(var.dead_letters) >= 1 && length([for s in values(var.dead_letters) : s if !startswith(s, "${var.instance}-lifecycle-")]) <= 20
    error_message = "There are dead letters of the inbox at least, and a filter has room for 20, and for all of lifecycle events."
  }
}

variable "notification_channels" {
  description = "Channels that are told of alerts."
  type        = list(string)
  nullable    = false
  validation {
    condition     = alltrue([for c in var.notification_channels : can(regex("/notificationChannels/", c))])
    error_message = "A channel is written projects/PROJECT/notificationChannels/ID."
  }
}

variable "thresholds" {
  description = "When alerts are given."
  type        = object({ rejected = number, rejected_share = number, timed_out = number, errors = number, lag_seconds = number, undelivered_seconds = number })
  nullable    = false
  validation {
    condition     = alltrue([for n in var.thresholds : n >= 0])
    error_message = "Thresholds are not negative."
  }
}

variable "publish_lag_metric" {
  description = "Type of the metric jobdrop.publish.lag in Cloud Monitoring; none where it is null. It has to have data already."
  type        = string
  default     = null
  validation {
    condition     = var.publish_lag_metric == null || can(regex("/", var.publish_lag_metric))
    error_message = "The type of a metric is written like workload.googleapis.com/jobdrop.publish.lag."
  }
}
