output "inboxes" {
  description = "Where to drop, by installation."
  value       = { for name, i in module.jobdrop : name => "gs://${i.buckets.inbox}" }
}

output "environments" {
  description = "Environment of the functions, by installation."
  value       = { for name, i in module.jobdrop : name => i.environment }
}

output "trainers" {
  description = "Whom jobs run as by default, by installation."
  value       = { for name, i in module.jobdrop : name => i.service_accounts.trainer }
}
