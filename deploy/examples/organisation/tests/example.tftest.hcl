# The example as it is, with terraform.tfvars.example as terraform.tfvars.
mock_provider "google" {
  source = "../../terraform/tests/mocks"
}

run "example" {
  command = plan
  assert {
    condition     = output.inboxes == { research = "gs://acme-ml-research-inbox", production = "gs://acme-ml-production-inbox" }
    error_message = "The example makes something else."
  }
}

run "people_outside_their_folders" {
  command = plan
  variables {
    installations = {
      research = { droppers = [{ member = "group:nlp@example.com" }] }
    }
  }
  expect_failures = [var.installations]
}

run "no_policy" {
  command = plan
  variables {
    installations = {
      unknown = { droppers = [] }
    }
  }
  expect_failures = [var.installations]
}
