# pip takes longer to start than to install. This program imports it once, and has a child of its own for each
# installation: two at once. It reads a list of {"to", "packages"}, and writes a list of {"code", "said"}.
import json
import os
import sys
import tempfile

import pip._internal.cli.main
import pip._internal.commands.install

OPTIONS = [
    "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--no-compile", "--no-index",
    "--no-deps", "--no-build-isolation", "--target",
]


def install(job, said):
    folder = os.path.dirname(job["packages"][0])
    os.chdir(folder)
    os.environ["HOME"] = folder
    os.dup2(said.fileno(), 1)
    os.dup2(said.fileno(), 2)
    code = 1
    try:
        code = pip._internal.cli.main.main(OPTIONS + [job["to"]] + job["packages"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


jobs = json.load(sys.stdin)
answers, running, following = [None] * len(jobs), {}, 0
while following < len(jobs) or running:
    if following < len(jobs) and len(running) < 2:
        said = tempfile.TemporaryFile()
        child = os.fork()
        if child == 0:
            install(jobs[following], said)
        running[child] = following, said
        following += 1
        continue
    child, status = os.wait()
    i, said = running.pop(child)
    said.seek(0)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
    answers[i] = {"code": code, "said": said.read().decode(errors="replace")}
json.dump(answers, sys.stdout)
