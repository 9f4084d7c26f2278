"""The tree of a revision that a worker changes: what a catalogue does to its entries.

Everything is put as a new inode, because the staged tree shares its files with the published one. A directory's time
is only what was recorded for it, so the times are set at the end. Modification times are whole seconds (section 11)."""

import os
import shutil
import stat


class Attributes:
    """Owner, mode and time of an entry."""

    def __init__(self, uid, gid, mode, mtime):
        # Section 17: times outside of this are clamped.
        self.uid, self.gid, self.mode, self.mtime = uid, gid, stat.S_IMODE(mode), min(max(int(mtime), 0), (1 << 33) - 1)

    @classmethod
    def of(cls, status):
        return cls(status.st_uid, status.st_gid, status.st_mode, status.st_mtime_ns // 1_000_000_000)


class Unreachable(Exception):
    """Something that isn't a directory stands where the path wants one."""


class Tree:
    """Paths are relative to the root, which is the empty path."""

    def __init__(self, root):
        self.root = root
        self.times = {}
        self.directories = {""}  # known to be real ones: no symbolic link is ever followed

    def path(self, relative):
        return os.path.join(self.root, relative) if relative else self.root

    def status(self, relative):
        """lstat of an entry, or None. Raises `Unreachable` when a parent is no directory."""
        try:
            self._require_directory(os.path.dirname(relative))
            return os.lstat(self.path(relative))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _require_directory(self, relative):
        if relative in self.directories:
            return
        self._require_directory(os.path.dirname(relative))
        if not stat.S_ISDIR(os.lstat(self.path(relative)).st_mode):
            raise Unreachable(relative)
        self.directories.add(relative)

    def _changing(self, relative):
        """The parent keeps its time unless somebody sets another one."""
        parent = os.path.dirname(relative)
        if parent not in self.times:
            self.times[parent] = os.lstat(self.path(parent)).st_mtime_ns // 1_000_000_000

    def remove(self, relative):
        self._changing(relative)
        path = self.path(relative)
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
            below = relative + "/"
            self.directories = {known for known in self.directories
                                if known != relative and not known.startswith(below)}
            self.times = {known: time for known, time in self.times.items()
                          if known != relative and not known.startswith(below)}
        else:
            os.unlink(path)

    def walk(self, relative):
        """Every entry below a directory, as (path, is a directory)."""
        with os.scandir(self.path(relative)) as entries:
            for entry in entries:
                inner = os.path.join(relative, entry.name)
                is_directory = entry.is_dir(follow_symlinks=False)
                yield inner, is_directory
                if is_directory:
                    yield from self.walk(inner)

    def make_directory(self, relative, attributes):
        self._changing(relative)
        os.mkdir(self.path(relative), 0o700)
        self.directories.add(relative)
        self.set_directory(relative, attributes)

    def set_directory(self, relative, attributes):
        path = self.path(relative)
        os.chown(path, attributes.uid, attributes.gid)
        os.chmod(path, attributes.mode)
        self.times[relative] = attributes.mtime

    def make_file(self, relative, attributes):
        """A new regular file, open for writing; give it to `finish_file`."""
        self._changing(relative)
        return os.open(self.path(relative), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)

    def finish_file(self, descriptor, attributes):
        os.fchown(descriptor, attributes.uid, attributes.gid)
        os.fchmod(descriptor, attributes.mode)
        os.utime(descriptor, (attributes.mtime, attributes.mtime))
        os.close(descriptor)

    def make_link(self, relative, text, attributes):
        self._changing(relative)
        path = self.path(relative)
        os.symlink(text, path)
        os.lchown(path, attributes.uid, attributes.gid)
        os.utime(path, (attributes.mtime, attributes.mtime), follow_symlinks=False)

    def make_special(self, relative, kind, device, attributes):
        """A FIFO, a socket or a device, with its numbers (section 11)."""
        self._changing(relative)
        path = self.path(relative)
        os.mknod(path, kind | 0o600, device)
        os.lchown(path, attributes.uid, attributes.gid)
        os.chmod(path, attributes.mode)
        os.utime(path, (attributes.mtime, attributes.mtime))

    def copy(self, source, relative, status=None):
        """A copy of something that is no directory: from scratch, or as the clone of a hard link's target."""
        status = status or os.lstat(source)
        attributes = Attributes.of(status)
        if stat.S_ISREG(status.st_mode):
            descriptor = self.make_file(relative, attributes)
            copy_content(source, descriptor)
            self.finish_file(descriptor, attributes)
        elif stat.S_ISLNK(status.st_mode):
            self.make_link(relative, os.readlink(source), attributes)
        else:
            self.make_special(relative, stat.S_IFMT(status.st_mode), status.st_rdev, attributes)

    def finish(self):
        for relative, time in self.times.items():
            os.utime(self.path(relative), (time, time))

    def catalogs(self):
        """The paths of the nested catalogues: directories with a regular marker (section 9); the root is none."""
        found = []
        for relative, is_directory in self.walk(""):
            directory, name = os.path.split(relative)
            if name == ".cvmfscatalog" and not is_directory and directory:
                if stat.S_ISREG(os.lstat(self.path(relative)).st_mode):
                    found.append(directory)
        return sorted(found)


def copy_content(source, target):
    origin = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        while os.copy_file_range(origin, target, 1 << 30) > 0:
            pass
    finally:
        os.close(origin)
