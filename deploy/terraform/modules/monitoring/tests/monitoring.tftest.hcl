mock_provider "google" {
}

variables {
  project_id            = "acme-ml"
  region                = "europe-west4"
  instance              = "prod"
  labels                = {}
  services              = { submit = "prod-submit", watch = "prod-watch" }
  scheduler_job         = "prod-tick"
  lifecycle_topic       = "prod-lifecycle"
  dead_letters          = { submit-inbox = "prod-submit-inbox-dead" }
  notification_channels = ["projects/acme-ml/notificationChannels/1"]
  thresholds            = { rejected = 20, rejected_share = 0.5, timed_out = 3, errors = 5, lag_seconds = 600 }
  publish_lag_metric    = "workload.googleapis.com/jobdrop.publish.lag"
}

run "alerts" {
  command = plan
  assert {
    condition     = strcontains(google_monitoring_alert_policy.watch_heartbeat.documentation[0].content, "export PROJECT=acme-ml REGION=europe-west4 INSTANCE=prod\n") && google_monitoring_alert_policy.watch_heartbeat.notification_channels == tolist(["projects/acme-ml/notificationChannels/1"])
    error_message = "The playbook has not the installation's names, or nobody is told."
  }
  assert {
    condition     = google_logging_metric.counter["ticks"].filter == "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"prod-watch\" AND jsonPayload.message=\"tick\""
    error_message = "The heartbeat is read elsewhere."
  }
  assert {
    condition     = google_monitoring_alert_policy.watch_heartbeat.conditions[0].condition_absent[0].filter == "metric.type=\"logging.googleapis.com/user/jobdrop/prod/ticks\" AND resource.type=\"cloud_run_revision\""
    error_message = "The alert looks at another metric."
  }
  assert {
    condition     = length(google_monitoring_alert_policy.publish_lag.conditions) == 2
    error_message = "The collector's metric is not looked at."
  }
  assert {
    condition     = google_monitoring_alert_policy.jobs_timed_out.conditions[0].condition_threshold[0].threshold_value == 2
    error_message = "Three jobs that time out are three."
  }
}
