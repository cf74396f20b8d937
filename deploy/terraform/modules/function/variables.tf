# Values come from the installation, which has checked most of them; what is checked
# here is what this module itself counts on.

variable "project_id" {
  description = "Project of the function."
  type        = string
  nullable    = false
  validation {
    condition     = var.project_id != ""
    error_message = "The project is missing."
  }
}

variable "region" {
  description = "Region of the function."
  type        = string
  nullable    = false
  validation {
    condition     = var.region != ""
    error_message = "The region is missing."
  }
}

variable "name" {
  description = "Name of the function."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,47}[a-z0-9]$", var.name))
    error_message = "A function's name has at most 49 lower-case letters, digits and hyphens: more is too long for a service of Cloud Run."
  }
}

variable "platform" {
  description = "functions or run."
  type        = string
  nullable    = false
  validation {
    condition     = contains(["functions", "run"], var.platform)
    error_message = "The platform is functions or run."
  }
}

variable "entry_point" {
  description = "Name under which function.go registers the function."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[A-Z][A-Za-z0-9]*$", var.entry_point))
    error_message = "An entry point is written like Submit."
  }
}

variable "runtime" {
  description = "Runtime of Cloud Run functions, e.g. go126."
  type        = string
  nullable    = false
  validation {
    condition     = startswith(var.runtime, "go")
    error_message = "jobdrop is written in Go."
  }
}

variable "image" {
  description = "Image of cmd/server, where platform is run."
  type        = string
  default     = null
  validation {
    condition     = var.platform != "run" || var.image != null
    error_message = "The platform run takes an image."
  }
}

variable "build" {
  description = "Where the source of the function is, what builds it, and where the image goes, where platform is functions."
  type = object({
    bucket          = string
    object          = string
    service_account = string
    repository      = string
    worker_pool     = optional(string)
  })
  default = null
  validation {
    condition     = var.platform != "functions" || var.build != null
    error_message = "The platform functions takes a source."
  }
}

variable "service_account" {
  description = "Whom the function runs as."
  type        = string
  nullable    = false
  validation {
    condition     = endswith(var.service_account, ".gserviceaccount.com")
    error_message = "The function needs a service account of its own."
  }
}

variable "caller" {
  description = "The service account that may call the function."
  type        = string
  nullable    = false
  validation {
    condition     = endswith(var.caller, ".gserviceaccount.com")
    error_message = "Only a service account calls the function."
  }
}

variable "environment" {
  description = "Environment variables."
  type        = map(string)
  nullable    = false
  validation {
    condition     = !contains(keys(var.environment), "FUNCTION_TARGET")
    error_message = "FUNCTION_TARGET is the entry point."
  }
}

variable "secret_environment" {
  description = "Environment variables whose values are in Secret Manager."
  type        = map(object({ secret = string, version = string }))
  default     = {}
  nullable    = false
  validation {
    condition     = alltrue([for s in var.secret_environment : s.version != "latest"])
    error_message = "A secret is taken at a version."
  }
}

variable "memory_mib" {
  description = "Memory of an instance, in MiB."
  type        = number
  nullable    = false
  validation {
    condition     = var.memory_mib >= 512
    error_message = "Inspections need 512 MiB."
  }
}

variable "timeout_seconds" {
  description = "How long a request may take."
  type        = number
  nullable    = false
  validation {
    condition     = var.timeout_seconds > 480 && var.timeout_seconds <= 540
    error_message = "Functions work for up to 480 s; event-driven ones are cut off after 540 s."
  }
}

variable "max_instances" {
  description = "How many instances there may be."
  type        = number
  nullable    = false
  validation {
    condition     = var.max_instances >= 1
    error_message = "There has to be an instance."
  }
}

variable "concurrency" {
  description = "How many requests an instance serves at once."
  type        = number
  nullable    = false
  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 80
    error_message = "An instance serves 1 to 80 requests at once."
  }
}

variable "ingress" {
  description = "internal or all."
  type        = string
  nullable    = false
  validation {
    condition     = contains(["internal", "all"], var.ingress)
    error_message = "The ingress is internal or all."
  }
}

variable "network" {
  description = "How the function reaches a VPC; it does not where this is null."
  type = object({
    connector  = optional(string)
    subnetwork = optional(string)
    egress     = string
  })
  default = null
  validation {
    condition     = var.network == null || contains(["private-ranges-only", "all-traffic"], try(var.network.egress, ""))
    error_message = "The egress is private-ranges-only or all-traffic."
  }
}

variable "event" {
  description = "The bucket whose new objects wake the function through Eventarc, and the region or multi-region in which it lies."
  type        = object({ bucket = string, region = string })
  default     = null
  validation {
    condition     = var.event == null || var.platform == "functions"
    error_message = "Only a function has a trigger itself."
  }
}

variable "labels" {
  description = "Labels of the function."
  type        = map(string)
  nullable    = false
  validation {
    condition     = length(var.labels) <= 64
    error_message = "There may be 64 labels."
  }
}

variable "kms_key" {
  description = "Key that the function is encrypted with."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key == null || can(regex("/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "A key is written projects/P/locations/REGION/keyRings/K/cryptoKeys/C."
  }
}
