"""`abort` (section 7): discards anybody's transaction."""

import os

import faults
import gateway
import mounts
from locks import PublishingLock
from publishing import read_line
from settings import Failure, require, say, warn, within
from store import Store


def command(words):
    force, name = False, ""
    for word in words:
        if word == "-f":
            force = True
        elif word.startswith("-"):
            raise Failure(1, "Invocation error: abort: unrecognized parameter '%s'" % word)
        else:
            name = word.partition("/")[0]
    repository = require(name)
    if os.geteuid() not in (0, repository.account.pw_uid):
        raise Failure(1, "Permission error: No write permission to repository")
    if within(os.getcwd(), repository.union):
        raise Failure(1, "Current working directory is in %s.  Please release, e.g. by 'cd $HOME'."
                      % repository.union, "stdout")
    if not repository.in_transaction:
        raise Failure(22, "Repository %s is not in a transaction" % repository.name)
    if not force:
        _ask(repository)
    with PublishingLock(repository) as lock:
        if not lock.acquire():
            raise Failure(22, "Could not acquire lock %s" % repository.publishing)
        code = repository.run_hook("abort_before_hook")
        if code != 0:
            raise Failure(code)
        faults.step(repository, "abort-discard")
        discard(repository)
        code = repository.run_hook("abort_after_hook")
        if code != 0:
            raise Failure(code)
    return 0


def _ask(repository):
    os.write(1, os.fsencode("You are about to DISCARD ALL CHANGES OF THE CURRENT TRANSACTION for %s!"
                            "  Are you sure (y/N)? " % repository.name))
    # End of file is an empty line without its end: it counts as yes.
    answer = os.read(0, 1)
    if answer != b"":
        answer = b"" if answer == b"\n" else answer + read_line(0)
        if answer not in (b"y", b"Y"):
            raise Failure(4)


def _give_up(repository):
    """Section 17: without a scratch directory the union can't be mounted; only the revision is."""
    warn("/cvmfs/%s is not mounted properly" % repository.name)
    if repository.rdonly not in mounts.mounted():
        warn("Trying to mount %s... success" % repository.rdonly)
        mounts.mount_rdonly(repository)
    raise Failure(5, "mount: %s: special device overlay_%s does not exist.\n"
                     "       dmesg(1) may have more information after failed mount system call.\n"
                     "Trying to mount %s... fail" % (repository.union, repository.name, repository.union))


def discard(repository, quietly=False):
    """The flag goes last: whoever is killed before leaves a transaction that can be aborted again."""
    users = mounts.users(repository.union) + mounts.users(repository.rdonly)
    if users:
        say("WARNING: Open file descriptors on %s (possible race!)" % repository.union)
        for user in users:
            say(str(user))
    if not os.path.isdir(repository.scratch):
        _give_up(repository)
    gateway.give_back(repository)
    mounts.unmount_both(repository, lazily=True)
    mounts.clear_scratch(repository)
    store = Store(repository)
    if store.clone:
        warn("Note: dropping the cloned template, revision %d" % store.clone)
        store.drop_clone()
    mounts.mount_rdonly(repository)
    mounts.mount_union(repository, writable=False)
    store.prune()
    if not quietly:
        say("CernVM-FS: running with suid support\nCernVM-FS: loading Fuse module... done\n"
            "CernVM-FS: mounted cvmfs on %s" % repository.rdonly)
    repository.clear_flag()
