# The console on Cloud Run. Identity-Aware Proxy stands before it and signs who asks;
# the console checks that, and shows them what the policy's viewers say. It reads, and
# writes nothing unless act is true: then requests, as requesters may.

variable "console" {
  description = "The web console behind Identity-Aware Proxy; null for none. image is of cmd/jobdrop, pinned by its digest. members are the Google accounts that IAP lets in; what they see is the policy's to say (viewers). output_buckets are those whose objects it may read, to show outputs and curves. act lets it ask for a cancel or another run."
  type = object({
    image          = string
    members        = list(string)
    cpu            = optional(number, 1)
    memory_mib     = optional(number, 512)
    max_instances  = optional(number, 2)
    ingress        = optional(string, "all")
    output_buckets = optional(list(string), [])
    act            = optional(bool, false)
  })
  default = null
  validation {
    condition     = var.console == null || can(regex("^[a-z0-9.-]+/[^@ ]+@sha256:[0-9a-f]{64}$", var.console.image))
    error_message = "The console's image is written HOST/PATH@sha256:DIGEST: a tag may name another image tomorrow."
  }
  validation {
    condition     = var.console == null || try(length(var.console.members) > 0 && length(distinct(var.console.members)) == length(var.console.members) && alltrue([for m in var.console.members : can(regex("^(user|group|serviceAccount|domain):.+$", m))]), false)
    error_message = "The console's members are Google accounts as IAM names them: user:, group:, serviceAccount: or domain:, each once. allUsers and allAuthenticatedUsers may not see it. IAP would let in a principal: or principalSet: of other identity providers, and the console refuses each of their requests, for nobody has verified their addresses."
  }
  validation {
    condition     = var.console == null || try(contains([1, 2, 4], var.console.cpu) && var.console.memory_mib >= 256 && var.console.memory_mib <= 8192 && floor(var.console.memory_mib) == var.console.memory_mib, false)
    error_message = "The console has 1, 2 or 4 CPUs, and from 256 to 8192 MiB of memory."
  }
  validation {
    condition     = var.console == null || try(var.console.max_instances >= 1 && var.console.max_instances <= 20 && floor(var.console.max_instances) == var.console.max_instances, false)
    error_message = "The console has from 1 to 20 instances."
  }
  validation {
    condition     = var.console == null || try(contains(["all", "internal", "internal-and-cloud-load-balancing"], var.console.ingress), false)
    error_message = "The console's ingress is all, internal or internal-and-cloud-load-balancing."
  }
  validation {
    condition     = var.console == null || try(alltrue([for b in var.console.output_buckets : can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", b))]) && length(distinct(var.console.output_buckets)) == length(var.console.output_buckets), false)
    error_message = "Buckets are named without gs://, each once."
  }
}

locals {
  console      = var.console[*]
  console_name = "${var.instance}-console"
  # What IAP signs assertions for. The console takes no other.
  console_audience = "/projects/${data.google_project.this.number}/locations/${var.region}/services/${local.console_name}"
  # By its number, since Cloud Run's other address holds a hash.
  console_uri = "https://${local.console_name}-${data.google_project.this.number}.${var.region}.run.app"

  # It knows what commands know: names, and no secret.
  console_environment = merge(
    { for name, value in local.environment : name => value if startswith(name, "JOBDROP_") && !contains(local.read_by_notify_alone, name) },
    { for v in google_logging_log_view.jobs : "JOBDROP_LOG_VIEW" => v.id },
    { for c in local.console : "GOMEMLIMIT" => "${floor(c.memory_mib * 4 / 5)}MiB" },
  )

  # What its pages read: of the inbox the text of job files, each by its name, of the
  # state bucket records and the policy. The routes hold hosts and people's addresses,
  # deliveries what was told to whom.
  console_buckets = { inbox = "fetch", state = "read" }
  # What its pages list in the state bucket. A test compares both with the code. A read
  # has no prefix: see grants.tf.
  console_lists = ["attempts/", "open/", "recent/", "ended/", "requests/", "parked/"]
}

resource "google_service_account" "console" {
  count        = length(local.console)
  project      = var.project_id
  account_id   = local.console_name
  display_name = "jobdrop ${var.instance}: the console"
  depends_on   = [google_project_service.this]
}

module "console" {
  source          = "./modules/console"
  count           = length(local.console)
  project_id      = var.project_id
  region          = var.region
  name            = local.console_name
  labels          = local.labels
  kms_key         = var.kms_key
  service_account = google_service_account.console[0].email
  audience        = local.console_audience
  caller          = "service-${data.google_project.this.number}@gcp-sa-iap.iam.gserviceaccount.com"
  environment     = local.console_environment
  settings        = var.console
  depends_on      = [google_project_service.this]
}

resource "google_storage_bucket_iam_member" "console" {
  for_each = length(local.console) > 0 ? local.console_buckets : {}
  bucket   = google_storage_bucket.this[each.key].name
  role     = google_project_iam_custom_role.this[each.value].name
  member   = google_service_account.console[0].member

  dynamic "condition" {
    for_each = each.key == "state" ? [1] : []
    content {
      title = "all but deliveries and the routes"
      expression = "!${local.deliveries} && resource.name != \"projects/_/buckets/${local.bucket_names.state}/objects/${local.routes_object}\" && (${join(" || ", [
        for folder in local.console_lists : "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"${local.console_lists[0]}\").startsWith(\"${folder}\")"
      ])})"
    }
  }
}

resource "google_storage_bucket_iam_member" "console_output" {
  for_each = toset(flatten(local.console[*].output_buckets))
  bucket   = each.key
  role     = "roles/storage.objectViewer"
  member   = google_service_account.console[0].member
}

resource "google_storage_bucket_iam_member" "console_asks" {
  count  = try(var.console.act, false) ? 1 : 0
  bucket = google_storage_bucket.this["state"].name
  role   = google_project_iam_custom_role.this["ask"].name
  member = google_service_account.console[0].member
  condition {
    title      = "only requests"
    expression = local.request_objects["requests/"]
  }
}

resource "google_logging_log_view_iam_member" "console" {
  count    = length(local.console)
  parent   = google_logging_log_view.jobs[0].parent
  location = google_logging_log_view.jobs[0].location
  bucket   = google_logging_log_view.jobs[0].bucket
  name     = google_logging_log_view.jobs[0].name
  role     = "roles/logging.viewAccessor"
  member   = google_service_account.console[0].member
}

output "console" {
  description = "URL of the console, the audience that its assertions are for, and its account; null without one."
  value = one([for c in module.console : {
    uri             = local.console_uri
    audience        = local.console_audience
    service_account = google_service_account.console[0].email
  }])
}
