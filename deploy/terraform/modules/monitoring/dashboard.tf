# Drops are on the left, jobs and ticks on the right; what should stay flat is below.
#
# Write no zeros and no empty lists here. Cloud Monitoring drops them, the provider
# compares the rest with this text, and every plan would show a change.

locals {
  charts = concat(local.charts_of_jobs, [for c in local.charts_of_notify : c if local.notifies])

  charts_of_notify = [
    { title = "Messages sent, by destination", filter = lookup(local.count, "notify_sent", ""), aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.destination"], plot = "STACKED_BAR" },
    { title = "Messages not sent, by reason", filter = lookup(local.count, "notify_failed", ""), aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.reason"], plot = "STACKED_BAR" },
    { title = "How long the oldest message waits, in seconds", filter = lookup(local.notify_value, "oldest_seconds", ""), aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = [], plot = "LINE" },
    { title = "Messages given up, by destination", filter = lookup(local.count, "notify_given_up", ""), aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.destination"], plot = "STACKED_BAR" },
  ]

  charts_of_jobs = [
    { title = "Drops decided, by state", filter = local.count.decided, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.state"], plot = "STACKED_BAR" },
    { title = "Jobs, by the state that they came to", filter = local.count.seen, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.state", "metric.label.backend_state"], plot = "STACKED_BAR" },
    { title = "Attempts without a verdict", filter = local.value.open, aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = [], plot = "LINE" },
    { title = "Jobs that have not ended", filter = local.value.active_jobs, aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = [], plot = "LINE" },
    { title = "Accepted drops that wait for their turn", filter = local.value.queued, aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = [], plot = "LINE" },
    { title = "Jobs that the backend did not take yet", filter = local.count.not_taken, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = [], plot = "STACKED_BAR" },
    { title = "Ticks", filter = local.count.ticks, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = [], plot = "STACKED_BAR" },
    { title = "How late ticks come, in seconds", filter = local.value.lag_seconds, aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = [], plot = "LINE" },
    { title = "How long ticks take, in seconds", filter = local.value.seconds, aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = [], plot = "LINE" },
    { title = "Attempts that ticks could not look at", filter = local.value.failed, aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = [], plot = "LINE" },
    { title = "Errors, by function", filter = local.count.errors, aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["resource.label.service_name"], plot = "STACKED_BAR" },
    { title = "Dead letters, by subscription", filter = local.dead_letters, aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", by = ["resource.label.subscription_id"], plot = "LINE" },
    { title = "Events published, by answer", filter = "metric.type=\"pubsub.googleapis.com/topic/send_request_count\" AND resource.type=\"pubsub_topic\" AND resource.labels.topic_id=\"${var.lifecycle_topic}\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.label.response_code"], plot = "STACKED_BAR" },
    { title = "Requests, by function and answer", filter = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=one_of(${join(",", [for s in values(var.services) : "\"${s}\""])})", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["resource.label.service_name", "metric.label.response_code"], plot = "STACKED_BAR" },
  ]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project_id
  dashboard_json = jsonencode({
    displayName = "jobdrop ${var.instance}"
    labels      = { jobdrop = "" }
    mosaicLayout = {
      columns = 48
      tiles = [for i, c in local.charts : merge(i % 2 == 0 ? {} : { xPos = 24 }, i < 2 ? {} : { yPos = floor(i / 2) * 16 }, {
        width  = 24
        height = 16
        widget = {
          title = c.title
          xyChart = {
            chartOptions = { mode = "COLOR" }
            dataSets = [{
              plotType   = c.plot
              targetAxis = "Y1"
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = c.filter
                  aggregation = merge(length(c.by) == 0 ? {} : { groupByFields = c.by }, {
                    alignmentPeriod    = "300s"
                    perSeriesAligner   = c.aligner
                    crossSeriesReducer = c.reducer
                  })
                }
              }
            }]
          }
        }
      })]
    }
  })
}
