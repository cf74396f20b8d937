# Who is told of what: the operator's routes, an object beside the policy, which no
# function may write. A change counts within a minute. Of an installation without
# routes nobody is told, and it has no function Notify.

variable "routes" {
  description = "Path of the routes file, which says who is told of what; without it nobody is, and there is no function Notify. Run jobdrop notify validate before."
  type        = string
  default     = null
  validation {
    condition     = var.routes == null || can(yamldecode(file(var.routes)).destinations)
    error_message = "The routes are a YAML file of this machine that names destinations."
  }
}

variable "notify_secrets" {
  description = "Secrets in Secret Manager that Notify may read: those that the routes name as secret://. Each is an ID in this project, or projects/PROJECT/secrets/ID."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for s in var.notify_secrets : can(regex("^(projects/[a-z0-9:.-]+/secrets/)?[A-Za-z0-9_-]{1,255}$", s))])
    error_message = "A secret is its ID, or projects/PROJECT/secrets/ID, without a version."
  }
  validation {
    condition     = length(distinct(var.notify_secrets)) == length(var.notify_secrets)
    error_message = "A secret is listed twice."
  }
  validation {
    condition     = var.routes != null || length(var.notify_secrets) == 0
    error_message = "Without routes there is no function Notify that could read a secret."
  }
}

locals {
  routes_object = "${local.policy_folder}routes.yaml"
  # Without comments, which may show what a reference looks like.
  routes_text = var.routes == null ? "" : replace(try(file(var.routes), ""), "/(?m)(^|[ \\t])#.*$/", "")

  notify_secrets = { for s in var.notify_secrets : s => {
    project = length(split("/", s)) == 1 ? var.project_id : split("/", s)[1]
    id      = reverse(split("/", s))[0]
  } }
  granted_secrets = [for s in local.notify_secrets : "projects/${s.project}/secrets/${s.id}"]
  # A reference may name the project by its number.
  routes_secrets = distinct([for m in regexall("secret://projects/([a-z0-9:.-]+)/secrets/([A-Za-z0-9_-]+)", local.routes_text) :
    "projects/${m[0] == data.google_project.this.number ? var.project_id : m[0]}/secrets/${m[1]}"
  ])
}

resource "google_storage_bucket_object" "routes" {
  count         = var.routes == null ? 0 : 1
  bucket        = google_storage_bucket.this["state"].name
  name          = local.routes_object
  content       = file(var.routes)
  content_type  = "application/yaml"
  cache_control = "no-store"

  lifecycle {
    precondition {
      condition     = length(setsubtract(local.routes_secrets, local.granted_secrets)) == 0
      error_message = "The routes name secrets that Notify may not read: list ${join(", ", setsubtract(local.routes_secrets, local.granted_secrets))} in notify_secrets."
    }
    precondition {
      condition     = !strcontains(local.routes_text, "env://")
      error_message = "The routes name variables of the environment (env://), which a function of this installation does not have: put the values into Secret Manager, and name them as secret://projects/PROJECT/secrets/ID."
    }
  }
}

# On each secret alone.
resource "google_secret_manager_secret_iam_member" "notify" {
  for_each  = var.routes == null ? {} : local.notify_secrets
  project   = each.value.project
  secret_id = each.value.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function["notify"].member
}
