"""`transaction` (section 5)."""

import os
import stat
import subprocess
import time

import faults
import gateway
import mounts
import overlay
from locks import PublishingLock
from settings import Failure, require, say, unexpected, warn
from store import Store, remove
from tree import Tree, Unreachable
from workers import WorkerFailure


class Options:
    def __init__(self):
        self.retry = None
        self.source = None
        self.target = None
        self.name = None


def parse(words):
    options, rest = Options(), list(words)

    def value(option):
        if not rest:
            raise Failure(1, "Invocation error: transaction: option '%s' requires an argument" % option)
        return rest.pop(0)

    while rest:
        word = rest.pop(0)
        if word in ("-t", "--retry-timeout"):
            try:
                options.retry = int(value(word))
            except ValueError:
                raise Failure(1, "Invocation error: transaction: invalid retry timeout")
        elif word in ("-T", "--template"):
            parts = value(word).split("=")
            if len(parts) != 2 or not all(parts):
                raise unexpected("invalid syntax for --template parameter, expected: --template <from>=<to>")
            options.source, options.target = parts
        elif word in ("-U", "--template-from"):
            options.source = value(word)
        elif word in ("-V", "--template-to"):
            options.target = value(word)
        elif word.startswith("-") and len(word) > 1:
            raise Failure(1, "Invocation error: transaction: unrecognized parameter '%s'" % word)
        else:
            options.name = word
    return options


def command(words):
    options = parse(words)
    name, _, path = (options.name or "").partition("/")
    repository = require(name)
    if os.geteuid() not in (0, repository.account.pw_uid):
        raise Failure(1, "Permission error: No write permission to repository")
    begin(repository, path.strip("/"), options)
    return 0


def begin(repository, path="", options=None, checks_path=True):
    """Opens a transaction or raises `Failure`. ingest opens its own with this."""
    options = options or Options()
    code = repository.run_hook("transaction_before_hook")
    if code != 0:
        raise Failure(code, "transaction hook failed, not opening a transaction")
    _take_flag(repository, path, options)
    faults.step(repository, "transaction-flagged")
    try:
        if path and checks_path:
            _check_parent(repository, path)
        if options.source is not None:
            _clone(repository, options.source, options.target or "")
    except Failure as failure:
        if failure.code != 134:  # section 5: a clone that crashes leaves the flag set
            gateway.give_back(repository)
            repository.clear_flag()
        raise
    mounts.remount_union(repository, writable=True)
    faults.step(repository, "transaction-mounted")
    code = repository.run_hook("transaction_after_hook")
    if code != 0:
        raise Failure(code, "post transaction hook failed")


def _take_flag(repository, path, options):
    """Waits as `-t` asks: busy is retried, a mount that can't be made writable isn't."""
    end = None if not options.retry else time.monotonic() + options.retry
    pause = 0.5
    while True:
        _check_mounts(repository)
        busy = None
        if not repository.set_flag():
            busy = Failure(17, "CernVM-FS transaction error: another transaction is already open")
        else:
            try:
                gateway.take(repository, "/" + path)
                return
            except Failure as failure:
                repository.clear_flag()
                busy = failure
        if options.retry is None or (end is not None and time.monotonic() >= end):
            raise busy
        say("repository busy, retrying")
        time.sleep(pause)
        pause = min(pause * 2, 5)


def _check_mounts(repository):
    """With the lock of publishing: so a transaction fails while somebody publishes, and a loser of a race may get
    this instead of 17."""
    if not os.path.isdir(repository.spool):
        raise unexpected("Error while attempting to acquire lock %s" % repository.publishing)
    with PublishingLock(repository) as lock:
        if not lock.acquire():
            warn("Repository %s is busy publishing" % repository.name)
            raise unexpected("cannot establish writable mountpoint")
        if not mounts.check(repository):
            raise unexpected("cannot establish writable mountpoint")


def _check_parent(repository, path):
    parent = os.path.dirname(path)
    shown = "/" + parent
    try:
        status = Tree(repository.rdonly).status(parent) if parent else os.lstat(repository.rdonly)
    except Unreachable:
        status = None
    if status is None:
        raise Failure(2, "CernVM-FS transaction error: cannot open transaction on non-existing path %s" % shown)
    if not stat.S_ISDIR(status.st_mode):
        raise Failure(20, "CernVM-FS transaction error: cannot open transaction on %s, which is not a directory"
                      % shown)


def _clone(repository, source, target):
    """A new revision with a copy of a tree, not published; what is in scratch already is taken into it."""
    store = Store(repository)
    staged = store.stage()
    try:
        tree = Tree(staged)
        origin, destination = source.removeprefix("/"), target.removeprefix("/")
        reason = _refusal(tree, source, target, origin, destination)
        if reason:
            raise Failure(22, "CernVM-FS transaction error: cannot clone directory tree. PANIC: "
                              "/cvmfs/catalog_mgr_rw.cc : 1\n" + reason)
        if os.path.lexists(os.path.join(repository.scratch, destination)):
            raise Failure(134, "terminate called after throwing an instance of 'ECvmfsException'\nAborted")
        parent = os.path.dirname(destination)
        time_of_parent = os.lstat(tree.path(parent)).st_mtime_ns
        # Hard links are broken, as everywhere in a catalogue.
        subprocess.run(["/bin/cp", "-a", "--no-preserve=links", "--", tree.path(origin), tree.path(destination)],
                       check=True, stdin=subprocess.DEVNULL)
        os.utime(tree.path(parent), ns=(time_of_parent, time_of_parent))
        try:
            overlay.Synchronization(repository, tree).run()
        except WorkerFailure as failure:
            raise Failure(134, "%s\nAborted" % failure)
        tree.finish()
    except Failure:
        remove(staged)
        raise
    say("CernVM-FS: cloning template %s --> %s ... Waiting for upload of files before committing...\n"
        "Committing file catalogs..." % (source, target))
    store.commit_clone(staged)
    say("New revision: %d\n[done]" % store.shown)
    mounts.unmount_both(repository, lazily=True)
    mounts.mount_rdonly(repository)
    mounts.mount_union(repository, writable=False)


def _refusal(tree, source, target, origin, destination):
    def look(path):
        try:
            return tree.status(path)
        except Unreachable:
            return None

    status = None if origin.endswith("/") else look(origin)
    if status is None:
        return "path '%s' cannot be found, aborting" % source
    if not stat.S_ISDIR(status.st_mode):
        return "CloneTree: source '%s' not a directory, aborting" % source
    if (destination + "/").startswith(origin + "/") and destination != origin:
        return "cannot clone tree into sub directory of source '%s' --> '%s'" % (source, target)
    parent = look(os.path.dirname(destination))
    if not destination or destination.endswith("/") or parent is None or not stat.S_ISDIR(parent.st_mode):
        return "destination '%s' not on a known path, aborting" % target
    if look(destination):
        return "destination '%s' exists, aborting" % target
    return None
