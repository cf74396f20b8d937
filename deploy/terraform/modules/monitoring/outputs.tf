output "metrics" {
  description = "Names of the metrics that alerts look at."
  value       = [for m in merge(google_logging_metric.counter, google_logging_metric.value, google_logging_metric.notify_value) : m.name]
}

output "dashboard" {
  description = "The dashboard's name."
  value       = google_monitoring_dashboard.this.id
}
