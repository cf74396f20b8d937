"""Writes what a page must not take for its own into its log and its metrics, then waits until it may end.

It ends once the object stop is in its job directory.
"""

import argparse
import itertools
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

MARKUP = "<img src=x onerror=\"window.owned=1\"><script>window.owned=1</script></pre></div>"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job-dir", required=True, help="gs:// URI to write to")
    options, _ = parser.parse_known_args()
    print("x" * (1 << 20), flush=True)
    print(MARKUP, flush=True)
    print("\x1b[31mred\x1b[0m \x1b]8;;http://evil.example/\x07link\x1b]8;;\x07 \x00", flush=True)
    print("\u202egnol drawkcab\u202c \u200b", flush=True)
    print("event: end\rdata: " + MARKUP + "\r", flush=True)
    rows = [{"step": i, "loss": 2.0 / (i + 1), MARKUP: float("nan") if i % 2 else i,
             "\u202eaccuracy": 1 - 1.0 / (i + 1), "huge": 1.7e308 if i % 2 else -1.7e308} for i in range(60)]
    call(options.job_dir, "runs/<b>bold<b>/metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    call(options.job_dir, "<svg onload=\"window.owned=1\">.txt", MARKUP.encode())
    for beat in itertools.count(1):
        print("beat %d" % beat, flush=True)
        if call(options.job_dir, "stop"):
            return
        time.sleep(1)


def call(uri, name, data=None):
    """Write an object below a URI, or return whether there is one."""
    bucket, _, prefix = uri[len("gs://"):].partition("/")
    name = urllib.parse.quote(prefix.rstrip("/") + "/" + name, safe="")
    host = os.environ["STORAGE_EMULATOR_HOST"]
    url = "%s/storage/v1/b/%s/o/%s" % (host, bucket, name)
    if data is not None:
        url = "%s/upload/storage/v1/b/%s/o?uploadType=media&name=%s" % (host, bucket, name)
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(url, data), timeout=30):
            return True
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return False


if __name__ == "__main__":
    main()
