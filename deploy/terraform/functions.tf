# The functions that function.go registers. A new one is an entry of this map:
#
#   entry_point    its name in function.go
#   wanted         whether this installation has it
#   runs_jobs      whether it has jobs run, and publishes what becomes of them
#   max_instances  how many instances there may be
#   event          whether objects of the inbox wake it through Eventarc
#   pushes         topics whose messages are pushed to it, by name
#   buckets        what it may do in which bucket, in the words of roles.tf
#   project        what it may do in the project
locals {
  functions = {
    submit = {
      entry_point   = "Submit"
      wanted        = true
      runs_jobs     = true
      max_instances = var.submit_max_instances
      event         = var.inbox_trigger == "eventarc"
      pushes        = var.inbox_trigger == "notification" ? { inbox = local.inbox_push } : {}
      buckets       = local.ledger_buckets
      # It looks for a job before it creates one; it cancels none.
      project = ["run_jobs"]
    }
    watch = {
      entry_point = "Watch"
      wanted      = true
      runs_jobs   = true
      # One: ticks that take longer than a minute, and hints, share what they may
      # ask the backend, and the records see few collisions.
      max_instances = 1
      event         = false
      pushes        = var.hints ? { hints = local.hints_push } : {}
      # The same as Submit: it runs drops whose event was lost, and creates the jobs
      # that had to wait. So it also reads the inbox and stages packages.
      buckets = local.ledger_buckets
      project = ["run_jobs", "cancel_jobs"]
    }
    # It shares nothing with the others: they have none of its secrets, and wait for
    # none of its destinations.
    notify = {
      entry_point = "Notify"
      wanted      = var.routes != null
      runs_jobs   = false
      # A few: an instance may be busy with a destination that does not answer.
      max_instances = 3
      event         = false
      pushes        = { lifecycle = local.lifecycle_push }
      # Only what grants.tf lets it see there: its deliveries, and the routes.
      buckets = { state = ["read", "write"] }
      project = []
    }
  }
  deployed = { for name, f in local.functions : name => f if f.wanted }
  # Those that have jobs run.
  jobs = { for name, f in local.deployed : name => f if f.runs_jobs }

  ledger_buckets = {
    # Never written: each write would wake Submit again.
    inbox = ["read"]
    # The records. What it writes there, it also reads: by compare-and-swap.
    state = ["read", "write"]
    # Copied to. It looks whether a package that it would have to unpack is there already.
    staging = ["write", "fetch"]
    # It looks whether a newer status is there already.
    status = ["read", "write"]
  }

  # Written out: metrics of a function's log are made before the function.
  service_names = { for name in keys(local.deployed) : name => "${var.instance}-${name}" }

  # Everything that several functions are configured by.
  concurrency = 8
  # A minute less, internal/service/inbound ends the work by itself.
  timeout_seconds = 540
}

module "function" {
  source   = "./modules/function"
  for_each = local.deployed

  project_id         = var.project_id
  region             = var.region
  name               = local.service_names[each.key]
  platform           = var.platform
  entry_point        = each.value.entry_point
  runtime            = var.runtime
  image              = var.image
  service_account    = google_service_account.function[each.key].email
  caller             = google_service_account.caller[each.key].email
  environment        = local.environments[each.key]
  secret_environment = local.secret_environment
  memory_mib         = var.memory_mib
  timeout_seconds    = local.timeout_seconds
  max_instances      = each.value.max_instances
  concurrency        = local.concurrency
  ingress            = var.ingress
  network            = var.network
  labels             = local.labels
  kms_key            = var.kms_key

  build = one([for archive in google_storage_bucket_object.source : {
    bucket          = archive.bucket
    object          = archive.name
    service_account = google_service_account.build[0].name
    repository      = google_artifact_registry_repository.images[0].id
    worker_pool     = var.build_worker_pool
  }])

  event = each.value.event && var.platform == "functions" ? {
    bucket = google_storage_bucket.this["inbox"].name
    # Exactly where the bucket is, which need not be a region.
    region = lower(local.bucket_location)
  } : null

  # A function that starts before it may read its buckets fails, and a build that
  # may not read its source, too; Eventarc asks at once whether it may publish.
  depends_on = [
    google_storage_bucket_iam_member.function, google_storage_bucket_iam_member.build, google_project_iam_member.build_log,
    google_project_iam_member.build_copy, google_artifact_registry_repository_iam_member.build, google_project_iam_member.eventarc,
    google_project_iam_member.storage_agent, google_kms_crypto_key_iam_member.agents, google_secret_manager_secret_iam_member.function,
    google_secret_manager_secret_iam_member.notify, google_storage_bucket_object.policy, google_storage_bucket_object.routes,
  ]
}

module "push" {
  source = "./modules/subscription"
  for_each = merge([for name, f in local.deployed : {
    for topic, push in f.pushes : "${name}-${topic}" => merge(push, { function = name })
  }]...)

  project_id   = var.project_id
  region       = var.region
  name         = "${var.instance}-${each.key}"
  topic        = each.value.topic
  ordered      = each.value.ordered
  retention    = each.value.retention
  labels       = local.labels
  kms_key      = var.kms_key
  pubsub_agent = local.agents.pubsub
  push = {
    endpoint        = module.function[each.value.function].uri
    service_account = google_service_account.caller[each.value.function].email
  }

  depends_on = [google_kms_crypto_key_iam_member.agents]
}
