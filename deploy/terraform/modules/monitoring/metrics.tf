# Metrics of the lines that the functions log. jobdrop's own metrics go to a
# collector, and need not be there. A test compares messages and fields with the
# source.
terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

locals {
  # Not every installation has Notify.
  notifies  = contains(keys(var.services), "notify")
  notify    = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${lookup(var.services, "notify", "")}\""
  functions = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(${join(" OR ", [for s in values(var.services) : "\"${s}\""])})"
  watch     = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.services.watch}\""
  # Cloud Run logs each answer above 499 as an error of its own; Submit asks that way
  # for events to be delivered again, also where nothing is wrong.
  own_errors = "severity>=ERROR AND NOT logName:\"run.googleapis.com%2Frequests\""

  counters = merge(local.counters_of_jobs, { for key, c in local.counters_of_notify : key => c if local.notifies })

  counters_of_jobs = {
    ticks = {
      description = "ticks that came to their end"
      filter      = "${local.watch} AND jsonPayload.message=\"tick\""
    }
    whole_ticks = {
      description = "ticks that came to every attempt"
      filter      = "${local.watch} AND jsonPayload.message=\"tick\" AND jsonPayload.complete=true"
    }
    decided = {
      description = "decisions on drops, by the state that they led to"
      filter      = "${local.functions} AND jsonPayload.message=\"attempt decided\""
      labels      = { state = "EXTRACT(jsonPayload.state)" }
    }
    seen = {
      description = "changes of jobs, by the state that they led to"
      filter      = "${local.watch} AND jsonPayload.message=\"job seen\""
      labels      = { state = "EXTRACT(jsonPayload.state)", backend_state = "EXTRACT(jsonPayload.backend_state)" }
    }
    not_taken = {
      description = "jobs that the backend did not take, and that it will be asked for again"
      filter      = "${local.functions} AND jsonPayload.message=\"job not taken\""
    }
    errors = {
      description = "errors of the functions"
      filter      = "${local.functions} AND ${local.own_errors}"
    }
    publish_failed = {
      description = "events that could not be published, and will be again"
      filter      = "${local.functions} AND severity>=WARNING AND jsonPayload.error:\"publish to projects/\""
    }
    parked = {
      description = "messages that are not events, kept in the state bucket for people, or not even that"
      filter      = "${local.functions} AND jsonPayload.message=(\"event parked\" OR \"event not parked\")"
    }
    calls_failed = {
      description = "ticks that Cloud Scheduler asked for in vain, or that failed"
      filter      = "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"${var.scheduler_job}\" AND severity>=ERROR"
    }
  }

  counters_of_notify = {
    notify_ticks = {
      description = "ticks of Notify that came to their end"
      filter      = "${local.notify} AND jsonPayload.message=\"notify tick\""
    }
    notify_calls_failed = {
      description = "ticks of Notify that Cloud Scheduler asked for in vain, or that failed"
      filter      = "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"${coalesce(var.notify_scheduler_job, "none")}\" AND severity>=ERROR"
    }
    notify_sent = {
      description = "messages that a destination took"
      filter      = "${local.notify} AND jsonPayload.message=\"message sent\""
      labels      = { destination = "EXTRACT(jsonPayload.destination)" }
    }
    notify_failed = {
      description = "tries to send a message that failed, and are made again"
      filter      = "${local.notify} AND jsonPayload.message=\"message not sent\""
      labels      = { destination = "EXTRACT(jsonPayload.destination)", reason = "EXTRACT(jsonPayload.reason)" }
    }
    notify_given_up = {
      description = "messages that are not sent any more"
      filter      = "${local.notify} AND jsonPayload.message=\"message given up\""
      labels      = { destination = "EXTRACT(jsonPayload.destination)", reason = "EXTRACT(jsonPayload.reason)" }
    }
    notify_unreached = {
      description = "ticks that found a destination which was not reached for longer than its heartbeat allows"
      filter      = "${local.notify} AND jsonPayload.message=\"destination not reached\""
      labels      = { destination = "EXTRACT(jsonPayload.destination)" }
    }
    notify_routes_faults = {
      description = "faults of the routes file, or of an expression or a template in it"
      filter      = "${local.notify} AND severity>=ERROR AND (jsonPayload.message=\"fault in the routes\" OR jsonPayload.error:\"routes: \")"
    }
  }

  # Numbers that each tick logs.
  values = {
    open        = "attempts without a verdict"
    queued      = "accepted drops that wait for their turn"
    active_jobs = "jobs that have not ended; -1 where they could not be listed"
    failed      = "attempts that the tick could not look at"
    lag_seconds = "how late the tick came to what was due the longest"
    seconds     = "how long the tick took"
  }
}

resource "google_logging_metric" "counter" {
  for_each         = local.counters
  project          = var.project_id
  name             = "jobdrop/${var.instance}/${each.key}"
  description      = each.value.description
  filter           = each.value.filter
  label_extractors = lookup(each.value, "labels", null)

  metric_descriptor {
    metric_kind  = "DELTA"
    value_type   = "INT64"
    unit         = "1"
    display_name = "jobdrop ${var.instance}: ${each.value.description}"
    dynamic "labels" {
      for_each = lookup(each.value, "labels", {})
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }
}

# What each tick of Notify logs of what is still to be sent.
resource "google_logging_metric" "notify_value" {
  for_each        = { for key, d in { oldest_seconds = "how long ago the oldest message that is still to be sent was due" } : key => d if local.notifies }
  project         = var.project_id
  name            = "jobdrop/${var.instance}/notify_${each.key}"
  description     = each.value
  filter          = "${local.notify} AND jsonPayload.message=\"notify tick\""
  value_extractor = "EXTRACT(jsonPayload.${each.key})"

  metric_descriptor {
    metric_kind  = "DELTA"
    value_type   = "DISTRIBUTION"
    unit         = "s"
    display_name = "jobdrop ${var.instance}: ${each.value}"
  }

  # As below.
  bucket_options {
    exponential_buckets {
      num_finite_buckets = 32
      growth_factor      = 2
      scale              = 0.01
    }
  }
}

resource "google_logging_metric" "value" {
  for_each        = local.values
  project         = var.project_id
  name            = "jobdrop/${var.instance}/tick_${each.key}"
  description     = each.value
  filter          = "${local.watch} AND jsonPayload.message=\"tick\""
  value_extractor = "EXTRACT(jsonPayload.${each.key})"

  metric_descriptor {
    metric_kind  = "DELTA"
    value_type   = "DISTRIBUTION"
    unit         = endswith(each.key, "seconds") ? "s" : "1"
    display_name = "jobdrop ${var.instance}: ${each.value}"
  }

  # The API requires buckets for a distribution. These go from a hundredth to forty
  # million, each twice as wide as the one before. Alerts and charts use means, which
  # are exact.
  bucket_options {
    exponential_buckets {
      num_finite_buckets = 32
      growth_factor      = 2
      scale              = 0.01
    }
  }
}

locals {
  # A filter has at most 2,048 characters. All metrics of lifecycle events, of which
  # there may be many, have one form.
  dead_letter_names = distinct([for s in values(var.dead_letters) :
    startswith(s, "${var.instance}-lifecycle-") ? "${var.instance}-lifecycle-[a-z0-9-]+-dead" : s
  ])
  dead_letters = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=monitoring.regex.full_match(\"(${join("|", local.dead_letter_names)})\")"

  # Filters that select the metrics.
  count = { for key, m in google_logging_metric.counter : key =>
    "metric.type=\"logging.googleapis.com/user/${m.name}\" AND resource.type=\"${endswith(key, "calls_failed") ? "cloud_scheduler_job" : "cloud_run_revision"}\""
  }
  notify_value = { for key, m in google_logging_metric.notify_value : key =>
    "metric.type=\"logging.googleapis.com/user/${m.name}\" AND resource.type=\"cloud_run_revision\""
  }
  value = { for key, m in google_logging_metric.value : key =>
    "metric.type=\"logging.googleapis.com/user/${m.name}\" AND resource.type=\"cloud_run_revision\""
  }
}
