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


def main(folder, output):
    name = os.path.basename(os.path.normpath(folder))
    subscriptions = service('pubsub', 'v1', 'http://' + os.environ['PUBSUB_EMULATOR_HOST']).projects().subscriptions()
    objects = service('storage', 'v1', os.environ['STORAGE_EMULATOR_HOST']).objects()

    path = 'projects/{}/subscriptions/python-client'.format(PROJECT)
    subscriptions.create(name=path, body={
        'topic': 'projects/{}/topics/jobdrop-lifecycle'.format(PROJECT),
        'enableMessageOrdering': True,
        'filter': 'attributes."ce-subject" = "{}"'.format(name),
    }).execute()

    for file in sorted(os.listdir(folder)):
        media = http.MediaFileUpload(os.path.join(folder, file), mimetype='application/octet-stream')
        objects.insert(bucket='jobdrop-inbox', name=name + '/' + file, media_body=media).execute()

    state = None
    while state not in TERMINAL:
        answer = subscriptions.pull(subscription=path, body={'maxMessages': 10}).execute()
        for received in answer.get('receivedMessages', []):
            message = received['message']
            state = json.loads(base64.b64decode(message['data']))['state']
            print(message['attributes']['ce-type'], state)
            subscriptions.acknowledge(subscription=path, body={'ackIds': [received['ackId']]}).execute()
    subscriptions.delete(subscription=path).execute()

    content = io.BytesIO()
    download = http.MediaIoBaseDownload(content, objects.get_media(bucket='jobdrop-output', object=output))
    done = False
    while not done:
        _, done = download.next_chunk()
    sys.stdout.write(content.getvalue().decode())


if __name__ == '__main__':
    main(*sys.argv[1:])
