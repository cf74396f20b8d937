output "id" {
  description = "The subscription, as projects/P/subscriptions/S."
  value       = google_pubsub_subscription.this.id
}

output "dead_letter_subscription" {
  description = "Name of the subscription that keeps what nobody took."
  value       = module.dead_letter.subscription
}
