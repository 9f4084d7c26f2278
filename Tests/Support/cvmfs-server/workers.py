"""The worker: on a server `cvmfs_swissknife`, here a child of the command.

It stages a tree and publishes nothing, so a worker that fails or is killed leaves the revision as it was. It stays in
the command's process group, and only it dies of a SIGTERM: the command completes (section 6)."""

import json
import os
import signal
import traceback

import faults
from settings import Failure, say, warn
from store import remove
from tree import Tree


class WorkerFailure(Exception):
    """What the real worker says in its panic; an empty one has said it already."""


class Report:
    """What the worker tells the command."""

    def __init__(self, damaged=False, bytes=0, entries=0, chained=0):
        self.damaged, self.bytes, self.entries = damaged, bytes, entries
        self.chained = chained  # hard links whose target is a hard link: fine or not by the order of their names


def run(repository, store, operation, command, change):
    """Stages a tree and lets `change(tree)` alter it in a worker. Returns the staged tree and the worker's report, or
    raises Failure 1 with what a server says then."""
    parent = os.getpid()
    note = os.path.join(repository.stand_in, "report.%d" % parent)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            faults.step(repository, operation + "-worker", parent)
            tree = Tree(store.stage())
            report = change(tree)
            tree.finish()
            faults.step(repository, operation + "-applied", parent)
            with open(note, "w") as file:
                json.dump(vars(report), file)
            code = 0
        except WorkerFailure as failure:
            if str(failure):
                warn("terminate called after throwing an instance of 'ECvmfsException'\n"
                     "  what():  PANIC: /cvmfs/sync_mediator.cc : 1\n%s\nKilled" % failure)
        except Failure as failure:
            failure.report()
            code = failure.code
        except BaseException:
            traceback.print_exc()  # a bug of the stand-in's: no server says this
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    staged = os.path.join(store.folder, "staged")
    if status != 0:
        if os.WIFSIGNALED(status):
            warn(signal.strsignal(os.WTERMSIG(status)) or "Killed")
        remove(staged)
        _forget(note)
        raise Failure(1, "Synchronization failed\n\nExecuted Command:\n%s" % command)
    with open(note) as file:
        report = Report(**json.load(file))
    _forget(note)
    return staged, report


def _forget(note):
    if os.path.exists(note):
        os.unlink(note)


def announce(kind):
    """Stdout of a worker that succeeds (section 6)."""
    say("%s: Processing changes...\nWaiting for upload of files before committing...\nCommitting file catalogs...\n"
        "%s: Wait for all uploads to finish\n%s: Exporting repository manifest" % (kind, kind, kind))
