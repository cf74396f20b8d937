# What the functions may do, on the buckets, the topic and the accounts that they
# need it for. In the project, they may only create, look at and cancel jobs: Vertex
# AI has no narrower place for that.

resource "google_storage_bucket_iam_member" "function" {
  for_each = merge([for name, f in local.functions : merge([for bucket, roles in f.buckets : {
    for role in roles : "${name}-${bucket}-${role}" => { function = name, bucket = bucket, role = role }
  }]...)]...)
  bucket = google_storage_bucket.this[each.value.bucket].name
  role   = google_project_iam_custom_role.this[each.value.role].name
  member = google_service_account.function[each.value.function].member

  # The policy lies in the state bucket, and binds the functions: they only read it.
  dynamic "condition" {
    for_each = each.value.bucket == "state" && each.value.role == "write" ? [1] : []
    content {
      title      = "all but the operator's policy"
      expression = "!resource.name.startsWith(\"projects/_/buckets/${local.bucket_names.state}/objects/${local.policy_folder}\")"
    }
  }
}

resource "google_project_iam_member" "function" {
  for_each = merge([for name, f in local.functions : {
    for role in f.project : "${name}-${role}" => { function = name, role = role }
  }]...)
  project = var.project_id
  role    = google_project_iam_custom_role.this[each.value.role].name
  member  = google_service_account.function[each.value.function].member
}

# Publishing alone: roles/pubsub.publisher holds no other permission.
resource "google_pubsub_topic_iam_member" "function" {
  for_each = local.functions
  project  = var.project_id
  topic    = google_pubsub_topic.lifecycle.name
  role     = "roles/pubsub.publisher"
  member   = google_service_account.function[each.key].member
}

# A job that runs as a service account takes somebody who may act as it. jobdrop
# lets a job have one only if the policy allows it, and may itself act as these only.
resource "google_service_account_iam_member" "act_as" {
  for_each = merge([for name in keys(local.functions) : {
    for account in local.trainer_accounts : "${name}-${account}" => { function = name, account = account }
  }]...)
  service_account_id = "projects/-/serviceAccounts/${each.value.account}"
  role               = endswith(each.value.account, "@${var.project_id}.iam.gserviceaccount.com") ? google_project_iam_custom_role.this["act_as"].name : "roles/iam.serviceAccountUser"
  member             = google_service_account.function[each.value.function].member
  depends_on         = [google_service_account.trainer]
}

# The place of a bucket is metadata of it; its content stays closed to jobdrop. The
# bucket may be another project's.
resource "google_storage_bucket_iam_member" "place" {
  for_each = merge([for name in keys(local.functions) : {
    for bucket in var.output_buckets : "${name}-${bucket}" => { function = name, bucket = bucket }
  }]...)
  bucket = each.value.bucket
  role   = "roles/storage.bucketViewer"
  member = google_service_account.function[each.value.function].member
}

resource "google_storage_bucket_iam_member" "package_source" {
  for_each = merge([for name in keys(local.functions) : {
    for bucket in var.package_source_buckets : "${name}-${bucket}" => { function = name, bucket = bucket }
  }]...)
  bucket = each.value.bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.function[each.value.function].member
}
