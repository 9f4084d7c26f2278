"""What `publish` and `ingest` have in common (sections 6 and 8): who is in the way, and how a staged tree becomes the
published revision."""

import os
import time

import faults
import gateway
import mounts
from settings import Failure, say, within


def refuse_users(repository, force=False):
    """Refuses when something below the mount is open. True if the mounts have to be replaced by force."""
    found = mounts.users(repository.union)
    if any(user.writes for user in found):
        raise Failure(1, "Open writable file descriptors on %s" % repository.name, "stdout")
    if within(os.getcwd(), repository.union):
        raise Failure(1, "Current working directory is in %s.  Please release, e.g. by 'cd $HOME'."
                      % repository.union, "stdout")
    if not found:
        return False
    if force:
        say("WARNING: Open file descriptors on %s (possible race!)" % repository.union)
    else:
        _ask(repository, found)
    if repository.setting("CVMFS_FORCE_REMOUNT_WARNING") != "false":
        time.sleep(60)
    return True


def _ask(repository, found):
    """Section 6: the answer is read from stdin. A silent open pipe makes this hang, and ingest's tar is taken for an
    answer (section 8)."""
    say("WARNING! There are open read-only file descriptors in %s" % repository.union)
    for user in found:
        say(str(user))
    os.write(1, b"Do you want to proceed anyway? (y/N) ")
    if read_line(0) not in (b"y", b"Y"):
        raise Failure(1, "aborted.", "stdout")


def read_line(descriptor):
    """As a shell's `read` does it: byte by byte, because what follows the line belongs to somebody else."""
    line = b""
    while True:
        byte = os.read(descriptor, 1)
        if byte in (b"", b"\n"):
            return line.strip(b" \t")
        line += byte


def export(repository, store, operation, staged, report, tags, manual=None, by_force=False):
    """From the worker's end to the end of the transaction. A failure after the signing leaves a revision that is
    published and a transaction that is open (sections 6 and 8)."""
    say("Statistics stored at: %s/stats.db" % repository.spool)
    faults.step(repository, operation + "-exported")
    if repository.is_gateway:
        store.commit(staged, report.damaged, manual)
        say("Changes submitted to repository gateway")
    else:
        say("Tagging %s" % repository.name)
        say("Flushing file system buffers")
        say("Signing new manifest")
        store.commit(staged, report.damaged, manual, tags)
    faults.step(repository, operation + "-remount")
    say("Remounting newly created repository revision")
    mounts.unmount_both(repository, lazily=by_force)
    faults.step(repository, operation + "-unmounted")
    mounts.clear_scratch(repository)
    mounts.mount_rdonly(repository)
    mounts.mount_union(repository, writable=True)
    faults.step(repository, operation + "-remounted")
    gateway.give_back(repository)
    repository.clear_flag()
    # Section 6: an after-hook that fails leaves everything published and the mount writable.
    code = repository.run_hook("publish_after_hook")
    if code != 0:
        raise Failure(code)
    mounts.remount_union(repository, writable=False)
    store.prune()


def new_tags(repository, store, tag=None, message=""):
    """The tags of the next revision, saying which one was chosen for the caller."""
    if tag:
        return [(tag, message)]
    if repository.is_on("CVMFS_AUTO_TAG") and not repository.is_gateway:
        return [(store.auto_tag(), message)]
    return []
