# Four buckets, since each has other readers and writers, and one for the source.
# All of them are made by this one block: none can be left open by oversight.

locals {
  day = 24 * 60 * 60

  buckets = {
    # What was overwritten or deleted stays for some days: a drop is decided by the
    # generation that its event names.
    inbox = {
      versioned = true
      rules     = [{ days_since_noncurrent_time = var.history_days, with_state = "ARCHIVED" }]
    }
    # The ledger, the operator's files, and deliveries. No rule may delete what is live, except the index by
    # time, which can be made anew from the records by jobdrop reindex, answers to requests, and what was
    # delivered long ago.
    state = {
      versioned = true
      rules = [
        { days_since_noncurrent_time = var.history_days, with_state = "ARCHIVED" },
        # Rewritten by each tick.
        { num_newer_versions = 10, with_state = "ARCHIVED", matches_prefix = ["heartbeat.json", "cursors.json", "turns.json", "queue.json"] },
        # Rewritten twice by each message that is sent.
        { num_newer_versions = 3, with_state = "ARCHIVED", matches_prefix = ["deliveries/"] },
        { age = var.recent_days, with_state = "LIVE", matches_prefix = ["recent/", "ended/"] },
        { age = 30, matches_prefix = ["results/"] },
        # After their last write. Longer than an event can come again, so that nobody is told twice: 31 days
        # of the topic, from which a subscription can be set back, 31 of dead letters, and a month for people.
        { age = 100, with_state = "LIVE", matches_prefix = ["deliveries/folders/", "deliveries/open/", "deliveries/heartbeats/", "deliveries/parked/"] },
      ]
    }
    # Packages as they were checked. Names are never used again.
    staging = {
      versioned = false
      rules     = [{ age = var.staged_days }]
    }
    # Told, and decided by nothing: it could be made anew from the ledger.
    status = {
      versioned = false
      rules     = [{ age = var.status_days }]
    }
    # The archive of the source that is deployed.
    source = {
      versioned = false
      rules     = []
    }
  }
}

resource "google_storage_bucket" "this" {
  for_each = local.buckets
  project  = var.project_id
  name     = local.bucket_names[each.key]
  location = local.bucket_location
  labels   = local.labels

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.force_destroy

  versioning {
    enabled = each.value.versioned
  }

  soft_delete_policy {
    retention_duration_seconds = var.soft_delete_days * local.day
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.rules
    content {
      action {
        type = "Delete"
      }
      condition {
        age                        = lookup(lifecycle_rule.value, "age", null)
        days_since_noncurrent_time = lookup(lifecycle_rule.value, "days_since_noncurrent_time", null)
        num_newer_versions         = lookup(lifecycle_rule.value, "num_newer_versions", null)
        with_state                 = lookup(lifecycle_rule.value, "with_state", null)
        matches_prefix             = lookup(lifecycle_rule.value, "matches_prefix", null)
      }
    }
  }

  # What a broken upload leaves behind costs as much as an object.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agents]
}

# The bindings that Cloud Storage gives a new bucket: the project's Editors read and
# write it and give rights on it, and its Viewers read it.
locals {
  default_roles = {
    "roles/storage.legacyBucketOwner"  = ["projectEditor:${var.project_id}", "projectOwner:${var.project_id}"]
    "roles/storage.legacyBucketReader" = ["projectViewer:${var.project_id}"]
    "roles/storage.legacyObjectOwner"  = ["projectEditor:${var.project_id}", "projectOwner:${var.project_id}"]
    "roles/storage.legacyObjectReader" = ["projectViewer:${var.project_id}"]
  }
}

# A binding replaces all members of its role. Its destruction leaves the role empty.
resource "google_storage_bucket_iam_binding" "default" {
  for_each = var.basic_roles == null ? {} : merge([for purpose in keys(local.buckets) : {
    for role in keys(local.default_roles) : "${purpose} ${role}" => { bucket = purpose, role = role }
  }]...)
  bucket  = google_storage_bucket.this[each.value.bucket].name
  role    = each.value.role
  members = var.basic_roles ? local.default_roles[each.value.role] : ["projectOwner:${var.project_id}"]
}
