# Who may drop where. Whoever may write a folder may run jobs there, as the policy
# allows.

locals {
  droppers = { for d in var.droppers : "${d.member} ${d.folder}" => d }

  # Objects below a folder, and lists of what is below it. A list is a question to
  # the bucket, whose name is no object's: it says by an attribute where it looks.
  dropper_conditions = { for purpose in ["inbox", "status"] : purpose => {
    for key, d in local.droppers : key => join(" || ", [
      "resource.name.startsWith(\"projects/_/buckets/${local.bucket_names[purpose]}/objects/${d.folder}\")",
      "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"${d.folder}\")",
    ])
  } }
}

resource "google_storage_bucket_iam_member" "dropper" {
  for_each = local.droppers
  bucket   = google_storage_bucket.this["inbox"].name
  role     = google_project_iam_custom_role.this["drop"].name
  member   = each.value.member
  dynamic "condition" {
    for_each = each.value.folder == "" ? [] : [1]
    content {
      title      = "only below ${each.value.folder}"
      expression = local.dropper_conditions.inbox[each.key]
    }
  }
}

resource "google_storage_bucket_iam_member" "dropper_status" {
  for_each = local.droppers
  bucket   = google_storage_bucket.this["status"].name
  role     = google_project_iam_custom_role.this["read"].name
  member   = each.value.member
  dynamic "condition" {
    for_each = each.value.folder == "" ? [] : [1]
    content {
      title      = "only below ${each.value.folder}"
      expression = local.dropper_conditions.status[each.key]
    }
  }
}
