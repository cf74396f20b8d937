output "name" {
  description = "Name of the function and of its service of Cloud Run."
  value       = one(concat(google_cloudfunctions2_function.this[*].name, google_cloud_run_v2_service.this[*].name))
}

output "uri" {
  description = "URL at which the function is called."
  value       = one(concat([for f in google_cloudfunctions2_function.this : f.service_config[0].uri], google_cloud_run_v2_service.this[*].uri))
}

output "trigger" {
  description = "The function's Eventarc trigger; null without one."
  value       = one(flatten([for f in google_cloudfunctions2_function.this : f.event_trigger[*].trigger]))
}
