# Installs a job's packages and runs its module, as AI Platform Training did. What
# to run is in the environment, JOBDROP_BOOTSTRAP, as JSON: packages, module, jobDir,
# trials (whether each trial has a job directory of its own), tfConfig. The arguments
# are the program's own.
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile

METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"


def say(text):
    print("jobdrop: " + text, flush=True)


def request(uri):
    bucket, name = uri[len("gs://"):].split("/", 1)
    base, headers = "https://storage.googleapis.com", {}
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if emulator:
        base = emulator if "://" in emulator else "http://" + emulator
    else:
        token = urllib.request.Request(METADATA, headers={"Metadata-Flavor": "Google"})
        with urllib.request.urlopen(token, timeout=30) as answer:
            headers["Authorization"] = "Bearer " + json.loads(answer.read().decode())["access_token"]
    url = "%s/download/storage/v1/b/%s/o/%s?alt=media" % (
        base.rstrip("/"), urllib.parse.quote(bucket, safe=""), urllib.parse.quote(name, safe=""))
    return urllib.request.Request(url, headers=headers)


def fetch(uri, path):
    say("fetching the package " + uri)
    for tries in range(5):
        try:
            with urllib.request.urlopen(request(uri), timeout=60) as answer, open(path, "wb") as out:
                shutil.copyfileobj(answer, out)
            return
        except urllib.error.HTTPError as error:
            if error.code in (400, 401, 403, 404) or tries == 4:
                sys.exit("jobdrop: the package %s can't be fetched: %s" % (uri, error))
        except OSError as error:
            if tries == 4:
                sys.exit("jobdrop: the package %s can't be fetched: %s" % (uri, error))
        time.sleep(2 ** tries)


def pip(*args):
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--retries", "2"] + list(args)
    return subprocess.call(command) == 0


def unpack(path, folder):
    """Puts a package's modules onto the path as they are."""
    if path.endswith(".whl"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        return folder
    with tarfile.open(path) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)
    tops = [os.path.join(folder, name) for name in os.listdir(folder)]
    top = tops[0] if len(tops) == 1 and os.path.isdir(tops[0]) else folder
    source = os.path.join(top, "src")
    return source if os.path.isdir(source) else top


def builds():
    """Tells whether the image can build a source package by itself."""
    try:
        import setuptools
    except ImportError:
        return False
    version = [int(part) for part in setuptools.__version__.split(".")[:2] if part.isdigit()]
    return version >= [70, 1] or importlib.util.find_spec("wheel") is not None


def install(path, folder):
    # First as the image is, without asking an index for tools to build with.
    if (path.endswith(".whl") or builds()) and pip("--no-deps", "--force-reinstall", "--no-index", "--no-build-isolation", path):
        return
    if pip("--no-deps", "--force-reinstall", path):
        return
    say("pip can't install %s: its modules are used as they are, without its setup" % os.path.basename(path))
    where = unpack(path, folder)
    os.environ["PYTHONPATH"] = os.pathsep.join([where] + os.environ.get("PYTHONPATH", "").split(os.pathsep)).rstrip(os.pathsep)


REQUIREMENTS = """
import json, sys
try:
    from importlib.metadata import PackageNotFoundError as Missing, requires, version
except ImportError:  # before Python 3.8
    try:
        import pkg_resources
    except ImportError:
        from pip._vendor import pkg_resources
    Missing = pkg_resources.DistributionNotFound
    def requires(name):
        return [str(r) for r in pkg_resources.get_distribution(name).requires()]
    def version(name):
        return pkg_resources.get_distribution(name).version
try:
    from packaging.requirements import Requirement
except ImportError:
    from pip._vendor.packaging.requirements import Requirement
missing = []
for name in sys.argv[1:]:
    try:
        needs = requires(name) or []
    except Missing:
        continue  # it was not installed, and said so
    for text in needs:
        r = Requirement(text)
        if r.marker is not None and not r.marker.evaluate({"extra": ""}):
            continue
        try:
            if r.specifier.contains(version(r.name), prereleases=True):
                continue
        except Missing:
            pass
        missing.append(text)
print(json.dumps(missing))
"""


def requirements(paths):
    """Installs what the packages declare and the image lacks."""
    names = [os.path.basename(p).rsplit("-", 1)[0] if not p.endswith(".whl") else os.path.basename(p).split("-")[0] for p in paths]
    tell = subprocess.Popen([sys.executable, "-c", REQUIREMENTS] + names, stdout=subprocess.PIPE)
    out = tell.communicate()[0].decode()
    if tell.returncode != 0:
        # What they declare can't be read here: pip itself finds out.
        if not pip(*paths):
            sys.exit("jobdrop: the packages' requirements can't be installed")
        return
    missing = json.loads(out)
    if missing and not pip("--", *missing):
        sys.exit("jobdrop: the packages' requirements can't be installed: " + ", ".join(missing))


def job_dir(settings):
    base = settings.get("jobDir")
    trial = os.environ.get("CLOUD_ML_TRIAL_ID")
    if not base or not settings.get("trials"):
        return base
    model = os.environ.get("AIP_MODEL_DIR", "").rstrip("/")
    if model.endswith("/model"):
        return model[:-len("/model")]
    return base.rstrip("/") + "/" + trial if trial else base


def tf_config(settings):
    if not settings.get("tfConfig") or "TF_CONFIG" in os.environ:
        return
    config = json.loads(settings["tfConfig"])
    trial = os.environ.get("CLOUD_ML_TRIAL_ID")
    if settings.get("trials") and trial:
        config["task"]["trial"] = trial
    os.environ["TF_CONFIG"] = json.dumps(config)


def main():
    settings = json.loads(os.environ.pop("JOBDROP_BOOTSTRAP"))
    work = tempfile.mkdtemp(prefix="jobdrop-")
    paths = []
    for number, uri in enumerate(settings["packages"] or []):
        folder = os.path.join(work, str(number))
        os.makedirs(os.path.join(folder, "unpacked"))
        path = os.path.join(folder, uri.rsplit("/", 1)[1])
        fetch(uri, path)
        install(path, os.path.join(folder, "unpacked"))
        paths.append(path)
    requirements(paths)
    tf_config(settings)
    args = [sys.executable, "-m", settings["module"]] + sys.argv[1:]
    where = job_dir(settings)
    if where:
        args += ["--job-dir", where]
    importlib.invalidate_caches()
    say("running " + " ".join(["python3"] + args[1:]))
    sys.stdout.flush()
    os.execve(sys.executable, args, os.environ)


main()
