# Installs a job's packages and runs its module, as AI Platform Training did. What
# to run is in the environment, JOBDROP_BOOTSTRAP, as JSON: packages, module, jobDir,
# trials (whether each trial has a job directory of its own), tfConfig. The arguments
# are the program's own.
import importlib
import importlib.machinery
import importlib.util
import json
import os
import shutil
import site
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


def split(uri):
    """Returns an object's bucket and name as they stand in a URL."""
    return [urllib.parse.quote(part, safe="") for part in uri[len("gs://"):].split("/", 1)]


def request(path, data=None):
    base, headers = "https://storage.googleapis.com", {}
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if emulator:
        base = emulator if "://" in emulator else "http://" + emulator
    else:
        token = urllib.request.Request(METADATA, headers={"Metadata-Flavor": "Google"})
        with urllib.request.urlopen(token, timeout=30) as answer:
            headers["Authorization"] = "Bearer " + json.loads(answer.read().decode())["access_token"]
    if data is not None:
        headers["Content-Type"] = "text/plain"
    return urllib.request.Request(base.rstrip("/") + path, data=data, headers=headers)


def fetch(uri, path):
    say("fetching the package " + uri)
    for tries in range(5):
        try:
            source = request("/download/storage/v1/b/%s/o/%s?alt=media" % tuple(split(uri)))
            with urllib.request.urlopen(source, timeout=60) as answer, open(path, "wb") as out:
                shutil.copyfileobj(answer, out)
            return
        except urllib.error.HTTPError as error:
            if error.code in (403, 404):  # without the right to list, what is gone is forbidden, too
                sys.exit("jobdrop: the package %s is gone, or the job's account may not read it: %s" % (uri, error))
            if error.code in (400, 401) or tries == 4:
                sys.exit("jobdrop: the package %s can't be fetched: %s" % (uri, error))
        except OSError as error:
            if tries == 4:
                sys.exit("jobdrop: the package %s can't be fetched: %s" % (uri, error))
        time.sleep(2 ** tries)


def pip(*args):
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    return subprocess.call(command + ["--retries", "2"] + list(args)) == 0


def unpack(path, folder):
    """Unpacks a package and returns the folder of its project."""
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
    return tops[0] if len(tops) == 1 and os.path.isdir(tops[0]) else folder


def builds():
    """Tells whether the image can build a source package by itself."""
    try:
        import setuptools
    except ImportError:
        return False
    version = [int(part) for part in setuptools.__version__.split(".")[:2] if part.isdigit()]
    return version >= [70, 1] or importlib.util.find_spec("wheel") is not None


def metadata(folders, since=0):
    """Lists the metadata folders of the distributions in folders that are no older than a time."""
    found = []
    for folder in filter(os.path.isdir, folders):
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if name.endswith((".dist-info", ".egg-info")) and os.path.getmtime(path) >= since:
                found.append(path)
    return found


def install(path, folder):
    """Installs a package and returns the folders of its metadata."""
    name, wheel = os.path.basename(path), path.endswith(".whl")
    began = time.time() - 2  # file systems' clocks are coarse
    own = ["--no-deps", "--force-reinstall"]
    if os.environ.get("JOBDROP_STANDS_IN"):  # for an image with the Python that the package was held against
        own.append("--ignore-requires-python")
    # Not by importlib.util: setuptools takes a search for pip for pip itself.
    if importlib.machinery.PathFinder.find_spec("pip") is not None:
        # First as the image is, without asking an index for tools to build with.
        done = (wheel or builds()) and pip(*own + ["--no-index", "--no-build-isolation", path])
        if done or not wheel and pip(*own + [path]):
            return metadata(sys.path + [site.getusersitepackages()], began)
        if wheel or builds():
            sys.exit("jobdrop: pip can't install the package " + name)
    top = unpack(path, folder)
    if not wheel and importlib.util.find_spec("setuptools") is not None:
        # setuptools installs without making a wheel, too, as long as it has this command.
        command = [sys.executable, "-c", SETUP, "-q", "install", "--single-version-externally-managed"]
        if subprocess.call(command + ["--record", "record.txt"], cwd=top) != 0:
            sys.exit("jobdrop: setup.py can't install the package " + name)
        return metadata(sys.path, began)
    say("this image can't build packages: the setup of %s is skipped, and its modules are used as they are" % name)
    where = os.path.join(top, "src") if os.path.isdir(os.path.join(top, "src")) else top
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([where] + others).rstrip(os.pathsep)
    found = metadata([where, top])
    if not found:
        found = [folder for folder in (where, top) if os.path.exists(os.path.join(folder, "PKG-INFO"))]
    if not found:
        say("what %s requires is not known, and is not installed" % name)
    return found


SETUP = """
import os, sys, setuptools
sys.argv[0] = __file__ = "setup.py"
sys.path.insert(0, os.getcwd())
if os.path.exists(__file__):
    with open(__file__, "rb") as text:
        exec(compile(text.read(), __file__, "exec"))
else:
    setuptools.setup()
"""


REQUIREMENTS = """
import json, os, sys
try:
    from importlib.metadata import PackageNotFoundError as Missing, version
except ImportError:  # before Python 3.8
    try:
        import pkg_resources
    except ImportError:
        from pip._vendor import pkg_resources
    Missing = pkg_resources.DistributionNotFound
    def version(name):
        return pkg_resources.get_distribution(name).version
try:
    from packaging.requirements import Requirement
except ImportError:
    from pip._vendor.packaging.requirements import Requirement
def lines(*path):
    try:
        with open(os.path.join(*path), "rb") as text:
            return text.read().decode("utf-8", "replace").splitlines()
    except (IOError, OSError):
        return []
def requires(folder):
    for line in lines(folder, "METADATA") or lines(folder, "PKG-INFO"):
        if not line:
            break
        if line.startswith("Requires-Dist:"):
            yield line.partition(":")[2].strip()
    extra, marker = "", ""
    for line in lines(folder, "requires.txt"):
        if line.startswith("["):
            extra, _, marker = line.strip("[]").partition(":")
        elif line and not extra:
            yield line + ("; " + marker if marker else "")
missing = []
for text in sorted(set(text for folder in sys.argv[1:] for text in requires(folder))):
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


def requirements(paths, folders):
    """Installs what the packages' metadata declare and the image lacks."""
    tell = subprocess.Popen([sys.executable, "-c", REQUIREMENTS] + folders, stdout=subprocess.PIPE)
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


def create(uri):
    """Creates an empty object and reports whether it was not there. A service that is busy is asked three times."""
    place = "/upload/storage/v1/b/%s/o?uploadType=media&name=%s&ifGenerationMatch=0" % tuple(split(uri))
    for tries in range(3):
        try:
            urllib.request.urlopen(request(place, b""), timeout=30).close()
            return True
        except urllib.error.HTTPError as error:
            if error.code == 412:
                return False
            if tries == 2 or error.code != 429 and error.code < 500:
                raise
        time.sleep(2 ** tries)


def restarts(where):
    """Returns how often this replica was started before within its job. Each start leaves an empty object."""
    task = json.loads(os.environ["CLUSTER_SPEC"])["task"]
    folder = "%s/jobdrop/starts/%s/%s-%s/" % (
        where.rstrip("/"), os.environ["CLOUD_ML_JOB_ID"], task["type"], task["index"])
    for number in range(1000):
        if create(folder + str(number)):
            return number
    raise ValueError("too many starts")


def count_restarts(where):
    os.environ.pop("JOBDROP_RESTART_COUNT", None)
    if not where:
        return
    try:
        os.environ["JOBDROP_RESTART_COUNT"] = str(restarts(where))
    except (OSError, KeyError, TypeError, ValueError) as error:
        say("how often this replica was started is not known: %r" % error)


def main():
    settings = json.loads(os.environ.pop("JOBDROP_BOOTSTRAP"))
    work = tempfile.mkdtemp(prefix="jobdrop-")
    paths, folders = [], []
    for number, uri in enumerate(settings["packages"] or []):
        folder = os.path.join(work, str(number))
        os.makedirs(os.path.join(folder, "unpacked"))
        path = os.path.join(folder, uri.rsplit("/", 1)[1])
        fetch(uri, path)
        folders += install(path, os.path.join(folder, "unpacked"))
        paths.append(path)
    requirements(paths, folders)
    tf_config(settings)
    args = [sys.executable, "-m", settings["module"]] + sys.argv[1:]
    where = job_dir(settings)
    count_restarts(where)
    if where:
        args += ["--job-dir", where]
    importlib.invalidate_caches()
    os.environ.pop("JOBDROP_STANDS_IN", None)
    say("running " + " ".join(["python3"] + args[1:]))
    sys.stdout.flush()
    os.execve(sys.executable, args, os.environ)


main()
