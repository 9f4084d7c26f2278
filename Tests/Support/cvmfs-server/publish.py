"""`publish` (section 6)."""

import fnmatch
import os
import signal

import faults
import gateway
import mounts
import overlay
import publishing
import workers
from locks import PublishingLock
from settings import Failure, Repository, repository_names, say, warn
from store import Store


class Options:
    def __init__(self):
        self.tag, self.message, self.manual, self.force, self.names = None, "", None, False, []


def parse(arguments):
    options, rest = Options(), list(arguments)
    valued = {"-a": "tag", "-m": "message", "-n": "manual", "-Z": None, "-F": None}
    while rest:
        argument = rest.pop(0)
        if argument in valued:
            if not rest:
                raise Failure(3, "NOTE: Command publish: Unrecognized option: %s" % argument, "usage")
            value = rest.pop(0)
            if valued[argument]:
                setattr(options, valued[argument], value)
        elif argument == "-f":
            options.force = True
        elif argument in ("-v", "-p", "-X", "-N", "-d"):
            pass
        elif argument.startswith("-"):
            raise Failure(3, "NOTE: Command publish: Unrecognized option: %s" % argument, "usage")
        else:
            options.names.append(argument.partition("/")[0])
    return options


def resolve(names):
    """Several names and wildcards are allowed; without any, the only repository there is."""
    configured = repository_names()
    if not names:
        if len(configured) != 1:
            raise Failure(3, "NOTE: Please specify a repository name", "usage")
        return configured
    found = []
    for name in names:
        matches = [known for known in configured if fnmatch.fnmatchcase(known, name)]
        if not matches:
            raise Failure(1, "The repository %s does not exist." % name)
        found += matches
    return found


def command(arguments):
    options = parse(arguments)
    if options.tag and " " in options.tag:
        raise Failure(1, "Spaces are not allowed in tag names")
    # Section 6: a SIGTERM to the command alone doesn't stop it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = 0
    for repository in map(Repository, resolve(options.names)):
        try:
            publish(repository, options)
        except Failure as failure:
            failure.report()
            code = failure.code
            if failure.stream != "stdout":
                break  # only a refusal on stdout goes on with the next repository
    return code


def publish(repository, options):
    store = Store(repository)
    if options.tag and any(tag["name"] == options.tag for tag in store.tags):
        raise Failure(1, "Tag name '%s' is already in use." % options.tag)
    try:
        lock = PublishingLock(repository)
        if not lock.acquire():
            raise Failure(1, "Another publish process is active for %s" % repository.name)
        with lock:
            _publish_alone(repository, store, options)
    except PermissionError as error:
        raise Failure(2, "cvmfs_server: 1: cannot create %s: Permission denied" % error.filename)


def _publish_alone(repository, store, options):
    if not mounts.check(repository):
        raise Failure(1)
    if not repository.in_transaction:
        raise Failure(1, "Repository %s is not in a transaction" % repository.name, "stdout")
    by_force = publishing.refuse_users(repository, options.force)
    if options.manual is not None and int(options.manual) <= store.shown:
        raise Failure(1, "Current revision '%d' is ahead of manual revision number '%s'."
                      % (store.revision, options.manual), "stdout")
    code = repository.run_hook("publish_before_hook")
    if code != 0:
        raise Failure(code)
    tags = publishing.new_tags(repository, store, options.tag, options.message)
    mounts.remount_union(repository, writable=False)

    def change(tree):
        if not gateway.require(repository):
            raise workers.WorkerFailure("could not submit the changes: invalid_lease")
        return overlay.Synchronization(repository, tree).run()

    try:
        staged, report = workers.run(repository, store, "publish", _command(repository), change)
    except Failure:
        mounts.remount_union(repository, writable=True)  # section 6: still open, scratch intact
        raise
    workers.announce("Swissknife Sync")
    publishing.export(repository, store, "publish", staged, report, tags, options.manual, by_force)


def _command(repository):
    return "cvmfs_swissknife sync -u %s -s %s -c %s -t %s" % (
        repository.union, repository.scratch, repository.rdonly, os.path.join(repository.spool, "tmp"))
