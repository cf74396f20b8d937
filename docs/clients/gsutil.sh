#!/usr/bin/env bash
# Drops a folder into jobdrop's inbox with gsutil, waits for its verdict in the
# status bucket, prints its output: gsutil.sh FOLDER OUTPUT
set -euo pipefail
name="$(basename "$1")"

gsutil cp "$1"/* "gs://jobdrop-inbox/$name/"
# status.json is that of the attempt before until this one is seen: this attempt's own
# is named by the generation of its job file.
generation="$(gsutil stat "gs://jobdrop-inbox/$name/$(basename "$1"/job.*)" | sed -nE 's/ *Generation: *//p')"
status="gs://jobdrop-status/$name/status-$generation.json"

state=''
until [[ $state =~ ^(rejected|withdrawn|expired|succeeded|failed|cancelled|timed_out|lost)$ ]]; do
    sleep 2
    body="$(gsutil cat "$status" 2>/dev/null || true)" # not there yet
    state="$(grep -oE '"state": *"[a-z_]+"' <<<"$body" | head -n 1 | cut -d '"' -f 4 || true)"
    echo "state: $state $(grep -oE '"reason": *"([^"\\]|\\.)*"' <<<"${body%%\"history\":*}" | head -n 1 || true)"
done
[[ $state == succeeded ]] || exit 1

gsutil cat "gs://jobdrop-output/$2"
