output "dashboard" {
  description = "The dashboard's name."
  value       = google_monitoring_dashboard.this.id
}
