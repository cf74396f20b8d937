#!/usr/bin/env bash
# Reads a subscription of lifecycle events with curl alone, and prints a line for each:
# alert.sh projects/PROJECT/subscriptions/NAME
#
# If ALERT_URL is set it posts the line there, too, as the incoming webhooks of Slack
# and other chats take it. Pub/Sub is that of jobdrop local where PUBSUB_EMULATOR_HOST names it,
# else Google's, which wants the access token in TOKEN.
#
# An event is acknowledged once it was told. Any failure ends the program; what it did
# not acknowledge comes again when it is started again.
set -euo pipefail
subscription="$1" url="${ALERT_URL:-}"
if [[ -n ${PUBSUB_EMULATOR_HOST:-} ]]; then
    pubsub="http://$PUBSUB_EMULATOR_HOST/v1" authorization=''
else
    pubsub=https://pubsub.googleapis.com/v1 authorization="Authorization: Bearer $TOKEN"
fi

# post sends JSON to a URL. URL and token stay off the command line, which others see.
post() {
    printf 'url = "%s"\nheader = "%s"\n' "$1" "${3:-}" |
        curl -sSf --max-time 300 --config - -H 'Content-Type: application/json' -d "$2"
}

# A body begins so: with attempt, sequence, state and, mostly, reason.
body='^\{"attempt":"([^"]*)","sequence":([0-9]+),"state":"([a-z_]+)"(,"reason":"(([^"\\]|\\.)*)")?'
declare -A told # the last sequence of each attempt: delivery is at least once
while true; do
    # A pull waits for a while for a first message.
    pulled="$(post "$pubsub/$subscription:pull" '{"maxMessages": 1}' "$authorization")"
    ack="$(grep -oE '"ackId": *"[^"]*"' <<<"$pulled" | sed -E 's/.*: *//' || true)"
    [[ -n $ack ]] || continue
    event="$(grep -oE '"data": *"[^"]*"' <<<"$pulled" | sed -E 's/.*: *"(.*)"/\1/' | base64 -d)"
    [[ $event =~ $body ]] || { echo "not an event: $event" >&2; exit 1; }
    attempt="${BASH_REMATCH[1]}" sequence="${BASH_REMATCH[2]}" what="${BASH_REMATCH[5]:-${BASH_REMATCH[3]}}"
    if ((sequence > ${told[$attempt]:-0})); then
        name="$(grep -oE '"ce-type": *"[^"]*"' <<<"$pulled" | sed -E 's/.*"dev\.jobdrop\.(.*)\.v1"/\1/')"
        folder="$(grep -oE '"ce-subject": *"([^"\\]|\\.)*"' <<<"$pulled" | sed -E 's/.*: *"(.*)"/\1/' || true)"
        # What a job says must not call a whole channel: no <!here>. The text stays escaped, as JSON has it.
        text="$(sed -E 's/<|\\u003c/‹/g; s/>|\\u003e/›/g' <<<"$name $folder: $what")"
        [[ -z $url ]] || post "$url" "{\"text\": \"$text\"}" >/dev/null
        printf '%s\n' "$text"
        told[$attempt]="$sequence"
    fi
    post "$pubsub/$subscription:acknowledge" "{\"ackIds\": [$ack]}" "$authorization" >/dev/null
done
