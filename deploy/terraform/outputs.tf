locals {
  # Subscriptions in which what nobody took waits for people, by what it is of.
  dead_letters = merge(
    { for key, s in module.push : key => s.dead_letter_subscription },
    { for key, s in module.subscription : "lifecycle-${key}" => s.dead_letter_subscription },
    { for d in module.inbox_dead_letter : "submit-inbox" => d.subscription },
  )
}

output "environment" {
  description = "Environment of the functions, without secrets: what `jobdrop` reads, too, and where its console is."
  value       = tomap(merge(local.environment, { for c in local.console : "JOBDROP_CONSOLE" => local.console_uri }))

  precondition {
    condition     = length(setintersection(keys(local.environment), keys(jsondecode(file("${path.module}/environment-elsewhere.json")).local))) == 0
    error_message = "The environment holds a variable that is for the local stack alone."
  }
}

output "buckets" {
  description = "Names of the buckets, by purpose."
  value       = { for purpose, b in google_storage_bucket.this : purpose => b.name }
}

output "policy" {
  description = "The operator's policy, as a URI of Cloud Storage; null without one."
  value       = one([for p in google_storage_bucket_object.policy : "gs://${p.bucket}/${p.name}"])
}

output "routes" {
  description = "The operator's routes, as a URI of Cloud Storage; null without any."
  value       = one([for r in google_storage_bucket_object.routes : "gs://${r.bucket}/${r.name}"])
}

output "lifecycle_topic" {
  description = "Topic of the lifecycle events."
  value       = google_pubsub_topic.lifecycle.id
}

output "subscriptions" {
  description = "Subscriptions to lifecycle events, by the name that they were given."
  value       = { for key, s in module.subscription : key => s.id }
}

output "functions" {
  description = "Name and URL of each function's service."
  value       = { for name, f in module.function : name => { name = f.name, uri = f.uri } }
}

output "service_accounts" {
  description = "Whom the functions, and jobs by default, run as."
  value       = merge({ for name, a in google_service_account.function : name => a.email }, { trainer = google_service_account.trainer.email })
}

output "inbox_trigger" {
  description = "The Eventarc trigger whose subscription gets its deadline and its dead letter after the deployment; null where the trigger is a notification, which has both."
  value = var.inbox_trigger != "eventarc" ? null : {
    trigger           = var.platform == "functions" ? module.function["submit"].trigger : one([for t in google_eventarc_trigger.inbox : t.id])
    location          = lower(local.bucket_location)
    dead_letter_topic = module.inbox_dead_letter[0].topic
    pubsub_agent      = local.agents.pubsub
  }
}

output "dead_letters" {
  description = "Subscriptions in which messages wait that nobody took, by what they are of."
  value       = local.dead_letters
}
