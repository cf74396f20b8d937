mock_provider "google" {
}

variables {
  project_id      = "acme-ml"
  region          = "europe-west4"
  name            = "prod-console"
  labels          = {}
  service_account = "prod-console@acme-ml.iam.gserviceaccount.com"
  audience        = "/projects/123456789012/locations/europe-west4/services/prod-console"
  caller          = "service-123456789012@gcp-sa-iap.iam.gserviceaccount.com"
  environment     = { JOBDROP_INSTANCE = "prod" }
  settings = {
    image         = "host/jobdrop@sha256:0"
    members       = ["domain:example.com", "user:ann@example.org"]
    cpu           = 1
    memory_mib    = 512
    max_instances = 2
    ingress       = "all"
    act           = false
  }
}

run "console" {
  command = plan
  assert {
    condition     = google_cloud_run_service.this.metadata[0].annotations["run.googleapis.com/iap-enabled"] == "true"
    error_message = "Identity-Aware Proxy does not stand before the console."
  }
  assert {
    condition     = google_cloud_run_v2_service_iam_member.caller.member == "serviceAccount:service-123456789012@gcp-sa-iap.iam.gserviceaccount.com" && google_cloud_run_v2_service_iam_member.caller.role == "roles/run.invoker"
    error_message = "Somebody else than Identity-Aware Proxy calls the console."
  }
  assert {
    condition     = toset([for m in google_iap_web_cloud_run_service_iam_member.member : m.member]) == toset(["domain:example.com", "user:ann@example.org"]) && alltrue([for m in google_iap_web_cloud_run_service_iam_member.member : m.role == "roles/iap.httpsResourceAccessor"])
    error_message = "IAP lets in others than the members."
  }
  assert {
    condition     = google_cloud_run_service.this.template[0].spec[0].containers[0].args == tolist(["console", "--host=0.0.0.0", "--port=8080", "--iap-audience=/projects/123456789012/locations/europe-west4/services/prod-console", "--log-reads-per-minute=15"])
    error_message = "The console is run in another way, or takes assertions for another service."
  }
  assert {
    condition     = { for e in google_cloud_run_service.this.template[0].spec[0].containers[0].env : e.name => e.value } == { JOBDROP_INSTANCE = "prod" }
    error_message = "The console has another environment."
  }
}

run "console_that_acts" {
  command = plan
  variables {
    settings = {
      image         = "host/jobdrop@sha256:0"
      members       = ["domain:example.com"]
      cpu           = 1
      memory_mib    = 512
      max_instances = 2
      ingress       = "all"
      act           = true
    }
  }
  assert {
    condition     = contains(google_cloud_run_service.this.template[0].spec[0].containers[0].args, "--act")
    error_message = "The console does not act."
  }
}

run "many_instances" {
  command = plan
  variables {
    settings = {
      image         = "host/jobdrop@sha256:0"
      members       = ["domain:example.com"]
      cpu           = 1
      memory_mib    = 512
      max_instances = 20
      ingress       = "all"
      act           = false
    }
  }
  assert {
    condition     = contains(google_cloud_run_service.this.template[0].spec[0].containers[0].args, "--log-reads-per-minute=1")
    error_message = "Twenty instances take more reads of logs than two, or none."
  }
}

run "another_audience" {
  command = plan
  variables {
    audience = "/projects/123456789012/locations/europe-west4/services/other"
  }
  expect_failures = [var.audience]
}

run "another_caller" {
  command = plan
  variables {
    caller = "someone@acme-ml.iam.gserviceaccount.com"
  }
  expect_failures = [var.caller]
}
