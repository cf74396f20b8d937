# Google's agents encrypt and decrypt with the key on our behalf; jobdrop itself
# never does. Those of functions and images are in Google's list for CMEK of
# functions. Installations that share a key make the same grants: when one of them
# is destroyed, apply the others again.
resource "google_kms_crypto_key_iam_member" "agents" {
  for_each      = var.kms_key == null ? {} : local.agents
  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value}"
}
