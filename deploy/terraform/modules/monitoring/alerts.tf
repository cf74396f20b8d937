# Each alert has a playbook of its name in deploy/playbooks, which it sends along
# with the names of this installation filled in.

locals {
  # The playbooks' own commands, with values in place of names. None has a dollar
  # before a brace: Cloud Monitoring expands that as a variable of its own.
  playbooks = { for file in fileset("${path.module}/../../../playbooks", "*.md") : trimsuffix(file, ".md") => replace(
    replace(
      file("${path.module}/../../../playbooks/${file}"),
      "export PROJECT=… REGION=… INSTANCE=…", "export PROJECT=${var.project_id} REGION=${var.region} INSTANCE=${var.instance}",
    ),
    "export SCHEDULER_REGION=…", "export SCHEDULER_REGION=${var.scheduler_region}",
  ) }

  ten_minutes = "600s"
}

resource "google_monitoring_alert_policy" "watch_heartbeat" {
  project               = var.project_id
  display_name          = "jobdrop ${var.instance}: watch-heartbeat"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "No tick came to its end for ten minutes"
    # Not condition_absent: a metric that was never written, or is written as zero, is
    # not absent.
    condition_threshold {
      filter                  = local.count.ticks
      comparison              = "COMPARISON_LT"
      threshold_value         = 1
      duration                = local.ten_minutes
      evaluation_missing_data = "EVALUATION_MISSING_DATA_ACTIVE"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM" # each revision is a series of its own
      }
    }
  }

  documentation {
    content   = local.playbooks["watch-heartbeat"]
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "watch_errors" {
  project               = var.project_id
  display_name          = "jobdrop ${var.instance}: watch-errors"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "Watch logs errors"
    condition_threshold {
      filter          = "${local.count.errors} AND resource.labels.service_name=\"${var.services.watch}\""
      comparison      = "COMPARISON_GT"
      threshold_value = var.thresholds.errors
      duration        = local.ten_minutes
      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
  conditions {
    display_name = "Ticks fail"
    condition_threshold {
      filter          = local.count.calls_failed
      comparison      = "COMPARISON_GT"
      threshold_value = var.thresholds.errors
      duration        = local.ten_minutes
      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
  conditions {
    display_name = "Ticks come late"
    condition_threshold {
      filter          = local.value.lag_seconds
      comparison      = "COMPARISON_GT"
      threshold_value = var.thresholds.lag_seconds
      duration        = local.ten_minutes
      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_MEAN"
      }
    }
  }

  conditions {
    display_name = "No tick came to every attempt for half an hour"
    condition_threshold {
      filter                  = local.count.whole_ticks
      comparison              = "COMPARISON_LT"
      threshold_value         = 1
      duration                = "1800s"
      evaluation_missing_data = "EVALUATION_MISSING_DATA_ACTIVE"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = local.playbooks["watch-errors"]
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "dead_letters" {
  project               = var.project_id
  display_name          = "jobdrop ${var.instance}: dead-letters"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "Messages wait that nobody took"
    condition_threshold {
      filter          = local.dead_letters
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_MAX"
        cross_series_reducer = "REDUCE_MAX"
        group_by_fields      = ["resource.label.subscription_id"]
      }
    }
  }
  conditions {
    display_name = "A message was no event, and is parked"
    condition_threshold {
      filter          = local.count.parked
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = local.playbooks["dead-letters"]
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "publish_lag" {
  project               = var.project_id
  display_name          = "jobdrop ${var.instance}: publish-lag"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "Events can't be published for ten minutes"
    condition_threshold {
      filter          = local.count.publish_failed
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = local.ten_minutes
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
  dynamic "conditions" {
    for_each = var.publish_lag_metric[*]
    content {
      display_name = "Events are published five minutes late"
      condition_threshold {
        filter          = "metric.type=\"${conditions.value}\""
        comparison      = "COMPARISON_GT"
        threshold_value = 300
        duration        = local.ten_minutes
        aggregations {
          alignment_period     = "300s"
          per_series_aligner   = "ALIGN_DELTA"
          cross_series_reducer = "REDUCE_PERCENTILE_99"
        }
      }
    }
  }

  documentation {
    content   = local.playbooks["publish-lag"]
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "submit_errors" {
  project               = var.project_id
  display_name          = "jobdrop ${var.instance}: submit-errors"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "Submit logs errors"
    condition_threshold {
      filter          = "${local.count.errors} AND resource.labels.service_name=\"${var.services.submit}\""
      comparison      = "COMPARISON_GT"
      threshold_value = var.thresholds.errors
      duration        = "0s"
      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = local.playbooks["submit-errors"]
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "drops_rejected" {
  project               = var.project_id
  display_name          = "jobdrop ${var.instance}: drops-rejected"
  combiner              = "AND" # a large number, and a large share
  severity              = "WARNING"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "Many drops were rejected within an hour"
    condition_threshold {
      filter          = "${local.count.decided} AND metric.labels.state=\"rejected\""
      comparison      = "COMPARISON_GT"
      threshold_value = var.thresholds.rejected
      duration        = "0s"
      aggregations {
        alignment_period     = "3600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
  conditions {
    display_name = "Many of all that were decided"
    condition_threshold {
      filter             = "${local.count.decided} AND metric.labels.state=\"rejected\""
      denominator_filter = "${local.count.decided} AND metric.labels.state=one_of(\"rejected\",\"submitted\")"
      comparison         = "COMPARISON_GT"
      threshold_value    = var.thresholds.rejected_share
      duration           = "0s"
      aggregations {
        alignment_period     = "3600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
      denominator_aggregations {
        alignment_period     = "3600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = local.playbooks["drops-rejected"]
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "jobs_timed_out" {
  project               = var.project_id
  display_name          = "jobdrop ${var.instance}: jobs-timed-out"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "Jobs timed out"
    condition_threshold {
      filter          = "${local.count.seen} AND metric.labels.state=\"timed_out\""
      comparison      = "COMPARISON_GT"
      threshold_value = var.thresholds.timed_out - 1 # the API accepts only GT and LT
      duration        = "0s"
      aggregations {
        alignment_period     = "21600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = local.playbooks["jobs-timed-out"]
    mime_type = "text/markdown"
  }
}

# Notify's. Their metrics are there only with it; without it these are none.
resource "google_monitoring_alert_policy" "notify_errors" {
  count                 = local.notifies ? 1 : 0
  project               = var.project_id
  display_name          = "jobdrop ${var.instance}: notify-errors"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "No tick of Notify came to its end for ten minutes"
    condition_threshold {
      filter                  = local.count.notify_ticks
      comparison              = "COMPARISON_LT"
      threshold_value         = 1
      duration                = "600s"
      evaluation_missing_data = "EVALUATION_MISSING_DATA_ACTIVE"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  conditions {
    display_name = "Notify logs errors"
    condition_threshold {
      filter          = "${local.count.errors} AND resource.labels.service_name=\"${var.services.notify}\""
      comparison      = "COMPARISON_GT"
      threshold_value = var.thresholds.errors
      duration        = "600s"
      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  conditions {
    display_name = "Cloud Scheduler calls Notify in vain"
    condition_threshold {
      filter          = local.count.notify_calls_failed
      comparison      = "COMPARISON_GT"
      threshold_value = var.thresholds.errors
      duration        = "600s"
      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = local.playbooks["notify-errors"]
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "notify_given_up" {
  count                 = local.notifies ? 1 : 0
  project               = var.project_id
  display_name          = "jobdrop ${var.instance}: notify-given-up"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "Messages were given up"
    condition_threshold {
      filter          = local.count.notify_given_up
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["metric.label.destination"]
      }
    }
  }

  documentation {
    content   = local.playbooks["notify-given-up"]
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "notify_unreached" {
  count                 = local.notifies ? 1 : 0
  project               = var.project_id
  display_name          = "jobdrop ${var.instance}: notify-unreached"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "A destination has not been reached for longer than its heartbeat"
    condition_threshold {
      filter          = local.count.notify_unreached
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["metric.label.destination"]
      }
    }
  }

  conditions {
    display_name = "Messages wait for long"
    condition_threshold {
      filter          = local.notify_value.oldest_seconds
      comparison      = "COMPARISON_GT"
      threshold_value = var.thresholds.undelivered_seconds
      duration        = "600s"
      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_MEAN"
      }
    }
  }

  documentation {
    content   = local.playbooks["notify-unreached"]
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "notify_routes" {
  count                 = local.notifies ? 1 : 0
  project               = var.project_id
  display_name          = "jobdrop ${var.instance}: notify-routes"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "The routes have a fault"
    condition_threshold {
      filter          = local.count.notify_routes_faults
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = local.playbooks["notify-routes"]
    mime_type = "text/markdown"
  }
}
