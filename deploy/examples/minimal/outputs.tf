output "inbox" {
  description = "Where to drop."
  value       = "gs://${module.jobdrop.buckets.inbox}"
}

output "status" {
  description = "Where to look what became of a drop."
  value       = "gs://${module.jobdrop.buckets.status}"
}

output "environment" {
  description = "Environment of the functions."
  value       = module.jobdrop.environment
}

output "inbox_trigger" {
  description = "What the step after the deployment needs."
  value       = module.jobdrop.inbox_trigger
}

output "models" {
  description = "Where job directories lie."
  value       = "gs://${google_storage_bucket.models.name}"
}
