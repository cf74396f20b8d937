"""Drops a folder into jobdrop's inbox, follows its events, prints its output.

Usage: client.py FOLDER OUTPUT, for example testdata/drops/hello hello/hello.txt

It needs the Google API client (google-api-python-client; Debian's package
python3-googleapi). The environment that jobdrop local prints says where the
services are.
"""
import base64
import io
import json
import os
import sys

from googleapiclient import discovery, http

PROJECT = 'local'
TERMINAL = {'rejected', 'withdrawn', 'expired',
            'succeeded', 'failed', 'cancelled', 'timed_out', 'lost'}


def service(name, version, endpoint):
    return discovery.build(name, version, http=http.build_http(), cache_discovery=False,
                           discoveryServiceUrl=endpoint + '/$discovery/rest?version=' + version)


def upload(objects, folder, name):
    """Uploads a folder and returns the generation of its job file."""
    generation = None
    for file in sorted(os.listdir(folder)):
        media = http.MediaFileUpload(os.path.join(folder, file), mimetype='application/octet-stream')
        made = objects.insert(bucket='jobdrop-inbox', name=name + '/' + file, media_body=media).execute()
        if os.path.splitext(file)[0] == 'job':
            generation = made['generation']
    return generation


def follow(subscriptions, path, generation):
    """Prints the events of the attempt that a generation of the job file makes, and returns the last.

    The folder may have had other attempts. Delivery is at least once: what was seen is skipped.
    """
    body = {'sequence': 0, 'state': None}
    while body['state'] not in TERMINAL:
        answer = subscriptions.pull(subscription=path, body={'maxMessages': 10}).execute()
        for received in answer.get('receivedMessages', []):
            message = received['message']
            subscriptions.acknowledge(subscription=path, body={'ackIds': [received['ackId']]}).execute()
            news = json.loads(base64.b64decode(message['data']))
            if news['drop']['jobFile']['generation'] == generation and news['sequence'] > body['sequence']:
                body = news
                print(message['attributes']['ce-type'], body['state'], body.get('reason', ''))
    return body


def main(folder, output):
    name = os.path.basename(os.path.normpath(folder))
    subscriptions = service('pubsub', 'v1', 'http://' + os.environ['PUBSUB_EMULATOR_HOST']).projects().subscriptions()
    objects = service('storage', 'v1', os.environ['STORAGE_EMULATOR_HOST']).objects()

    path = 'projects/{}/subscriptions/python-client-{}'.format(PROJECT, os.getpid())
    subscriptions.create(name=path, body={
        'topic': 'projects/{}/topics/jobdrop-lifecycle'.format(PROJECT),
        'enableMessageOrdering': True,
        'filter': 'attributes."ce-subject" = "{}"'.format(name),
    }).execute()

    try:
        generation = upload(objects, folder, name)
        verdict = follow(subscriptions, path, generation)
    finally:
        subscriptions.delete(subscription=path).execute()
    if verdict['state'] != 'succeeded':
        sys.exit('{}: {}'.format(verdict['state'], verdict.get('reason')))

    content = io.BytesIO()
    download = http.MediaIoBaseDownload(content, objects.get_media(bucket='jobdrop-output', object=output))
    done = False
    while not done:
        _, done = download.next_chunk()
    sys.stdout.write(content.getvalue().decode())


if __name__ == '__main__':
    main(*sys.argv[1:])
