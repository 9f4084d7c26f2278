"""What `publish` makes of `scratch/current` (sections 9, 10 and 11)."""

import fnmatch
import os
import stat
import time

from settings import warn
from tree import Attributes
from workers import Report, WorkerFailure

MARKER = ".cvmfscatalog"


class Synchronization:
    """One walk over scratch, changing a tree."""

    def __init__(self, repository, tree):
        self.scratch = repository.scratch
        self.tree = tree
        self.xattrs = repository.is_on("CVMFS_INCLUDE_XATTRS")
        self.ignore_special = repository.is_on("CVMFS_IGNORE_SPECIAL_FILES")

    def run(self):
        self._directory("", False)
        self._apply_dirtab()
        return Report()

    def _directory(self, relative, is_new):
        with os.scandir(os.path.join(self.scratch, relative)) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            self._entry(relative, entry.name, entry.stat(follow_symlinks=False), is_new)

    def _entry(self, parent, name, status, is_new):
        path = os.path.join(parent, name)
        source = os.path.join(self.scratch, path)
        is_directory = stat.S_ISDIR(status.st_mode)
        if path == ".cvmfs":
            raise WorkerFailure("[ERROR] invalid attempt to modify .cvmfs")
        # Section 10: the name decides first, even for a whiteout device. That is why `rm` of a published `.wh.x`
        # has no effect (section 8).
        if name.lower().startswith(".wh."):
            if not is_directory:
                self._delete(os.path.join(parent, name[4:]), is_new)
            elif not is_new and os.listdir(source):
                raise WorkerFailure("'%s' cannot be published, its parent directory is missing" % path)
        elif name.startswith(".cvmfsgraft-"):
            pass  # markers (section 11)
        elif is_whiteout(source, status):
            self._delete(path, is_new)
        elif name == MARKER and not parent:
            raise WorkerFailure("Error: nested catalog marker in root directory")
        elif name == MARKER and not stat.S_ISREG(status.st_mode):
            raise WorkerFailure("Error: '%s' is not a regular file." % path)
        elif name == ".cvmfsbundles" and parent:
            raise WorkerFailure("[ERROR] .cvmfsbundles is allowed in the root directory only")
        elif is_directory:
            self._add_directory(path, source, status, is_new)
        else:
            self._add(path, source, status)

    def _delete(self, path, is_new):
        if is_new or self.tree.status(path) is None:
            warn("[WARNING] '%s' cannot be deleted. Unrecognized file type." % path)
        else:
            self._remove(path)

    def _remove(self, path):
        """A removed directory is walked as scratch is, so `.wh.` names of the published tree are taken for whiteouts
        there (section 8: such a tree can't be removed by a transaction)."""
        if stat.S_ISDIR(self.tree.status(path).st_mode):
            for inner, is_directory in self.tree.walk(path):
                if not is_directory and os.path.basename(inner).lower().startswith(".wh."):
                    raise WorkerFailure("'%s' should be deleted, but was not found in repository." % inner)
        self.tree.remove(path)

    def _add_directory(self, path, source, status, is_new):
        existing = self.tree.status(path)
        if existing and (is_opaque(source) or not stat.S_ISDIR(existing.st_mode)):
            self._remove(path)
            existing = None
        if existing:
            self.tree.set_directory(path, Attributes.of(status))  # scratch's replace its own (section 10)
        else:
            self.tree.make_directory(path, Attributes.of(status))
        self._copy_xattrs(source, path)
        self._directory(path, existing is None)

    def _add(self, path, source, status):
        is_file = stat.S_ISREG(status.st_mode)
        if not is_file and not stat.S_ISLNK(status.st_mode) and self.ignore_special:
            warn("[WARNING] '%s' is a special file, ignoring." % path)
            return
        if is_file and status.st_nlink > 1:
            warn("Warning: Found file with linkcount > 1 (%s). We will break up these hardlinks." % path)
        if self.tree.status(path):
            self._remove(path)
        self.tree.copy(source, path, status)
        if is_file:
            self._copy_xattrs(source, path)

    def _copy_xattrs(self, source, path):
        """Section 10: none by default; a value of 256 bytes is stored empty, a longer one dropped."""
        if not self.xattrs:
            return
        for name in os.listxattr(source):
            value = os.getxattr(source, name)
            if name.startswith("trusted.overlay.") or len(value) > 256:
                continue
            target = self.tree.path(path)
            times = os.lstat(target)
            os.setxattr(target, name, b"" if len(value) == 256 else value)
            os.utime(target, ns=(times.st_mtime_ns, times.st_mtime_ns))

    def _apply_dirtab(self):
        """Section 9: directories that a glob of the root's `.cvmfsdirtab` matches get a marker."""
        path = self.tree.path(".cvmfsdirtab")
        if not os.path.isfile(path) or os.path.islink(path):
            return
        with open(path, errors="surrogateescape") as file:
            lines = [line.strip() for line in file]
        globs = [line for line in lines if line and not line.startswith("#")]
        refused = [line[1:].strip() for line in globs if line.startswith("!")]
        directories = [inner for inner, is_directory in self.tree.walk("") if is_directory]
        for glob in (line for line in globs if not line.startswith("!")):
            matches = [inner for inner in directories if _matches(inner, glob)]
            if not matches:
                warn("Swissknife Sync: WARNING: cannot apply pathspec %s" % glob)
            for inner in matches:
                marker = os.path.join(inner, MARKER)
                if not any(_matches(inner, no) for no in refused) and self.tree.status(marker) is None:
                    owner = os.lstat(self.tree.root)
                    attributes = Attributes(owner.st_uid, owner.st_gid, 0o644, time.time())
                    self.tree.finish_file(self.tree.make_file(marker, attributes), attributes)


def _matches(path, glob):
    """As a shell matches: a star stays within one component."""
    parts, patterns = path.split("/"), glob.strip("/").split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def is_whiteout(path, status):
    if stat.S_ISCHR(status.st_mode):
        return status.st_rdev == 0
    return stat.S_ISLNK(status.st_mode) and os.readlink(path) == "(overlay-whiteout)"


def is_opaque(path):
    try:
        return os.getxattr(path, "trusted.overlay.opaque") == b"y"
    except OSError:
        return False
