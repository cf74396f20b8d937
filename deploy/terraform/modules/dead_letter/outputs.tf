output "topic" {
  description = "The topic, as projects/P/topics/T. Pub/Sub may publish to it already."
  value       = google_pubsub_topic.dead.id
  depends_on  = [google_pubsub_topic_iam_member.agent]
}

output "subscription" {
  description = "Name of the subscription that keeps the messages."
  value       = google_pubsub_subscription.dead.name
}
