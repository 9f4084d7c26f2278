"""What ingest makes of deletions and of an archive (section 8)."""

import os
import stat
import time

import tar
from settings import warn
from tree import Attributes, Tree, Unreachable
from workers import Report, WorkerFailure

MARKER = ".cvmfscatalog"
# What an implied directory gets with `-k` is uid -1, which a client shows so.
NOBODY = 65534


class Ingestion:
    """One worker's changes to a tree."""

    def __init__(self, tree, base, owner, keeps_owner, implied_owner):
        self.tree = tree
        self.base = base
        self.owner = owner  # (uid, gid) of everything, unless the archive's are kept
        self.keeps_owner = keeps_owner
        self.implied_owner = implied_owner
        self.report = Report()
        self.brought = {}  # path -> "directory", "implied" or "other": what this archive put there
        self.deleted = set()
        self.links = []

    # Deletions

    def delete(self, argument):
        """One path. Section 8 has the odd ones: `/` destroys the root, `/x/` and `.` fail."""
        path = argument.strip("/")
        if argument == "/":
            for name in os.listdir(self.tree.root):
                self.tree.remove(name)
            self.report.damaged = True
            return
        if path == ".":
            raise WorkerFailure("'.' should be deleted, but was not found in repository.")
        try:
            status = self.tree.status(path)
        except Unreachable:
            status = None
        if status is None:
            warn("[WARNING] '%s' cannot be deleted. Unrecognized file type." % path)
            return
        if stat.S_ISDIR(status.st_mode):
            if argument.startswith("/") and argument.endswith("/"):
                raise WorkerFailure("'%s' should be deleted, but was not found in repository." % argument)
            self.deleted.update(inner for inner, _ in self.tree.walk(path))
        self.deleted.add(path)
        self.tree.remove(path)

    # The archive

    def extract(self, descriptor):
        if self.base.startswith("./") or self.base == ".":
            raise WorkerFailure("Assertion 'retval' failed: directory '%s' cannot be found" % self.base)
        reader = tar.Reader(descriptor)
        try:
            for entry in reader:
                self.report.entries += 1
                self._entry(reader, entry)
        except tar.Unrecognized as problem:
            raise WorkerFailure("Impossible to open the archive: %s" % problem)
        except tar.Damaged as problem:
            raise WorkerFailure("%s" % problem)
        finally:
            self.report.bytes = reader.bytes
        self._resolve_links()

    def _path(self, name):
        """A name's place in the tree, or None where a catalogue would be damaged: nothing is resolved, only one
        leading `/` or `./` is taken off."""
        name = name[2:] if name.startswith("./") else name.removeprefix("/")
        name = name.removesuffix("/")
        path = os.path.join(self.base, name) if self.base and name and name != "." else (
            self.base if name in ("", ".") else name)
        if path and any(part in ("", ".", "..") for part in path.split("/")):
            self.report.damaged = True
            return None
        return path

    def _entry(self, reader, entry):
        if not entry.converted:
            warn("Pathname can't be converted from UTF-8 to current locale.")
        path = self._path(entry.name)
        if path is None:
            return
        if os.path.basename(path) == MARKER and entry.kind not in "01":
            raise WorkerFailure("Error: '%s' is not a regular file." % path)
        uid, gid = (entry.uid, entry.gid) if self.keeps_owner else self.owner
        attributes = Attributes(uid, gid, entry.mode, entry.mtime)
        if path in self.deleted:
            raise WorkerFailure("'%s' was deleted by the same ingestion" % path)
        if entry.kind == "5":
            self._directory(path, attributes)
            return
        if path in self.brought or path == "":
            raise WorkerFailure("Assertion 'retval' failed: '%s' is in the archive twice" % path)
        if not self._make_way(path):
            return
        self.brought[path] = "other"
        if entry.kind == "1":
            self.links.append((path, self._path(entry.link), entry.link))
        elif entry.kind == "0":
            descriptor = self.tree.make_file(path, attributes)
            for part in reader.content():
                os.write(descriptor, part)
            self.tree.finish_file(descriptor, attributes)
        elif entry.kind == "2":
            self.tree.make_link(path, entry.link, attributes)
        else:
            kind = {"3": stat.S_IFCHR, "4": stat.S_IFBLK, "6": stat.S_IFIFO}[entry.kind]
            self.tree.make_special(path, kind, os.makedev(entry.major, entry.minor), attributes)

    def _directory(self, path, attributes):
        """The first of its name counts, also an implied one: `./` sets the base's mode because it comes first."""
        brought = self.brought.get(path)
        if brought == "other":
            raise WorkerFailure("Assertion 'retval' failed: '%s' is a directory and is none" % path)
        if brought:
            return
        if not self._parents(path):
            return
        existing = self.tree.status(path)
        if existing is None:
            self.tree.make_directory(path, attributes)
        elif not stat.S_ISDIR(existing.st_mode):
            self.report.damaged = True  # the file or link stays, what the archive brings is unreachable
            return
        if path:
            self.brought[path] = "directory"

    def _parents(self, path):
        """Makes the missing ones. False when what comes below them can't be reached."""
        parent = os.path.dirname(path)
        if not path or not parent or parent in self.brought and self.brought[parent] != "other":
            return True
        if self.brought.get(parent) == "other":
            raise WorkerFailure("Assertion 'retval' failed: '%s' is no directory" % parent)
        if not self._parents(parent):
            return False
        existing = self.tree.status(parent)
        if existing is None:
            self.tree.make_directory(parent, Attributes(*self.implied_owner, 0o755, time.time()))
            self.brought[parent] = "implied"
        elif not stat.S_ISDIR(existing.st_mode):
            self.report.damaged = True
            return False
        return True

    def _make_way(self, path):
        """A file or link replaces what is there, also a whole directory."""
        if not self._parents(path):
            return False
        if self.tree.status(path) is not None:
            self.tree.remove(path)
        return True

    def _resolve_links(self):
        """At the end, once: in byte order of the targets, and of one target's links in the archive's order. A link whose
        target is itself a link finds it only if that one's turn came before. A clone has its target's attributes."""
        names = {path for path, _, _ in self.links}
        self.report.chained = sum(target in names for _, target, _ in self.links)
        waiting = {}
        for path, target, name in self.links:
            waiting.setdefault(os.fsencode(target if target is not None else name), []).append((path, target, name))
        for key in sorted(waiting):
            for path, target, name in waiting[key]:
                self._clone(path, target, name)

    def _clone(self, path, target, name):
        try:
            status = self.tree.status(target) if target else None
        except Unreachable:
            status = None
        if status is None:
            raise WorkerFailure("catalog for file '%s' cannot be found, aborting" % (target or name))
        if stat.S_ISDIR(status.st_mode):
            raise WorkerFailure("Trying to clone a directory: '%s'" % target)
        self.tree.copy(self.tree.path(target), path, status)

    # The marker of `-c`

    def mark_base(self):
        """`-c`: the base becomes a nested catalogue, also if it existed; without effect on the root."""
        if not self.base or self.report.damaged and self._path("") is None:
            return
        marker = os.path.join(self.base, MARKER)
        if not self._parents(marker) or self.tree.status(marker) is not None:
            return
        attributes = Attributes(*self.owner, 0o664, time.time())
        self.tree.finish_file(self.tree.make_file(marker, attributes), attributes)


def change(tree: Tree, options, owner, descriptor):
    """The whole of it: deletions come first."""
    base = (options.base or "").removeprefix("/").rstrip("/")
    implied = (NOBODY, NOBODY) if options.keeps_owner else owner
    ingestion = Ingestion(tree, base, owner, options.keeps_owner, implied)
    for path in options.deletions:
        ingestion.delete(path)
    if descriptor is not None:
        ingestion.extract(descriptor)
        if options.catalog:
            ingestion.mark_base()
    return ingestion.report
