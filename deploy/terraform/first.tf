# What Google takes minutes to spread: accounts, their rights, and metrics. Before a
# metric is known, an alert on it is refused. A first deployment makes these, waits, and
# then makes the rest: deploy/README.md has both commands.
resource "terraform_data" "first" {
  # A reference to the module without an index would make all of it first.
  input = var.alerts ? length(module.monitoring[0].metrics) : 0

  depends_on = [
    google_artifact_registry_repository_iam_member.build, google_kms_crypto_key_iam_member.agents,
    google_logging_log_view_iam_member.console,
    google_logging_log_view_iam_member.watch,
    google_project_iam_member.build_copy, google_project_iam_member.build_log, google_project_iam_member.eventarc,
    google_project_iam_member.function, google_project_iam_member.storage_agent, google_project_service.this,
    google_pubsub_topic_iam_member.function, google_pubsub_topic_iam_member.hints, google_pubsub_topic_iam_member.inbox,
    google_pubsub_topic_iam_member.requests,
    google_secret_manager_secret_iam_member.function, google_secret_manager_secret_iam_member.notify,
    google_service_account_iam_member.act_as, google_storage_bucket_iam_binding.default, google_storage_bucket_iam_member.build,
    google_storage_bucket_iam_member.console, google_storage_bucket_iam_member.console_asks,
    google_storage_bucket_iam_member.console_output,
    google_storage_bucket_iam_member.dropper, google_storage_bucket_iam_member.dropper_status,
    google_storage_bucket_iam_member.function, google_storage_bucket_iam_member.package_source,
    google_storage_bucket_iam_member.place, google_storage_bucket_iam_member.requester,
    google_storage_bucket_iam_member.requester_answers, google_storage_bucket_iam_member.trainer_output,
    google_storage_bucket_iam_member.trainer_staging,
  ]
}
