#!/usr/bin/env bash
# Drops a folder into jobdrop's inbox with gsutil, waits for its verdict in the
# status bucket, prints its output: gsutil.sh FOLDER OUTPUT
set -euo pipefail
name="$(basename "$1")"

gsutil cp "$1"/* "gs://jobdrop-inbox/$name/"

until [[ ${state:-} =~ ^(rejected|withdrawn|expired|succeeded|failed|cancelled|timed_out|lost)$ ]]; do
    state="$(gsutil cat "gs://jobdrop-status/$name/status.json" | grep -oE '"state": *"[a-z_]+"' | head -n 1 | cut -d '"' -f 4|| true)"
    echo "state: $state"
done

gsutil cat "gs://jobdrop-output/$2"
