mock_provider "google" {
}

variables {
  project_id            = "acme-ml"
  region                = "europe-west4"
  instance              = "prod"
  labels                = {}
  services              = { submit = "prod-submit", watch = "prod-watch" }
  scheduler_job         = "prod-tick"
  scheduler_region      = "europe-west1"
  lifecycle_topic       = "prod-lifecycle"
  dead_letters          = { submit-inbox = "prod-submit-inbox-dead" }
  notification_channels = ["projects/acme-ml/notificationChannels/1"]
  thresholds            = { rejected = 20, rejected_share = 0.5, timed_out = 3, errors = 5, lag_seconds = 600, undelivered_seconds = 3600 }
  publish_lag_metric    = "workload.googleapis.com/jobdrop.publish.lag"
}

run "alerts" {
  command = plan
  assert {
    condition     = strcontains(google_monitoring_alert_policy.watch_heartbeat.documentation[0].content, "export PROJECT=acme-ml REGION=europe-west4 INSTANCE=prod\nexport SCHEDULER_REGION=europe-west1\n") && google_monitoring_alert_policy.watch_heartbeat.notification_channels == tolist(["projects/acme-ml/notificationChannels/1"])
    error_message = "The playbook has not the installation's names, or nobody is told."
  }
  assert {
    condition     = google_logging_metric.counter["ticks"].filter == "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"prod-watch\" AND jsonPayload.message=\"tick\""
    error_message = "The heartbeat is read elsewhere."
  }
  assert {
    condition     = google_monitoring_alert_policy.watch_heartbeat.conditions[0].condition_threshold[0].filter == "metric.type=\"logging.googleapis.com/user/jobdrop/prod/ticks\" AND resource.type=\"cloud_run_revision\""
    error_message = "The alert looks at another metric."
  }
  assert {
    condition = alltrue([for c in [google_monitoring_alert_policy.watch_heartbeat.conditions[0], google_monitoring_alert_policy.watch_errors.conditions[3]] :
      c.condition_threshold[0].comparison == "COMPARISON_LT" && c.condition_threshold[0].threshold_value == 1 && c.condition_threshold[0].evaluation_missing_data == "EVALUATION_MISSING_DATA_ACTIVE"
    ])
    error_message = "Ticks that never came are not missed."
  }
  assert {
    condition     = google_monitoring_alert_policy.dead_letters.conditions[0].condition_threshold[0].filter == "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=monitoring.regex.full_match(\"(prod-submit-inbox-dead)\")"
    error_message = "Other dead letters are looked at."
  }
  assert {
    condition     = length(google_monitoring_alert_policy.publish_lag.conditions) == 2
    error_message = "The collector's metric is not looked at."
  }
  # Its label's value is empty, as the console wants it; a map keeps that.
  assert {
    condition     = !can(regex("[:,[](-?0(\\.0+)?|false|null|\"\"|\\[\\]|\\{\\})[],}]", jsonencode(jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout)))
    error_message = "The dashboard has a zero or an empty list, which Cloud Monitoring does not keep: each plan would show a change."
  }
  assert {
    condition     = [for t in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : [try(t.xPos, 0), try(t.yPos, 0)]] == [for i in range(14) : [(i % 2) * 24, floor(i / 2) * 16]]
    error_message = "The charts lie elsewhere."
  }
  assert {
    condition     = google_monitoring_alert_policy.jobs_timed_out.conditions[0].condition_threshold[0].threshold_value == 2
    error_message = "Three jobs that time out are three."
  }
}

run "without_notify" {
  command = plan
  assert {
    condition     = length(google_monitoring_alert_policy.notify_errors) + length(google_monitoring_alert_policy.notify_given_up) + length(google_monitoring_alert_policy.notify_unreached) + length(google_monitoring_alert_policy.notify_routes) == 0 && length([for key in keys(google_logging_metric.counter) : key if startswith(key, "notify_")]) == 0
    error_message = "There are alerts on a function that there is not: the first of them would never end."
  }
}

run "notify" {
  command = plan
  variables {
    services             = { submit = "prod-submit", watch = "prod-watch", notify = "prod-notify" }
    notify_scheduler_job = "prod-notify-tick"
    dead_letters         = { submit-inbox = "prod-submit-inbox-dead", notify-lifecycle = "prod-notify-lifecycle-dead" }
  }
  assert {
    condition     = google_logging_metric.counter["notify_given_up"].filter == "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"prod-notify\" AND jsonPayload.message=\"message given up\"" && google_monitoring_alert_policy.notify_given_up[0].conditions[0].condition_threshold[0].filter == "metric.type=\"logging.googleapis.com/user/jobdrop/prod/notify_given_up\" AND resource.type=\"cloud_run_revision\""
    error_message = "Messages that are given up are counted elsewhere, or by nobody."
  }
  assert {
    condition     = google_monitoring_alert_policy.notify_errors[0].conditions[0].condition_threshold[0].comparison == "COMPARISON_LT" && google_monitoring_alert_policy.notify_errors[0].conditions[0].condition_threshold[0].evaluation_missing_data == "EVALUATION_MISSING_DATA_ACTIVE"
    error_message = "Ticks that never came are not missed."
  }
  assert {
    condition     = google_monitoring_alert_policy.notify_errors[0].conditions[2].condition_threshold[0].filter == "metric.type=\"logging.googleapis.com/user/jobdrop/prod/notify_calls_failed\" AND resource.type=\"cloud_scheduler_job\"" && strcontains(google_logging_metric.counter["notify_calls_failed"].filter, "job_id=\"prod-notify-tick\"")
    error_message = "The calls of another job are counted."
  }
  assert {
    condition     = google_monitoring_alert_policy.notify_unreached[0].conditions[1].condition_threshold[0].threshold_value == 3600 && strcontains(google_monitoring_alert_policy.dead_letters.conditions[0].condition_threshold[0].filter, "prod-notify-lifecycle-dead")
    error_message = "Messages may wait for ever, or dead letters of Notify are not looked at."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.notify_routes[0].documentation[0].content, "export PROJECT=acme-ml REGION=europe-west4 INSTANCE=prod\n")
    error_message = "The playbook has not the installation's names."
  }
  assert {
    condition     = [for t in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : [try(t.xPos, 0), try(t.yPos, 0)]] == [for i in range(18) : [(i % 2) * 24, floor(i / 2) * 16]]
    error_message = "The charts of Notify lie elsewhere, or nowhere."
  }
}

run "notify_without_its_schedule" {
  command = plan
  variables {
    services = { submit = "prod-submit", watch = "prod-watch", notify = "prod-notify" }
  }
  expect_failures = [var.notify_scheduler_job]
}

# Any number of subscribers: Cloud Monitoring takes filters of 2,048 characters.
run "many_subscriptions" {
  command = plan
  variables {
    instance         = "a-long-name-long"
    scheduler_region = "europe-west4"
    dead_letters = merge(
      { submit-inbox = "a-long-name-long-submit-inbox-dead", watch-hints = "a-long-name-long-watch-hints-dead" },
      { for i in range(300) : "lifecycle-${i}" => format("a-long-name-long-lifecycle-a-subscription-of-a-long-name-%d-dead", i) },
    )
  }
  assert {
    condition     = length(google_monitoring_alert_policy.dead_letters.conditions[0].condition_threshold[0].filter) <= 2048
    error_message = "The filter is too long."
  }
  assert {
    condition     = alltrue([for s in values(var.dead_letters) : can(regex("^(${join("|", local.dead_letter_names)})$", s))])
    error_message = "Some dead letters are not looked at."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.watch_heartbeat.documentation[0].content, "INSTANCE=a-long-name-long\nexport SCHEDULER_REGION=europe-west4\n")
    error_message = "The region of Cloud Scheduler is the functions'."
  }
}
