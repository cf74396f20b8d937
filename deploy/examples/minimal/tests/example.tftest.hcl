# The example as it is, with terraform.tfvars.example as terraform.tfvars.
mock_provider "google" {
  source = "../../terraform/tests/mocks"
}

run "example" {
  command = plan
  assert {
    condition     = output.inbox == "gs://acme-ml-jobdrop-inbox" && output.inbox_trigger.location == "europe-west4"
    error_message = "The inbox is another one."
  }
  assert {
    condition     = output.models == "gs://acme-ml-jobdrop-models" && strcontains(file("policy.yaml"), "jobDirs: [${output.models}/**]")
    error_message = "Jobs have no directory that the policy allows."
  }
}
