"""Uses a bucket with Google's API client: client.py URL BUCKET."""

import io
import sys

from googleapiclient import discovery, http

url, bucket = sys.argv[1:]


def method(verb, path, required, **more):
    parameters = {name: {"type": "string", "location": "path", "required": True} for name in required}
    parameters["name"] = {"type": "string", "location": "query"}
    return {"id": "storage", "path": path, "httpMethod": verb, "parameters": parameters, "parameterOrder": required, **more}


# The part of Cloud Storage's discovery document that is used here.
document = {
    "kind": "discovery#restDescription", "name": "storage", "version": "v1",
    "rootUrl": url + "/", "servicePath": "storage/v1/", "batchPath": "batch/storage/v1", "schemas": {},
    "resources": {"objects": {"methods": {
        "get": method("GET", "b/{bucket}/o/{object}", ["bucket", "object"], supportsMediaDownload=True),
        "delete": method("DELETE", "b/{bucket}/o/{object}", ["bucket", "object"]),
        "insert": method("POST", "b/{bucket}/o", ["bucket"], supportsMediaUpload=True, request={"$ref": "Object"}, response={"$ref": "Object"}, mediaUpload={
            "accept": ["*/*"],
            "protocols": {p: {"multipart": True, "path": "/" + q + "upload/storage/v1/b/{bucket}/o"} for p, q in (("simple", ""), ("resumable", "resumable/"))},
        }),
    }}},
}
document["schemas"]["Object"] = {"id": "Object", "type": "object", "properties": {"name": {"type": "string"}}}
objects = discovery.build_from_document(document, http=http.build_http()).objects()

content = b"0123456" * 100_000
media = http.MediaIoBaseUpload(io.BytesIO(content), "application/octet-stream", chunksize=256 * 1024, resumable=True)
upload, done = objects.insert(bucket=bucket, name="python", body={}, media_body=media), None
while done is None:
    _, done = upload.next_chunk()
assert done["size"] == str(len(content)), done

got = io.BytesIO()
download, finished = http.MediaIoBaseDownload(got, objects.get_media(bucket=bucket, object="python"), chunksize=300_000), False
while not finished:
    _, finished = download.next_chunk()
assert got.getvalue() == content

simple = http.MediaIoBaseUpload(io.BytesIO(b"x"), "text/plain")
objects.insert(bucket=bucket, body={"name": "a/b"}, media_body=simple).execute()
answers = []
batch = http.BatchHttpRequest(callback=lambda _, answer, error: answers.append(error.resp.status if error else answer), batch_uri=url + "/batch/storage/v1")
batch.add(objects.delete(bucket=bucket, object="a/b"))
batch.add(objects.delete(bucket=bucket, object="none"))
batch.execute(http=http.build_http())
assert answers[1] == 404 and not answers[0], answers
