# Roles of our own, where Google's are wider than what is needed. What a role is
# for stands beside it; functions.tf and the other files say who has it, and where.
# They are the project's: on what belongs to other projects, Google's have to do.

locals {
  # What the backend is asked for. Hyperparameter tuning is a resource of its own
  # at Vertex AI; a job file may ask for it.
  backend_permissions = {
    vertex = {
      run_jobs = [
        "aiplatform.customJobs.create", "aiplatform.customJobs.get", "aiplatform.customJobs.list",
        "aiplatform.hyperparameterTuningJobs.create", "aiplatform.hyperparameterTuningJobs.get", "aiplatform.hyperparameterTuningJobs.list",
      ]
      cancel_jobs = ["aiplatform.customJobs.cancel", "aiplatform.hyperparameterTuningJobs.cancel"]
    }
    aiplatform = {
      run_jobs    = ["ml.jobs.create", "ml.jobs.get", "ml.jobs.list"]
      cancel_jobs = ["ml.jobs.cancel"]
    }
  }

  roles = {
    # roles/storage.objectViewer also lists projects and managed folders.
    read = {
      title       = "reads objects"
      permissions = ["storage.objects.get", "storage.objects.list"]
    }
    # No list: names of staged packages hold a hash, so that a job that does not know
    # another's can't read its packages. The console gets job files, whose names records hold.
    fetch = {
      title       = "reads objects that it can name"
      permissions = ["storage.objects.get"]
    }
    # To overwrite is to delete. roles/storage.objectUser also changes metadata,
    # restores, and makes folders.
    write = {
      title       = "writes objects"
      permissions = ["storage.objects.create", "storage.objects.delete"]
    }
    # Without the right to delete, nothing is overwritten. roles/storage.objectCreator also
    # makes folders.
    ask = {
      title       = "writes requests"
      permissions = ["storage.objects.create"]
    }
    # roles/aiplatform.user also deploys models, reads data sets, and so on.
    run_jobs = {
      title       = "creates jobs and looks at them"
      permissions = local.backend_permissions[var.backend].run_jobs
    }
    cancel_jobs = {
      title       = "cancels jobs"
      permissions = local.backend_permissions[var.backend].cancel_jobs
    }
    # roles/iam.serviceAccountUser also lists service accounts.
    act_as = {
      title       = "has jobs run as a service account"
      permissions = ["iam.serviceAccounts.actAs"]
    }
    # A dropper overwrites its own drops. Clients look before they write.
    drop = {
      title       = "drops"
      permissions = ["storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list"]
    }
  }
}

resource "google_project_iam_custom_role" "this" {
  for_each    = local.roles
  project     = var.project_id
  role_id     = "jobdrop_${replace(var.instance, "-", "_")}_${each.key}"
  title       = "jobdrop ${var.instance}: ${each.value.title}"
  permissions = each.value.permissions
  depends_on  = [google_project_service.this]
}
