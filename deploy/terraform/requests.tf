# Who may ask to cancel attempts and to run them again, by writing an object below a
# folder of the state bucket. They may do nothing else there, and need no right on the
# records or at the backend. Watch does what they ask.

variable "requesters" {
  description = "Who may ask jobdrop to cancel any attempt or to run it again, as members of IAM. They need no right at the backend."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for m in var.requesters : can(regex("^(user|group|serviceAccount|domain|principal|principalSet):.+$", m))])
    error_message = "A requester is a member of IAM, e.g. group:nlp@example.com. allUsers and allAuthenticatedUsers may not be requesters."
  }
  validation {
    condition     = length(distinct(var.requesters)) == length(var.requesters)
    error_message = "A requester is listed twice."
  }
}

locals {
  # Whether anybody may ask.
  asked = length(var.requesters) > 0 || try(var.console.act, false)
  # Objects below a folder, and lists of what is below it.
  request_objects = { for folder in ["requests/", "results/"] : folder => "resource.name.startsWith(\"projects/_/buckets/${local.bucket_names.state}/objects/${folder}\")" }
  request_lists   = { for folder in ["requests/", "results/"] : folder => "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"${folder}\")" }
}

# Without the right to delete, nobody overwrites a request.
resource "google_storage_bucket_iam_member" "requester" {
  for_each = toset(var.requesters)
  bucket   = google_storage_bucket.this["state"].name
  role     = google_project_iam_custom_role.this["ask"].name
  member   = each.value
  condition {
    title      = "only requests"
    expression = local.request_objects["requests/"]
  }
}

resource "google_storage_bucket_iam_member" "requester_answers" {
  for_each = toset(var.requesters)
  bucket   = google_storage_bucket.this["state"].name
  role     = google_project_iam_custom_role.this["read"].name
  member   = each.value
  condition {
    title      = "only requests and what came of them"
    expression = join(" || ", concat(values(local.request_objects), values(local.request_lists)))
  }
}

# A new request wakes Watch, as other hints do. Ticks find it without that.
resource "google_pubsub_topic_iam_member" "requests" {
  count   = var.hints && local.asked ? 1 : 0
  project = var.project_id
  topic   = google_pubsub_topic.hints[0].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${local.agents.storage}"
}

resource "google_storage_notification" "requests" {
  count              = var.hints && local.asked ? 1 : 0
  bucket             = google_storage_bucket.this["state"].name
  topic              = google_pubsub_topic.hints[0].id
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = "requests/"
  depends_on         = [google_pubsub_topic_iam_member.requests]
}
