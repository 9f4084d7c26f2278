"""The two mounts of a repository (section 2), whether they are as they should be, and who uses them.

`rdonly` is a read-only bind mount of a revision's tree. /cvmfs/NAME is a real overlayfs on top of it, so that
whiteouts, opaque directories and open files act as on a server (section 10)."""

import ctypes
import errno
import os
import time

import faults
from settings import Failure, warn, within
from store import Store, remove

_libc = ctypes.CDLL(None, use_errno=True)
RDONLY, NOSUID, NODEV, REMOUNT, BIND = 1, 2, 4, 32, 4096
DETACH = 2


def _mount(source, target, kind, flags, data=None):
    arguments = [os.fsencode(value) if value is not None else None for value in (source, target, kind)]
    if _libc.mount(*arguments, ctypes.c_ulong(flags), os.fsencode(data) if data else None) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def _unmount(target, lazily):
    """umount(8): busy is exit 32. A reference of a moment (a path look-up) is no user."""
    for attempt in range(5):
        if _libc.umount2(os.fsencode(target), DETACH if lazily else 0) == 0:
            return
        code = ctypes.get_errno()
        if code == errno.EINVAL:
            return  # not mounted
        if code != errno.EBUSY:
            raise OSError(code, os.strerror(code), target)
        time.sleep(0.02)
    raise Failure(32, "umount: %s: target is busy." % target)


def mounted():
    """Mount points of this process's namespace with their options; the last one of a path is on top."""
    found = {}
    with open("/proc/self/mountinfo", errors="surrogateescape") as lines:
        for line in lines:
            fields = line.split()
            found[fields[4].replace("\\040", " ")] = fields[5].split(",")
    return found


def mount_memory(repository):
    """A spool in memory: removing an image's files from a disk that discards what is freed takes a minute."""
    _mount("tmpfs", repository.spool, "tmpfs", 0, "mode=0755")


def unmount_memory(repository):
    while repository.spool in mounted():
        _unmount(repository.spool, True)


def mount_rdonly(repository):
    store = Store(repository)
    _mount(store.tree(store.shown), repository.rdonly, None, BIND)
    _mount(None, repository.rdonly, None, REMOUNT | BIND | RDONLY | NODEV | NOSUID)


def mount_union(repository, writable):
    layers = "lowerdir=%s,upperdir=%s,workdir=%s" % (repository.rdonly, repository.scratch, repository.work)
    # Renamed directories have to be copied, not redirected: publish knows no redirects (section 10: `mv` works).
    _mount("overlay_" + repository.name, repository.union, "overlay", 0 if writable else RDONLY | NODEV,
           layers + ",redirect_dir=off,metacopy=off,index=off")


def remount_union(repository, writable):
    try:
        _mount(None, repository.union, None, REMOUNT | (0 if writable else RDONLY | NODEV))
    except OSError as error:
        raise Failure(32, "mount: %s: mount point is busy (%s)." % (repository.union, error.strerror))


def unmount_both(repository, lazily=False):
    """`lazily`: as abort does it, with umount's complaint but without failing (section 7)."""
    for target in (repository.union, repository.rdonly):
        while target in mounted():
            try:
                _unmount(target, False)
            except Failure as busy:
                if not lazily:
                    raise
                busy.report()
                _unmount(target, True)


def clear_scratch(repository):
    """Through the waste bin, and another directory in its place: section 17 has what is left by a kill in between."""
    bin_of_this = os.path.join(repository.wastebin, "%d.%d" % (os.getpid(), time.time_ns()))
    os.mkdir(bin_of_this)
    os.rename(repository.scratch, os.path.join(bin_of_this, "delete-me"))
    faults.step(repository, "scratch-moved")
    os.mkdir(repository.scratch, 0o755)
    os.chown(repository.scratch, repository.account.pw_uid, repository.account.pw_gid)
    for name in os.listdir(repository.wastebin):
        remove(os.path.join(repository.wastebin, name))


class Health:
    """What is wrong with the mounts (sections 3 and 5)."""

    def __init__(self, repository):
        points = mounted()
        store = Store(repository)
        transaction = repository.in_transaction
        self.lost, self.outdated = [], False
        for target in (repository.rdonly, repository.union):
            if target not in points:
                self.lost.append("%s is not mounted properly." % target)
        if repository.union in points and ("rw" in points[repository.union]) != transaction:
            self.lost.append("%s is %s." % (repository.union, "not mounted writable" if transaction else
                                            "mounted writable outside a transaction"))
        if repository.rdonly in points:
            try:
                seen = int(os.getxattr(repository.rdonly, "user.revision"))
            except OSError:
                seen = 0
            if seen != store.shown:
                self.lost.append("%s does not show the newest revision." % repository.rdonly)
            self.outdated = seen != store.revision

    @property
    def is_good(self):
        """As `list` sees it: a template's clone isn't the published revision (section 3)."""
        return not self.lost and not self.outdated


def repair(repository):
    """Makes the mounts what they should be."""
    unmount_both(repository, lazily=True)
    mount_rdonly(repository)
    mount_union(repository, writable=repository.in_transaction)


def check(repository):
    """Mount check and repair of `transaction` and `publish`: true if the mounts are as they should be (section 5)."""
    problems = Health(repository).lost
    if not problems:
        return True
    for problem in problems:
        warn(problem)
    if repository.in_transaction or not os.path.isdir(repository.scratch):
        warn("Repository %s is in a transaction and cannot be repaired." % repository.name)
        warn("--> Run `cvmfs_server abort $name` to revert and repair.")
        return False
    warn("Note: trying to repair %s" % repository.name)
    repair(repository)
    return True


class User:
    """A process that has something open below the mount."""

    def __init__(self, process, what, path, writes):
        self.process, self.what, self.path, self.writes = process, what, path, writes

    def __str__(self):
        return "%-16s %6s %5s %s" % (_command(self.process), self.process, self.what, self.path)


def _command(process):
    try:
        with open("/proc/%s/comm" % process, errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"


def users(directory):
    """All of them (section 6): open descriptors and working directories."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        folder = "/proc/%s" % process
        try:
            cwd = os.readlink(folder + "/cwd")
            if within(cwd, directory):
                found.append(User(process, "cwd", cwd, False))
            for descriptor in os.listdir(folder + "/fd"):
                path = os.readlink("%s/fd/%s" % (folder, descriptor))
                if within(path, directory):
                    writes = _writes("%s/fdinfo/%s" % (folder, descriptor))
                    found.append(User(process, descriptor + ("w" if writes else "r"), path, writes))
        except OSError:
            continue  # it ended meanwhile
    return found


def _writes(information):
    with open(information) as lines:
        for line in lines:
            if line.startswith("flags:"):
                return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False
