package pypkg

import "github.com/jobdrop/jobdrop/pkg/job"

// The rules that this package finds broken. A constant's comment is its page: "jobdrop explain"
// prints it, and docs/rules.md is made of it. A line that begins with - breaks the rule, one that
// begins with + mends it.
const (
	// rulePackageAbsolutePath: an entry has an absolute path. Unpacking must not write outside of the
	// package.
	//
	// Source: Python's tarfile, "Extraction filters".
	//
	//	 # trainer-0.1.tar.gz
	//	-/etc/trainer.cfg
	//	+trainer-0.1/trainer/cfg.py
	rulePackageAbsolutePath job.Rule = "package-absolute-path"

	// rulePackageBackslash: an entry has a backslash in its name: on Linux that is a letter, and no
	// folder. The rule only warns.
	//
	// Source: PKWARE's APPNOTE, 4.4.17.1; POSIX, pax.
	//
	//	 # trainer-0.1.tar.gz
	//	-trainer-0.1/trainer\extra.py
	//	+trainer-0.1/trainer/extra.py
	rulePackageBackslash job.Rule = "package-backslash"

	// rulePackageChecksum: a checksum of the archive is wrong: its bytes were changed after it was
	// packed.
	//
	// Source: RFC 1952 (gzip); PKWARE's APPNOTE (zip).
	//
	// For example: a .tar.gz whose last bytes were overwritten; upload the file again, or build it
	// again.
	rulePackageChecksum job.Rule = "package-checksum"

	// rulePackageCompression: an entry of a wheel is packed in a way that Python's zipfile can't
	// unpack, or rarely meets. Of the latter the rule only warns.
	//
	// Source: Python's zipfile; PKWARE's APPNOTE, 4.4.5.
	//
	// For example: a wheel packed with Deflate64; build it with python -m build.
	rulePackageCompression job.Rule = "package-compression"

	// rulePackageDamaged: the compressed data of a package is damaged.
	//
	// Source: RFC 1951 (deflate).
	//
	// For example: a .tar.gz that was uploaded as text; upload it again, as binary.
	rulePackageDamaged job.Rule = "package-damaged"

	// rulePackageData: a file lies in a package, and setup installs no other files than modules. The
	// rule only warns.
	//
	// Source: setuptools, "Data Files Support".
	//
	//	 # trainer-0.1.tar.gz
	//	 trainer-0.1/trainer/words.txt
	//	 # setup.py
	//	 from setuptools import setup, find_packages
	//	-setup(name='trainer', version='0.1', packages=find_packages())
	//	+setup(
	//	+    name='trainer',
	//	+    version='0.1',
	//	+    packages=find_packages(),
	//	+    package_data={'trainer': ['*.txt']},
	//	+)
	rulePackageData job.Rule = "package-data"

	// rulePackageEmpty: a package is an empty file, or an archive without entries.
	//
	// Source: pip, which can't install it.
	//
	// For example: a file of 0 bytes; build the package again and upload the result.
	rulePackageEmpty job.Rule = "package-empty"

	// rulePackageEncrypted: an entry of a wheel is encrypted.
	//
	// Source: pip, which has no password.
	//
	// For example: a wheel packed by zip -e; build it without a password.
	rulePackageEncrypted job.Rule = "package-encrypted"

	// rulePackageEntries: a package has too many entries.
	//
	// Source: jobdrop's own limit: 50,000; the largest frameworks have some 15,000.
	//
	// For example: a package with a virtual environment in it; leave it out.
	rulePackageEntries job.Rule = "package-entries"

	// rulePackageEntryName: an entry's name is too long, empty, or holds a zero byte; or all names
	// together are too long.
	//
	// Source: jobdrop's own limit; POSIX, pathname.
	//
	// For example: an entry whose name has 2,000 bytes; shorten the names of folders and files.
	rulePackageEntryName job.Rule = "package-entry-name"

	// rulePackageEntryPlace: an entry lies below what is not a folder when it is unpacked, or takes
	// the place of a folder.
	//
	// Source: Python's tarfile, which goes by the entries before.
	//
	//	 # trainer-0.1.tar.gz
	//	 trainer-0.1/notes
	//	-trainer-0.1/notes/a.txt
	//	+trainer-0.1/more/a.txt
	rulePackageEntryPlace job.Rule = "package-entry-place"

	// rulePackageEntryType: a package holds files, folders and links only: no devices, no pipes.
	//
	// Source: Python's tarfile, "Extraction filters".
	//
	// For example: a .tar.gz with a named pipe; leave it out.
	rulePackageEntryType job.Rule = "package-entry-type"

	// rulePackageFolder: setup names a package that has no folder in the archive, so that pip can't
	// install it.
	//
	// Source: setuptools, which fails with "package directory does not exist".
	//
	//	 # trainer-0.1.tar.gz
	//	 # setup.py
	//	 from setuptools import setup
	//	-setup(name='trainer', version='0.1', packages=['trainer', 'extra'])
	//	+setup(name='trainer', version='0.1', packages=['trainer'])
	rulePackageFolder job.Rule = "package-folder"

	// rulePackageFormat: a package is not of the format that its name says: a gzip'd tar archive, or a
	// wheel, which is a zip archive.
	//
	// Source: RFC 1952 (gzip); PEP 427 (wheels).
	//
	// For example: a zip archive with the name trainer-0.1.tar.gz; build the package with python -m
	// build, or setup.py sdist.
	rulePackageFormat job.Rule = "package-format"

	// rulePackageHardLink: a hard link leads to no entry before it, and Python's tarfile can't unpack
	// it.
	//
	// Source: Python's tarfile; POSIX, pax.
	//
	//	 # trainer-0.1.tar.gz
	//	-trainer-0.1/trainer/copy.py => trainer-0.1/trainer/gone.py
	//	+trainer-0.1/trainer/copy.py => trainer-0.1/trainer/task.py
	rulePackageHardLink job.Rule = "package-hard-link"

	// rulePackageHeaders: the headers of the archive's entries are too long in all. Reading them takes
	// ten times as long as reading what they describe.
	//
	// Source: jobdrop's own limit.
	//
	// For example: a .tar.gz with long PAX headers before each entry; build it with python -m build.
	rulePackageHeaders job.Rule = "package-headers"

	// rulePackageImport: a module imports a name that lies beside it, which Python 3 does not look for
	// there. The rule only warns.
	//
	// Source: PEP 328, "Absolute imports".
	//
	//	 # trainer-0.1.tar.gz
	//	 trainer-0.1/trainer/model.py
	//	-trainer-0.1/trainer/task.py: import model
	//	+trainer-0.1/trainer/task.py: from trainer import model
	rulePackageImport job.Rule = "package-import"

	// rulePackageLink: a link leads out of the package.
	//
	// Source: Python's tarfile, "Extraction filters".
	//
	//	 # trainer-0.1.tar.gz
	//	-trainer-0.1/trainer/words.py -> /etc/passwd
	//	+trainer-0.1/trainer/words.py -> task.py
	rulePackageLink job.Rule = "package-link"

	// rulePackageMacos: the package has files of macOS's own, which are not part of the trainer. The
	// rule only warns.
	//
	// Source: macOS, copyfile: AppleDouble files begin with ._.
	//
	//	 # trainer-0.1.tar.gz
	//	-trainer-0.1/trainer/._task.py
	//	+trainer-0.1/trainer/more.py
	rulePackageMacos job.Rule = "package-macos"

	// rulePackageMembers: a package consists of too many gzip members.
	//
	// Source: jobdrop's own limit.
	//
	// For example: a .tar.gz put together of 200,000 files, each packed by itself; compress the
	// archive as a whole.
	rulePackageMembers job.Rule = "package-members"

	// rulePackageModule: setup names a single module that is not in the archive, and is not installed.
	// The rule only warns.
	//
	// Source: setuptools, py_modules.
	//
	//	 # trainer-0.1.tar.gz
	//	 # setup.py
	//	 from setuptools import setup, find_packages
	//	+setup(name='trainer', version='0.1', packages=find_packages())
	//	-setup(
	//	-    name='trainer',
	//	-    version='0.1',
	//	-    packages=find_packages(),
	//	-    py_modules=['extra'],
	//	-)
	rulePackageModule job.Rule = "package-module"

	// rulePackageNoInit: a folder has modules but no __init__.py, so that setuptools' find_packages
	// leaves it out. The rule only warns.
	//
	// Source: setuptools, "Package Discovery".
	//
	//	 # trainer-0.1.tar.gz
	//	 trainer-0.1/extra/a.py
	//	+trainer-0.1/extra/__init__.py
	rulePackageNoInit job.Rule = "package-no-init"

	// rulePackageNoModule: a package contains no Python module. It may be there for what it requires,
	// so the rule only warns.
	//
	// Source: Python, -m.
	//
	// For example: a .tar.gz with a setup.py alone; check that setup names its packages, and build it
	// again.
	rulePackageNoModule job.Rule = "package-no-module"

	// rulePackageNotInstallable: pip can't install the package: it has no setup.py and no
	// pyproject.toml, or, in a wheel, no metadata that fits its name.
	//
	// Source: PEP 517; PEP 427.
	//
	// For example: a .tar.gz of the trainer's folder alone; build it from the folder that holds
	// setup.py.
	rulePackageNotInstallable job.Rule = "package-not-installable"

	// rulePackageOverlap: two entries of a wheel share the same bytes, as those of a decompression
	// bomb do.
	//
	// Source: Python's zipfile, which refuses overlapped entries.
	//
	// For example: a zip bomb; build the wheel with python -m build.
	rulePackageOverlap job.Rule = "package-overlap"

	// rulePackagePlatform: a wheel is for another system than the service's, where pip refuses it.
	//
	// Source: PEP 425.
	//
	// For example: the wheel trainer-0.1-cp37-cp37m-win_amd64.whl; build it on Linux on x86-64, or
	// upload a source distribution.
	rulePackagePlatform job.Rule = "package-platform"

	// rulePackageRatio: a package unpacks to far more than its size, as a decompression bomb does.
	//
	// Source: jobdrop's own limit: 200 bytes to each packed one, beyond the first mebibyte.
	//
	// For example: a package with a file of 1 GiB of zeros; leave it out.
	rulePackageRatio job.Rule = "package-ratio"

	// rulePackageRecord: RECORD of a wheel and its files differ: they were changed after it was built.
	// pip installs it nevertheless, so the rule only warns.
	//
	// Source: PEP 427, PEP 376: installers are to refuse such a wheel.
	//
	// For example: a wheel to which a file was added by zip; build it again.
	rulePackageRecord job.Rule = "package-record"

	// rulePackageRoot: the archive has no single root folder, as a source distribution has. pip
	// installs it nevertheless, so the rule only warns.
	//
	// Source: PEP 625; setuptools, sdist.
	//
	// For example: a .tar.gz with setup.py at its top; build it with python -m build, or setup.py
	// sdist.
	rulePackageRoot job.Rule = "package-root"

	// rulePackageSetupFile: setup.py opens a file that is not in the archive, so that it fails. The
	// rule only warns.
	//
	// Source: setuptools, "Controlling files in the distribution".
	//
	//	 # trainer-0.1.tar.gz
	//	+trainer-0.1/README.md
	//	 # setup.py
	//	 from setuptools import setup, find_packages
	//	 setup(
	//	     name='trainer',
	//	     version='0.1',
	//	     packages=find_packages(),
	//	     long_description=open('README.md').read(),
	//	 )
	rulePackageSetupFile job.Rule = "package-setup-file"

	// rulePackageSize: a package is too large.
	//
	// Source: jobdrop's own limit: docs/limits.md.
	//
	// For example: a package with a data set in it; let the trainer read it from Cloud Storage.
	rulePackageSize job.Rule = "package-size"

	// rulePackageSubPackage: a folder lies in a package and has modules, but is not installed: the
	// project's packages do not name it. The rule only warns.
	//
	// Source: setuptools, "Package Discovery".
	//
	//	 # trainer-0.1.tar.gz
	//	 trainer-0.1/trainer/layers/__init__.py
	//	 trainer-0.1/trainer/layers/dense.py
	//	 # setup.py
	//	 from setuptools import setup, find_packages
	//	-setup(name='trainer', version='0.1', packages=['trainer'])
	//	+setup(
	//	+    name='trainer',
	//	+    version='0.1',
	//	+    packages=['trainer', 'trainer.layers'],
	//	+)
	rulePackageSubPackage job.Rule = "package-sub-package"

	// rulePackageTrailing: data follows the end of the archive; pip does not see it. The rule only
	// warns.
	//
	// Source: Python's tarfile, which stops at two blocks of zeros.
	//
	// For example: two archives put together by cat; build the package again.
	rulePackageTrailing job.Rule = "package-trailing"

	// rulePackageTraversal: an entry's path climbs out of the package. Unpacking must not write
	// outside of it.
	//
	// Source: Python's tarfile, "Extraction filters".
	//
	//	 # trainer-0.1.tar.gz
	//	-trainer-0.1/../../outside.py
	//	+trainer-0.1/trainer/inside.py
	rulePackageTraversal job.Rule = "package-traversal"

	// rulePackageTruncated: a package ends in the middle.
	//
	// Source: RFC 1952 (gzip).
	//
	// For example: a .tar.gz whose upload broke off; upload the whole file again.
	rulePackageTruncated job.Rule = "package-truncated"

	// rulePackageTwoFormats: a file is a gzip'd tar archive that ends like a zip archive, and pip
	// takes it for the latter.
	//
	// Source: pip, which looks for a zip archive first.
	//
	// For example: a .tar.gz with a zip archive behind it; build the package again.
	rulePackageTwoFormats job.Rule = "package-two-formats"

	// rulePackageUnpacked: a package is too large when unpacked.
	//
	// Source: jobdrop's own limit: docs/limits.md.
	//
	// For example: a package with a data set in it; let the trainer read it from Cloud Storage.
	rulePackageUnpacked job.Rule = "package-unpacked"

	// rulePackageWheelName: pip can't install a wheel of this name: NAME-VERSION-PYTHON-ABI-
	// PLATFORM.whl.
	//
	// Source: PEP 427, "File name convention".
	//
	// For example: a wheel renamed to trainer.whl; keep the name that the build gave it.
	rulePackageWheelName job.Rule = "package-wheel-name"
)
