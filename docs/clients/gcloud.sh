#!/usr/bin/env bash
# Drops a folder into jobdrop's inbox with gcloud, follows its events, prints its
# output: gcloud.sh FOLDER OUTPUT, for example testdata/drops/hello hello/hello.txt
set -euo pipefail
name="$(basename "$1")"
compgen -G "$1/job.*" >/dev/null || { echo "$1 holds no job file (job.yaml, job.yml or job.json)" >&2; exit 2; }
subscription="gcloud-client-$$"

gcloud pubsub subscriptions create "$subscription" --topic=jobdrop-lifecycle \
    --enable-message-ordering --message-filter='attributes."ce-subject" = "'"$name"'"'
trap 'gcloud pubsub subscriptions delete "$subscription"' EXIT
gcloud storage cp "$1"/* "gs://jobdrop-inbox/$name/"
# The folder may have had other attempts: each is one generation of the job file.
generation="$(gcloud storage objects describe "gs://jobdrop-inbox/$name/$(basename "$1"/job.*)" --format='value(generation)')"

state='' seen=0
until [[ $state =~ ^(rejected|withdrawn|expired|succeeded|failed|cancelled|timed_out|lost)$ ]]; do
    while IFS=$'\t' read -r type body; do
        [[ $body =~ \"sequence\":([0-9]+),.*\"jobFile\":\{[^}]*\"generation\":\"$generation\" ]] || continue
        ((BASH_REMATCH[1] > seen)) || continue # it was shown: an event may come again
        seen="${BASH_REMATCH[1]}"
        state="$(sed -E 's/^\{"attempt":"[^"]*","sequence":[0-9]+,"state":"([a-z_]+)".*/\1/' <<<"$body")"
        echo "$type $state $(grep -oE '"reason":"([^"\\]|\\.)*"' <<<"${body%%\"history\":*}" | head -n 1 || true)"
        [[ $type != *.drop.incomplete.v1 ]] || exit 2 # it may still be completed; this program does not wait
    done < <(gcloud pubsub subscriptions pull "$subscription" --auto-ack --limit=10 \
        --format='value(message.attributes.ce-type, message.data.decode(base64))')
done
[[ $state == succeeded ]] || exit 1

gcloud storage cat "gs://jobdrop-output/$2"
