# The command of setuptools that writes wheels, as far as tests need it: the library
# that has it, wheel, is not part of Python, and setuptools has one of its own only since
# 70.1.
import base64
import hashlib
import os
import re
import shutil
import zipfile

from setuptools import Command


class bdist_wheel(Command):
    user_options = [("dist-dir=", "d", "where to write the wheel")]

    def initialize_options(self):
        self.dist_dir = None

    def finalize_options(self):
        self.dist_dir = self.dist_dir or "dist"

    def egg2dist(self, source, target):
        os.makedirs(target, exist_ok=True)
        with open(os.path.join(source, "PKG-INFO")) as info:
            head, _, body = info.read().partition("\n\n")
        requires = os.path.join(source, "requires.txt")
        if os.path.exists(requires) and "\nRequires-Dist:" not in head:
            with open(requires) as lines:
                marker = ""
                for line in map(str.strip, lines):
                    if line.startswith("["):
                        marker = line.strip("[]").partition(":")[2] or "extra"
                    elif line and marker != "extra":
                        head += "\nRequires-Dist: " + line + ("; " + marker if marker else "")
        with open(os.path.join(target, "METADATA"), "w") as metadata:
            metadata.write(head.rstrip("\n") + "\n\n" + body)
        with open(os.path.join(target, "WHEEL"), "w") as wheel:
            wheel.write("Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        for name in ("entry_points.txt", "top_level.txt"):
            if os.path.exists(os.path.join(source, name)):
                shutil.copy(os.path.join(source, name), target)
        shutil.rmtree(source)

    def run(self):
        build = self.reinitialize_command("build", reinit_subcommands=True)
        build.build_lib = build.build_purelib = "build/jobdrop-wheel"
        self.run_command("build")
        self.run_command("egg_info")
        lib = "build/jobdrop-wheel"
        os.makedirs(lib, exist_ok=True)
        name = re.sub("[^A-Za-z0-9.]+", "_", self.distribution.get_name())
        version = re.sub("[^A-Za-z0-9.]+", "_", self.distribution.get_version())
        info = "%s-%s.dist-info" % (name, version)
        self.egg2dist(self.get_finalized_command("egg_info").egg_info, os.path.join(lib, info))
        os.makedirs(self.dist_dir, exist_ok=True)
        record = ""
        path = os.path.join(self.dist_dir, "%s-%s-py3-none-any.whl" % (name, version))
        with zipfile.ZipFile(path, "w") as archive:
            for folder, _, files in os.walk(lib):
                for file in files:
                    with open(os.path.join(folder, file), "rb") as content:
                        data = content.read()
                    at = os.path.relpath(os.path.join(folder, file), lib)
                    sum = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
                    record += "%s,sha256=%s,%d\n" % (at, sum, len(data))
                    archive.writestr(at, data)
            archive.writestr(info + "/RECORD", record + info + "/RECORD,,\n")
