# What a first deployment makes before it waits.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project_id     = "acme-ml"
  region         = "europe-west4"
  instance       = "prod"
  source_archive = "out/jobdrop-0123456789ab.zip"
  policy_file    = "tests/policy.yaml"
}

run "first" {
  plan_options {
    target = [terraform_data.first]
  }
  assert {
    condition     = terraform_data.first.output == 15
    error_message = "Alerts would be refused, since their metrics are not made first."
  }
  assert {
    condition     = length(google_storage_bucket_iam_member.function) == 14 && length(google_project_iam_member.function) == 3 && length(google_service_account_iam_member.act_as) == 2
    error_message = "Some rights are not made first."
  }
}
