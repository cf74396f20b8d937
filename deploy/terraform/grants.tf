# What the functions may do, on the buckets, the topic and the accounts that they
# need it for. In the project, they may only create, look at and cancel jobs: Vertex
# AI has no narrower place for that.

resource "google_storage_bucket_iam_member" "function" {
  for_each = merge([for name, f in local.deployed : merge([for bucket, roles in f.buckets : {
    for role in roles : "${name}-${bucket}-${role}" => { function = name, bucket = bucket, role = role }
  }]...)]...)
  bucket = google_storage_bucket.this[each.value.bucket].name
  role   = google_project_iam_custom_role.this[each.value.role].name
  member = google_service_account.function[each.value.function].member

  dynamic "condition" {
    for_each = [for c in local.state_conditions : c if each.value.bucket == "state" && c.role == each.value.role && c.of_notify == (each.value.function == "notify")]
    content {
      title      = condition.value.title
      expression = condition.value.expression
    }
  }
}

# The state bucket holds the ledger, the operator's files, which bind the functions,
# and what Notify keeps of its deliveries. None of it is another's to change.
locals {
  state_objects     = "resource.name.startsWith(\"projects/_/buckets/${local.bucket_names.state}/objects/"
  deliveries_folder = "deliveries/"
  deliveries        = "${local.state_objects}${local.deliveries_folder}\")"
  # A list of all that begins with a letter would show deliveries, too: so lists are
  # only of folders. A test compares these with the code.
  #
  # Whoever may not list a bucket gets 403 in place of 404 for an object that is not
  # there, and the functions read many that are not. A read has no prefix: the default
  # of the attribute stands for it, and has to be one that is allowed.
  ledger_lists = ["attempts/", "open/", "requests/"]

  state_conditions = concat(
    [
      {
        of_notify  = false
        role       = "write"
        title      = "all but deliveries and the operator's files"
        expression = "!${local.deliveries} && !${local.state_objects}${local.policy_folder}\")"
      },
      {
        of_notify  = true
        role       = "write"
        title      = "only deliveries"
        expression = local.deliveries
      },
      {
        of_notify = true
        role      = "read"
        title     = "only deliveries and the routes"
        expression = join(" || ", [
          local.deliveries,
          "resource.name == \"projects/_/buckets/${local.bucket_names.state}/objects/${local.routes_object}\"",
          "!${local.state_objects}\") && api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"${local.deliveries_folder}\").startsWith(\"${local.deliveries_folder}\")",
        ])
      },
    ],
    # Without Notify there is nothing to keep the others from.
    var.routes == null ? [] : [{
      of_notify = false
      role      = "read"
      title     = "all but deliveries"
      expression = "!${local.deliveries} && (${join(" || ", [
        for folder in local.ledger_lists : "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"${local.ledger_lists[0]}\").startsWith(\"${folder}\")"
      ])})"
    }],
  )
}

resource "google_project_iam_member" "function" {
  for_each = merge([for name, f in local.deployed : {
    for role in f.project : "${name}-${role}" => { function = name, role = role }
  }]...)
  project = var.project_id
  role    = google_project_iam_custom_role.this[each.value.role].name
  member  = google_service_account.function[each.value.function].member
}

# Publishing alone: roles/pubsub.publisher holds no other permission.
resource "google_pubsub_topic_iam_member" "function" {
  for_each = local.jobs
  project  = var.project_id
  topic    = google_pubsub_topic.lifecycle.name
  role     = "roles/pubsub.publisher"
  member   = google_service_account.function[each.key].member
}

# A job that runs as a service account takes somebody who may act as it. jobdrop
# lets a job have one only if the policy allows it, and may itself act as these only.
resource "google_service_account_iam_member" "act_as" {
  for_each = merge([for name in keys(local.jobs) : {
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
  for_each = merge([for name in keys(local.jobs) : {
    for bucket in var.output_buckets : "${name}-${bucket}" => { function = name, bucket = bucket }
  }]...)
  bucket = each.value.bucket
  role   = "roles/storage.bucketViewer"
  member = google_service_account.function[each.value.function].member
}

resource "google_storage_bucket_iam_member" "package_source" {
  for_each = merge([for name in keys(local.jobs) : {
    for bucket in var.package_source_buckets : "${name}-${bucket}" => { function = name, bucket = bucket }
  }]...)
  bucket = each.value.bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.function[each.value.function].member
}
