#!/usr/bin/env bash
# Drops a folder into jobdrop's inbox with gcloud, follows its events, prints its
# output: gcloud.sh FOLDER OUTPUT, for example testdata/drops/hello hello/hello.txt
set -euo pipefail
name="$(basename "$1")"

gcloud pubsub subscriptions create gcloud-client --topic=jobdrop-lifecycle \
    --enable-message-ordering --message-filter='attributes."ce-subject" = "'"$name"'"'
gcloud storage cp "$1"/* "gs://jobdrop-inbox/$name/"

until [[ ${state:-} =~ ^(rejected|withdrawn|expired|succeeded|failed|cancelled|timed_out|lost)$ ]]; do
    while IFS=$'\t' read -r type newest; do
        echo "$type $newest"
        state="$newest"
    done < <(gcloud pubsub subscriptions pull gcloud-client --auto-ack --limit=10 \
        --format='value(message.attributes.ce-type, message.attributes.ce-state)')
done
gcloud pubsub subscriptions delete gcloud-client

gcloud storage cat "gs://jobdrop-output/$2"
