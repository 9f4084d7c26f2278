"""Faults a test sets, and the journal a test counts in.

A fault is a file named after a step, holding JSON, in `/var/spool/cvmfs/NAME/.stand-in/faults/` or in the folder
`STAND_IN_FAULTS` names. When the step is reached: `once` takes the fault away, `touch` creates a file, `wait` waits
until a path exists, `delay` waits that many seconds, `stderr` is written, `fail` ends the step with that exit code.
So a test can kill a command exactly where it means to. The step comes before what its name says:

    OPERATION-begin, OPERATION-end        every subcommand, before and after all it does
    transaction-flagged                   the flag is set, the mount is still read-only
    transaction-mounted                   the mount is writable, the command not yet over
    publish-worker, ingest-worker         the worker has started; `fail` is a failing worker
    publish-applied, ingest-applied       still the worker: everything is applied to the new tree, nothing exported
    publish-exported, ingest-exported     the worker is done, the manifest not yet signed: the old revision holds
    publish-remount, ingest-remount       the new revision is published, the mounts still show the old one
    publish-unmounted, ingest-unmounted   the new revision is published, nothing is mounted
    scratch-moved                         nothing is mounted, and there is no scratch directory; also in abort
    publish-remounted, ingest-remounted   the mounts show the new one, the flag is still there
    ingest-transaction                    before ingest opens its transaction
    abort-discard                         abort has its lock and is about to unmount
"""

import json
import os
import time

from settings import Failure, warn


def _take(repository, step):
    folders = [os.path.join(repository.stand_in, "faults")] if repository else []
    if os.environ.get("STAND_IN_FAULTS"):
        folders.append(os.environ["STAND_IN_FAULTS"])
    for folder in folders:
        path = os.path.join(folder, step)
        try:
            with open(path) as file:
                fault = json.load(file)
            if fault.get("once"):
                os.unlink(path)  # whoever removes it has it: a simultaneous command goes without
        except FileNotFoundError:
            continue
        return fault
    return None


def step(repository, name, parent=None):
    """Does what a test asked for at this step. A worker passes its parent: when that was killed, nobody waits for
    the worker any more, and a worker held at a step must not outlive the test."""
    fault = _take(repository, name)
    if fault is None:
        return
    if "touch" in fault:
        with open(fault["touch"], "w"):
            pass

    def hold():
        time.sleep(0.005)
        orphan = parent is not None and os.getppid() != parent
        removed = repository is not None and not os.path.isdir(repository.spool)
        if orphan or removed:
            os._exit(1)

    while "wait" in fault and not os.path.lexists(fault["wait"]):
        hold()
    end = time.monotonic() + fault.get("delay", 0)
    while time.monotonic() < end:
        hold()
    if fault.get("stderr"):
        warn(fault["stderr"])
    if fault.get("fail"):
        raise Failure(fault["fail"])


class Journal:
    """One line of JSON for each operation that ended by itself; a killed one leaves none."""

    def __init__(self, operation, arguments):
        self.began = time.monotonic()
        self.line = {"operation": operation, "arguments": arguments, "bytes": 0, "entries": 0}
        self.repository = None

    def start(self, repository, revision):
        self.repository = repository
        self.line["before"] = revision

    def finish(self, code, revision):
        self.line.update({
            "exit": code, "after": revision, "pid": os.getpid(), "time": time.time(),
            "seconds": round(time.monotonic() - self.began, 4)})
        path = os.path.join(self.repository.stand_in, "journal")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except FileNotFoundError:
            return  # the repository was removed meanwhile
        os.write(descriptor, (json.dumps(self.line) + "\n").encode())
        os.close(descriptor)
