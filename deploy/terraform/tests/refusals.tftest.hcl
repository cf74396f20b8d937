# Values that are refused. Each run has many that have nothing to do with each other;
# each variable that is expected to fail does so by itself.

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

run "refused_1" {
  command = plan
  variables {
    project_id                = "123456789012"                                    # project number
    region                    = "europe-west4-a"                                  # region as zone
    instance                  = "a-very-long-name-x"                              # long instance
    labels                    = { jobdrop-x = "y" }                               # label of ours
    source_archive            = "out/jobdrop.zip"                                 # archive without digest
    runtime                   = "go125"                                           # old runtime
    memory_mib                = 256                                               # little memory
    submit_max_instances      = 0                                                 # no instance of submit
    inbox_trigger             = "pubsub"                                          # unknown trigger
    tick_schedule             = "0 * * * *"                                       # hourly ticks
    scheduler_region          = "europe"                                          # scheduler elsewhere
    backend                   = "sagemaker"                                       # unknown backend
    job_regions               = ["europe-west4", "europe-west4"]                  # job region twice
    output_buckets            = ["gs://acme-models"]                              # output uri
    package_source_buckets    = ["gs://acme-packages"]                            # source uri
    policy_file               = "tests/nothing.yaml"                              # no such policy
    droppers                  = [{ member = "allUsers" }]                         # everybody drops
    requesters                = ["allAuthenticatedUsers"]                         # everybody asks
    subscriptions             = { all = { members = ["allAuthenticatedUsers"] } } # everybody subscribes
    bucket_location           = "europe west"                                     # no location
    longest_run_days          = 0.5                                               # half a day
    soft_delete_days          = 3                                                 # short soft delete
    lifecycle_retention_days  = 32                                                # long retention
    settle                    = "60"                                              # settle without unit
    incomplete_after          = "soon"                                            # incomplete in words
    expire_after              = "-24h"                                            # negative expiry
    submit_within             = "1d"                                              # expiry in days
    grace                     = "15"                                              # grace without unit
    log_level                 = "WARN"                                            # no heartbeat in the log
    collector_endpoint        = "collector.example.com"                           # collector without scheme
    collector_headers_version = "latest"                                          # latest secret
    publish_lag_metric        = "jobdrop.publish.lag"                             # metric by name
    notification_channels     = ["sre@example.com"]                               # channel by address
    thresholds                = { rejected_share = 50 }                           # share in percent
    ingress                   = "ALLOW_ALL"                                       # open ingress
    network                   = {}                                                # network without way
    build_worker_pool         = "build"                                           # pool by name
    routes                    = "tests/nothing.yaml"                              # no such routes
  }
  expect_failures = [
    var.project_id,
    var.region,
    var.instance,
    var.labels,
    var.source_archive,
    var.runtime,
    var.memory_mib,
    var.submit_max_instances,
    var.inbox_trigger,
    var.tick_schedule,
    var.scheduler_region,
    var.backend,
    var.job_regions,
    var.output_buckets,
    var.package_source_buckets,
    var.policy_file,
    var.droppers,
    var.requesters,
    var.subscriptions,
    var.bucket_location,
    var.longest_run_days,
    var.soft_delete_days,
    var.lifecycle_retention_days,
    var.settle,
    var.incomplete_after,
    var.expire_after,
    var.submit_within,
    var.grace,
    var.log_level,
    var.collector_endpoint,
    var.collector_headers_version,
    var.publish_lag_metric,
    var.notification_channels,
    var.thresholds,
    var.ingress,
    var.network,
    var.build_worker_pool,
    var.routes,
  ]
}

run "refused_2" {
  command = plan
  variables {
    instance                 = "Prod"                                                                                                   # upper case instance
    labels                   = { Team = "nlp" }                                                                                         # label in upper case
    source_archive           = null                                                                                                     # no archive
    inbox_prefix             = "teams/"                                                                                                 # prefix of eventarc
    job_regions              = ["europe-west4-a"]                                                                                       # job zone
    policy_file              = "tests/mocks/google.tfmock.hcl"                                                                          # policy that is none
    droppers                 = [{ member = "group:nlp@example.com", folder = "teams/nlp" }]                                             # folder without slash
    subscriptions            = { Failures = {} }                                                                                        # subscription in upper case
    staged_days              = 14                                                                                                       # packages gone too soon
    status_days              = 7                                                                                                        # status gone too soon
    recent_days              = 14                                                                                                       # lists gone too soon
    collector_headers_secret = "collector-key"                                                                                          # headers without collector
    thresholds               = { errors = -1 }                                                                                          # negative threshold
    network                  = { connector = "projects/p/locations/r/connectors/c", subnetwork = "projects/p/regions/r/subnetworks/s" } # network by two ways
    kms_key                  = "projects/acme-keys/locations/europe-west4/keyRings/jobdrop/cryptoKeys/data"                             # key without notification
    routes                   = "tests/policy.yaml"                                                                                      # routes that are none
  }
  expect_failures = [
    var.instance,
    var.labels,
    var.source_archive,
    var.inbox_prefix,
    var.job_regions,
    var.policy_file,
    var.droppers,
    var.subscriptions,
    var.staged_days,
    var.status_days,
    var.recent_days,
    var.collector_headers_secret,
    var.thresholds,
    var.network,
    var.kms_key,
    var.routes,
  ]
}

run "refused_3" {
  command = plan
  variables {
    platform                 = "kubernetes"    # unknown platform
    notify_secrets           = ["slack-token"] # secrets of nobody
    inbox_trigger            = "notification"
    inbox_prefix             = "/teams/"                                                               # prefix with slash
    droppers                 = [{ member = "group:nlp@example.com", folder = "a\") || true || (\"/" }] # folder with quote
    longest_run_days         = 28
    collector_endpoint       = "https://collector.example.com"
    collector_headers_secret = "projects/p/secrets/s"                                                                           # secret by path
    kms_key                  = "projects/acme-keys/locations/europe-west4/keyRings/jobdrop/cryptoKeys/data/cryptoKeyVersions/1" # version of a key
    # staged_days: packages gone before the longest run
  }
  expect_failures = [
    var.platform,
    var.notify_secrets,
    var.inbox_prefix,
    var.droppers,
    var.staged_days,
    var.collector_headers_secret,
    var.kms_key,
  ]
}

run "refused_4" {
  command = plan
  variables {
    platform       = "run"
    image          = "europe-west4-docker.pkg.dev/acme-ml/jobdrop/server:latest"                  # image by tag
    droppers       = [{ member = "group:nlp@example.com" }, { member = "group:nlp@example.com" }] # dropper twice
    inbox_trigger  = "notification"
    routes         = "tests/routes.yaml"
    notify_secrets = ["slack-token", "slack-token"]                                               # secret twice
    kms_key        = "projects/acme-keys/locations/europe-west1/keyRings/jobdrop/cryptoKeys/data" # key of elsewhere
  }
  expect_failures = [
    var.image,
    var.droppers,
    var.kms_key,
    var.notify_secrets,
  ]
}

run "refused_5" {
  command = plan
  variables {
    platform = "run"
    # image: no image
    routes         = "tests/routes.yaml"
    notify_secrets = ["slack-token/versions/3"] # secret with version
  }
  expect_failures = [
    var.image,
    var.notify_secrets,
  ]
}

run "refused_6" {
  command = plan
  variables {
    network = { subnetwork = "projects/p/regions/r/subnetworks/s" } # subnetwork of functions
  }
  expect_failures = [
    var.network,
  ]
}

run "refused_7" {
  command = plan
  variables {
    network = { connector = "projects/p/locations/r/connectors/c", egress = "none" } # unknown egress
  }
  expect_failures = [
    var.network,
  ]
}

# What is compared with another variable is not looked at where that one is refused.
run "refused_8" {
  command = plan
  variables {
    trainer_service_accounts = ["123456789012-compute@developer.gserviceaccount.com"] # default account
    trainers_of_others       = true
    longest_wait_days        = 0 # no wait
    history_days             = 1 # no history
  }
  expect_failures = [
    var.trainer_service_accounts,
    var.longest_wait_days,
    var.history_days,
  ]
}

run "refused_9" {
  command = plan
  variables {
    history_days             = 2
    expire_after             = "49h"                                             # drop that outlives its versions
    submit_within            = "168h1s"                                          # packages gone while the backend is asked
    trainer_service_accounts = ["trainer@other-project.iam.gserviceaccount.com"] # account of another project
  }
  expect_failures = [
    var.history_days,
    var.longest_wait_days,
    var.trainer_service_accounts,
  ]
}

run "account_that_jobdrop_may_not_act_as" {
  command = plan
  variables {
    instance = "other" # whose account is another one than the policy's
  }
  expect_failures = [google_storage_bucket_object.policy]
}

run "refused_console" {
  command = plan
  variables {
    console = { image = "host/path/jobdrop:latest", members = ["domain:example.com"] }
  }
  expect_failures = [var.console]
}

run "refused_console_of_everybody" {
  command = plan
  variables {
    console = { image = "host/path/jobdrop@sha256:0000000000000000000000000000000000000000000000000000000000000000", members = ["allUsers"] }
  }
  expect_failures = [var.console]
}

run "refused_console_of_other_identities" {
  command = plan
  variables {
    console = { image = "host/path/jobdrop@sha256:0000000000000000000000000000000000000000000000000000000000000000", members = ["domain:example.com", "principalSet://iam.googleapis.com/locations/global/workforcePools/staff/*"] }
  }
  expect_failures = [var.console]
}

run "refused_console_of_nobody" {
  command = plan
  variables {
    console = { image = "host/path/jobdrop@sha256:0000000000000000000000000000000000000000000000000000000000000000", members = [] }
  }
  expect_failures = [var.console]
}

run "refused_console_size" {
  command = plan
  variables {
    console = { image = "host/path/jobdrop@sha256:0000000000000000000000000000000000000000000000000000000000000000", members = ["domain:example.com"], memory_mib = 128 }
  }
  expect_failures = [var.console]
}

run "refused_console_outputs" {
  command = plan
  variables {
    console = { image = "host/path/jobdrop@sha256:0000000000000000000000000000000000000000000000000000000000000000", members = ["domain:example.com"], output_buckets = ["gs://acme-models"] }
  }
  expect_failures = [var.console]
}
