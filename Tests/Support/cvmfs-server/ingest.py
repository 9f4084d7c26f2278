"""`ingest` (section 8): a transaction, a worker and a publish of its own."""

import grp
import os
import pwd
import signal

import abort
import archive
import faults
import gateway
import mounts
import publishing
import transaction
import workers
from locks import PublishingLock
from settings import Failure, Repository, warn
from store import Store


class Options:
    def __init__(self):
        self.archive, self.base, self.user, self.group = None, None, None, None
        self.catalog = self.keeps_owner = False
        self.deleting = []

    @property
    def deletions(self):
        """The arguments joined with `:` and given to the worker unquoted: what stands behind a blank is lost."""
        words = ":".join(self.deleting).split()
        return [path for path in words[0].split(":") if path] if words else []


def parse(arguments):
    """The shell's loop: it ends before the last word, which is the repository, and at an empty value."""
    options, rest = Options(), list(arguments)
    while len(rest) > 1 and rest[1] != "":
        word = rest.pop(0)
        if word in ("-t", "--tar_file"):
            options.archive = rest.pop(0)
        elif word in ("-b", "--base_dir"):
            options.base = rest.pop(0)
        elif word in ("-d", "--delete"):
            options.deleting.append(rest.pop(0))
        elif word in ("-u", "--user"):
            options.user = rest.pop(0)
        elif word in ("-g", "--group"):
            options.group = rest.pop(0)
        elif word in ("-c", "--catalog"):
            options.catalog = True
        elif word in ("-k", "--keep-ownership"):
            options.keeps_owner = True
    return options, rest[0] if rest else ""


def command(arguments, journal):
    options, name = parse(arguments)
    warn("cvmfs_server: 1: [[: not found")  # section 1: dash says it at every ingest
    if not options.archive and not options.deleting and not options.base:
        raise Failure(1, "Please provide some parameters, use -t $TAR_FILE -b $BASE_DIR -d $TO_DELETE")
    if not options.archive and not options.deleting:
        raise Failure(1, "Please provide the tarball to extract, use -t $TAR_FILE")
    if options.archive and not options.base:
        raise Failure(1, "Please set the base directory where to extract the tarball, use -b $BASE_DIR")
    repository = Repository(name)
    if not repository.exists:
        raise Failure(2, "cvmfs_server: 1: .: cannot open %s/server.conf: No such file" % repository.configuration)
    if options.group and not options.user:
        raise Failure(1, "Please provide the user as well, use -u $USER")
    # As in publish, a SIGTERM to the command alone doesn't stop it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faults.step(repository, "ingest-transaction")
    _open(repository, _lease(repository, options))
    _ingest(repository, options, journal)
    return 0


def _lease(repository, options):
    """Section 14: one path."""
    if not repository.is_gateway:
        return ""
    if len(options.deleting) > 1 or options.deleting and options.archive:
        raise Failure(1, "Could not delete several paths or delete and extract in one transaction with a gateway")
    return (options.base or options.deleting[0]).strip("/")


def _open(repository, path):
    try:
        transaction.begin(repository, path, checks_path=False)
    except Failure as failure:
        failure.report()
        raise Failure(1, "Impossible to start a transaction")


def _ingest(repository, options, journal):
    store = Store(repository)
    with PublishingLock(repository) as lock:
        if not lock.acquire():
            raise Failure(1, "Another publish process is active for %s" % repository.name)
        # Section 8: a reader makes it ask; what it leaves then is an open transaction.
        by_force = publishing.refuse_users(repository)
        code = repository.run_hook("publish_before_hook")
        if code != 0:
            raise Failure(code)
        tags = publishing.new_tags(repository, store)
        mounts.remount_union(repository, writable=False)
        try:
            staged, report = workers.run(
                repository, store, "ingest", _worker_command(options),
                lambda tree: _change(tree, repository, options))
        except Failure as failure:
            failure.report()
            abort.discard(repository)
            raise Failure(1)
        journal.line.update({"bytes": report.bytes, "entries": report.entries, "chained": report.chained})
        workers.announce("Swissknife Ingest")
        publishing.export(repository, store, "ingest", staged, report, tags, by_force=by_force)


def _change(tree, repository, options):
    if not gateway.require(repository):
        raise workers.WorkerFailure("could not submit the changes: invalid_lease")
    account = repository.account
    owner = (account.pw_uid, account.pw_gid)
    if options.user and options.group:
        try:
            account = pwd.getpwnam(options.user)
            grp.getgrnam(options.group)
        except KeyError as unknown:
            raise workers.WorkerFailure("unknown user or group: %s" % unknown)
        owner = (account.pw_uid, account.pw_gid)  # the user's primary group; `-g` is ignored
    elif options.user:
        return workers.Report()  # section 8: exit 0 and nothing ingested
    descriptor = None
    if options.archive == "-":
        descriptor = 0
    elif options.archive:
        try:
            descriptor = os.open(options.archive, os.O_RDONLY)
        except OSError:
            raise workers.WorkerFailure("Impossible to open the archive: Failed to open '%s'" % options.archive)
    return archive.change(tree, options, owner, descriptor)


def _worker_command(options):
    return "cvmfs_swissknife ingest -B %s -T %s -D %s" % (
        options.base or "", options.archive or "", ":".join(options.deleting))
