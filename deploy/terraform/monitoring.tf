module "monitoring" {
  source = "./modules/monitoring"
  count  = var.alerts ? 1 : 0

  project_id            = var.project_id
  region                = var.region
  instance              = var.instance
  labels                = local.labels
  services              = local.service_names
  scheduler_job         = local.tick_name
  notify_scheduler_job  = local.notify_tick_name
  scheduler_region      = google_cloud_scheduler_job.tick.region
  lifecycle_topic       = google_pubsub_topic.lifecycle.name
  dead_letters          = local.dead_letters
  notification_channels = var.notification_channels
  thresholds            = var.thresholds
  publish_lag_metric    = var.publish_lag_metric

  depends_on = [google_project_service.this]
}
