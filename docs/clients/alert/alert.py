"""Reads a subscription of lifecycle events, and prints a line for each.

Usage: alert.py projects/PROJECT/subscriptions/NAME

If ALERT_URL is set it posts the line there, too, as the incoming webhooks of Slack
and other chats take it. It needs nothing but Python: Pub/Sub is asked by REST, that of
jobdrop local where PUBSUB_EMULATOR_HOST names it, else Google's with the access
token in TOKEN.

An event is acknowledged once it was told. Any failure ends the program; what it did
not acknowledge comes again when it is started again.
"""
import base64
import json
import os
import sys
import urllib.request

LOCAL = os.environ.get('PUBSUB_EMULATOR_HOST')
PUBSUB = 'http://{}/v1/'.format(LOCAL) if LOCAL else 'https://pubsub.googleapis.com/v1/'
AUTHORIZATION = {} if LOCAL else {'Authorization': 'Bearer ' + os.environ['TOKEN']}


def post(url, body, timeout, headers={}):
    request = urllib.request.Request(
        url, json.dumps(body).encode(), dict(headers, **{'Content-Type': 'application/json'}))
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.read()


def line(message):
    event = json.loads(base64.b64decode(message['data']))
    name = message['attributes']['ce-type'][len('dev.jobdrop.'):-len('.v1')]
    folder = message['attributes'].get('ce-subject', '')
    text = '{} {}: {}'.format(name, folder, event.get('reason') or event['state'])
    # What a job says must not call a whole channel: no <!here>.
    return event['attempt'], event['sequence'], text.replace('<', '‹').replace('>', '›')


def main(subscription):
    url = os.environ.get('ALERT_URL')
    told = {}  # the last sequence of each attempt: delivery is at least once
    while True:
        # A pull waits for a while for a first message.
        pulled = json.loads(post(PUBSUB + subscription + ':pull', {'maxMessages': 10}, 300, AUTHORIZATION))
        for received in pulled.get('receivedMessages', []):
            attempt, sequence, text = line(received['message'])
            if sequence > told.get(attempt, 0):
                if url:
                    post(url, {'text': text}, 15)
                print(text, flush=True)
                told[attempt] = sequence
            post(PUBSUB + subscription + ':acknowledge', {'ackIds': [received['ackId']]}, 60, AUTHORIZATION)


if __name__ == '__main__':
    main(*sys.argv[1:])
