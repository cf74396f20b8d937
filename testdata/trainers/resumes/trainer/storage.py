"""Objects in Cloud Storage, through its JSON API and nothing but Python.

Names are URIs, gs://bucket/object. With STORAGE_EMULATOR_HOST set, requests go
there, without a token; else to Cloud Storage, with the token of the machine's
service account.
"""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

TRIES = 5
TIMEOUT = 30  # seconds for one request; the objects here are small

# An emulator and the metadata server are near: a proxy can't reach them.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def write(uri, text):
    """Store text as an object, over whatever stood there."""
    bucket, name = _split(uri)
    query = urllib.parse.urlencode({"uploadType": "media", "name": name})
    _call("/upload/storage/v1/b/%s/o?%s" % (_quote(bucket), query), text.encode("utf-8"))


def read(uri):
    """Return an object's text."""
    bucket, name = _split(uri)
    return _call("/storage/v1/b/%s/o/%s?alt=media" % (_quote(bucket), _quote(name)))


def find(prefix):
    """Return the URIs that begin with prefix, in order."""
    bucket, start = _split(prefix)
    found, token = [], ""
    while True:
        query = urllib.parse.urlencode({"prefix": start, "pageToken": token})
        page = json.loads(_call("/storage/v1/b/%s/o?%s" % (_quote(bucket), query)))
        found += ["gs://%s/%s" % (bucket, item["name"]) for item in page.get("items", [])]
        token = page.get("nextPageToken", "")
        if not token:
            return sorted(found)


def join(directory, name):
    """Return the URI of a name below a directory."""
    return directory.rstrip("/") + "/" + name


def _split(uri):
    if not uri.startswith("gs://"):
        raise ValueError("%r is not a gs:// URI" % uri)
    bucket, _, name = uri[len("gs://"):].partition("/")
    return bucket, name


def _quote(part):
    return urllib.parse.quote(part, safe="")


def _call(path, body=None):
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
    if emulator:
        base = emulator if "://" in emulator else "http://" + emulator
        headers, send = {}, _direct.open
    else:
        base = "https://storage.googleapis.com"
        headers, send = {"Authorization": "Bearer " + _token()}, urllib.request.urlopen
    if body is not None:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    request = urllib.request.Request(base.rstrip("/") + path, data=body, headers=headers)
    for attempt in range(1, TRIES + 1):
        try:
            with send(request, timeout=TIMEOUT) as response:
                return response.read().decode("utf-8")
        except urllib.error.HTTPError as error:
            if attempt == TRIES or (error.code != 429 and error.code < 500):
                raise OSError("%s: %s" % (request.full_url, error)) from error
        except urllib.error.URLError as error:  # not reached at all
            if attempt == TRIES:
                raise OSError("%s: %s" % (request.full_url, error)) from error
        time.sleep(0.2 * 2 ** attempt)


def _token():
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    request = urllib.request.Request(
        "http://%s/computeMetadata/v1/instance/service-accounts/default/token" % host,
        headers={"Metadata-Flavor": "Google"},
    )
    with _direct.open(request, timeout=TIMEOUT) as response:
        return json.load(response)["access_token"]
