mock_provider "google" {
}

variables {
  project_id         = "acme-ml"
  region             = "europe-west4"
  name               = "prod-submit"
  entry_point        = "Submit"
  runtime            = "go126"
  service_account    = "prod-submit@acme-ml.iam.gserviceaccount.com"
  caller             = "prod-submit-caller@acme-ml.iam.gserviceaccount.com"
  environment        = { JOBDROP_INSTANCE = "prod" }
  secret_environment = { KEY = { secret = "key", version = "3" } }
  memory_mib         = 512
  timeout_seconds    = 540
  max_instances      = 10
  concurrency        = 8
  ingress            = "internal"
  labels             = {}
}

run "function" {
  command = plan
  variables {
    platform = "functions"
    build    = { bucket = "source", object = "a.zip", service_account = "projects/p/serviceAccounts/build", repository = "images" }
    event    = { bucket = "inbox", region = "eu" }
    network  = { connector = "projects/acme-ml/locations/europe-west4/connectors/c", egress = "all-traffic" }
  }
  assert {
    condition     = length(google_cloud_run_v2_service.this) == 0 && google_cloud_run_v2_service_iam_member.caller.name == "prod-submit" && google_cloud_run_v2_service_iam_member.caller.member == "serviceAccount:prod-submit-caller@acme-ml.iam.gserviceaccount.com"
    error_message = "Somebody else may call the function."
  }
  assert {
    condition     = google_cloudfunctions2_function.this[0].event_trigger[0].retry_policy == "RETRY_POLICY_RETRY" && google_cloudfunctions2_function.this[0].event_trigger[0].trigger_region == "eu" && google_cloudfunctions2_function.this[0].event_trigger[0].service_account_email == var.caller
    error_message = "The trigger loses events, lies elsewhere, or calls as somebody else."
  }
  assert {
    condition     = google_cloudfunctions2_function.this[0].build_config[0].entry_point == "Submit" && google_cloudfunctions2_function.this[0].build_config[0].source[0].storage_source[0].object == "a.zip"
    error_message = "Something else is built."
  }
  assert {
    condition     = google_cloudfunctions2_function.this[0].service_config[0].environment_variables == tomap({ JOBDROP_INSTANCE = "prod" }) && google_cloudfunctions2_function.this[0].service_config[0].secret_environment_variables[0].version == "3"
    error_message = "The environment is another one."
  }
  assert {
    condition     = google_cloudfunctions2_function.this[0].service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY" && google_cloudfunctions2_function.this[0].service_config[0].vpc_connector_egress_settings == "ALL_TRAFFIC"
    error_message = "The network is open."
  }
  assert {
    condition     = google_cloudfunctions2_function.this[0].service_config[0].available_memory == "512Mi" && google_cloudfunctions2_function.this[0].service_config[0].max_instance_count == 10 && google_cloudfunctions2_function.this[0].service_config[0].max_instance_request_concurrency == 8
    error_message = "The function has another size."
  }
}

run "service" {
  command = plan
  variables {
    platform = "run"
    image    = "host/server@sha256:0"
    network  = { subnetwork = "projects/p/regions/r/subnetworks/s", egress = "private-ranges-only" }
  }
  assert {
    condition     = length(google_cloudfunctions2_function.this) == 0 && google_cloud_run_v2_service_iam_member.caller.name == "prod-submit" && output.trigger == null
    error_message = "It is no service of Cloud Run."
  }
  assert {
    condition     = { for e in google_cloud_run_v2_service.this[0].template[0].containers[0].env : e.name => e.value if e.value != null } == { FUNCTION_TARGET = "Submit", JOBDROP_INSTANCE = "prod" }
    error_message = "The environment is another one."
  }
  assert {
    condition     = google_cloud_run_v2_service.this[0].ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" && google_cloud_run_v2_service.this[0].template[0].vpc_access[0].network_interfaces[0].subnetwork == "projects/p/regions/r/subnetworks/s" && google_cloud_run_v2_service.this[0].template[0].vpc_access[0].egress == "PRIVATE_RANGES_ONLY"
    error_message = "The network is another one."
  }
  assert {
    condition     = google_cloud_run_v2_service.this[0].template[0].timeout == "540s" && google_cloud_run_v2_service.this[0].template[0].containers[0].resources[0].limits == tomap({ cpu = "1", memory = "512Mi" })
    error_message = "The service has another size."
  }
}
