#!/usr/bin/env bash
# Drops a folder into jobdrop's inbox with curl alone, follows its events, prints
# its output: curl.sh FOLDER OUTPUT, for example testdata/drops/hello hello/hello.txt
set -euo pipefail
name="$(basename "$1")"
compgen -G "$1/job.*" >/dev/null || { echo "$1 holds no job file (job.yaml, job.yml or job.json)" >&2; exit 2; }
storage="$STORAGE_EMULATOR_HOST"
pubsub="http://$PUBSUB_EMULATOR_HOST/v1/projects/local"
subscription="$pubsub/subscriptions/curl-client-$$"

curl -sSf -X PUT "$subscription" -H 'Content-Type: application/json' -d '{
  "topic": "projects/local/topics/jobdrop-lifecycle",
  "enableMessageOrdering": true,
  "filter": "attributes.\"ce-subject\" = \"'"$name"'\""
}'
trap 'curl -sS -o /dev/null -X DELETE "$subscription"' EXIT

# encoded prints an object's name as a URL has it.
encoded() {
    od -An -v -tx1 <<<"$1" | tr -d ' \n' | sed -E 's/0a$//; s/../%&/g'
}

for file in "$1"/*; do
    [[ -f $file ]] || continue
    answer="$(curl -sSf -H 'Content-Type: application/octet-stream' --data-binary "@$file" \
        "$storage/upload/storage/v1/b/jobdrop-inbox/o?uploadType=media&name=$(encoded "$name/$(basename "$file")")&fields=generation")"
    [[ $file != */job.* ]] || generation="$(grep -oE '[0-9]+' <<<"$answer")"
done

state='' seen=0
until [[ $state =~ ^(rejected|withdrawn|expired|succeeded|failed|cancelled|timed_out|lost)$ ]]; do
    message="$(curl -sSf "$subscription:pull" -H 'Content-Type: application/json' -d '{"maxMessages": 1}')"
    ack="$(grep -oE '"ackId": *"[^"]*"' <<<"$message" | sed -E 's/.*: *//' || true)"
    [[ -n $ack ]] || continue
    curl -sSf -o /dev/null "$subscription:acknowledge" -H 'Content-Type: application/json' -d "{\"ackIds\": [$ack]}"
    body="$(grep -oE '"data": *"[^"]*"' <<<"$message" | sed -E 's/.*: *"(.*)"/\1/' | base64 -d)"
    # The folder may have had other attempts: each is one generation of the job file.
    [[ $body =~ \"sequence\":([0-9]+),.*\"jobFile\":\{[^}]*\"generation\":\"$generation\" ]] || continue
    ((BASH_REMATCH[1] > seen)) || continue # it was shown: an event may come again
    seen="${BASH_REMATCH[1]}"
    state="$(sed -E 's/^\{"attempt":"[^"]*","sequence":[0-9]+,"state":"([a-z_]+)".*/\1/' <<<"$body")"
    type="$(grep -oE '"ce-type": *"[^"]*"' <<<"$message" | cut -d '"' -f 4)"
    echo "$type $state $(grep -oE '"reason":"([^"\\]|\\.)*"' <<<"${body%%\"history\":*}" | head -n 1 || true)"
    [[ $type != *.drop.incomplete.v1 ]] || exit 2 # it may still be completed; this program does not wait
done
[[ $state == succeeded ]] || exit 1

curl -sSf "$storage/storage/v1/b/jobdrop-output/o/$(encoded "$2")?alt=media"
