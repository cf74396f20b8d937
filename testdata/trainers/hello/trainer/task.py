"""Greets, writes the greeting to the job directory and reads it back."""

import argparse

from trainer import storage


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="world", help="whom to greet")
    parser.add_argument("--job-dir", default="", help="gs:// URI to write hello.txt to")
    # Flags of no concern here are shown, not refused.
    known, rest = parser.parse_known_args()

    greeting = "Hello, %s!" % known.name
    print(greeting, flush=True)
    print("arguments: name=%s job_dir=%s other=%s" % (known.name, known.job_dir, rest), flush=True)
    if not known.job_dir:
        print("no --job-dir: nothing to write to", flush=True)
        return

    uri = storage.join(known.job_dir, "hello.txt")
    storage.write(uri, greeting + "\n")
    print("%s says: %s" % (uri, storage.read(uri).strip()), flush=True)


if __name__ == "__main__":
    main()
