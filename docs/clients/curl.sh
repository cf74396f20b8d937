#!/usr/bin/env bash
# Drops a folder into jobdrop's inbox with curl alone, follows its events, prints
# its output: curl.sh FOLDER OUTPUT, for example testdata/drops/hello hello/hello.txt
set -euo pipefail
name="$(basename "$1")"
storage="$STORAGE_EMULATOR_HOST"
pubsub="http://$PUBSUB_EMULATOR_HOST/v1/projects/local"

curl -sSf -X PUT "$pubsub/subscriptions/curl-client" -H 'Content-Type: application/json' -d '{
  "topic": "projects/local/topics/jobdrop-lifecycle",
  "enableMessageOrdering": true,
  "filter": "attributes.\"ce-subject\" = \"'"$name"'\""
}'

for file in "$1"/*; do
    curl -sSf -H 'Content-Type: application/octet-stream' --data-binary "@$file" \
        "$storage/upload/storage/v1/b/jobdrop-inbox/o?uploadType=media&name=$name/$(basename "$file")"
done

until grep -qE '"ce-state": *"(rejected|withdrawn|expired|succeeded|failed|cancelled|timed_out|lost)"' <<<"${messages:-}"; do
    messages="$(curl -sSf "$pubsub/subscriptions/curl-client:pull" -H 'Content-Type: application/json' -d '{"maxMessages": 10}')"
    grep -oE '"ce-(type|state)": *"[^"]*"' <<<"$messages" || true
    acks="$(grep -oE '"ackId": *"[^"]*"' <<<"$messages" | sed -E 's/.*: *//' | paste -sd, || true)"
    [[ -z $acks ]] || curl -sSf "$pubsub/subscriptions/curl-client:acknowledge" -H 'Content-Type: application/json' -d "{\"ackIds\": [$acks]}"
done
curl -sSf -X DELETE "$pubsub/subscriptions/curl-client"

curl -sSf "$storage/storage/v1/b/jobdrop-output/o/${2//\//%2F}?alt=media"
