# The operator's policy: an object of the state bucket, which only operators may
# write there. It counts from the moment on at which it is written; the bucket keeps
# the versions before. One that is not valid holds up all decisions until it is
# mended: run jobdrop policy validate before.

locals {
  policy_folder = "policy/"
  policy        = try(yamldecode(file(var.policy_file)), null)

  # The accounts that jobs get from the policy without asking for them.
  policy_accounts = compact(concat(
    [try(local.policy.defaults.serviceAccount, "")],
    [for p in try(local.policy.prefixes, []) : try(p.defaults.serviceAccount, "")],
  ))
}

resource "google_storage_bucket_object" "policy" {
  count         = var.policy_file == null ? 0 : 1
  bucket        = google_storage_bucket.this["state"].name
  name          = "${local.policy_folder}policy.yaml"
  content       = file(var.policy_file)
  content_type  = "application/yaml"
  cache_control = "no-store"

  lifecycle {
    precondition {
      condition     = length(setsubtract(local.policy_accounts, local.trainer_accounts)) == 0
      error_message = "The policy has jobs run as ${join(", ", setsubtract(local.policy_accounts, local.trainer_accounts))}, and jobdrop may not act as that: list it in trainer_service_accounts. This installation's own is ${local.trainer_email}."
    }
  }
}

check "trainer_account" {
  assert {
    condition     = try(local.policy.defaults.serviceAccount, "") != ""
    error_message = "Without defaults.serviceAccount in a policy, jobs run as Vertex AI's Custom Code Service Agent, which reads and writes all buckets of the project, jobdrop's own among them. Write a policy, with ${local.trainer_email} there."
  }
}
