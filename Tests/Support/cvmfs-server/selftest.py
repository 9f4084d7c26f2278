#!/usr/bin/python3 -B
"""The stand-in's own tests: one for each fact of the server's behaviour, with its section. Needs root; leaves no
mount and no file behind. `./selftest.py [NAME …]` runs the tests whose names contain one of the words."""

import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "selftests"))

MODULES = ("transaction_facts", "publish_facts", "ingest_facts", "other_facts")


def main():
    loader = unittest.TestLoader()
    words = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if words:
        loader.testNamePatterns = ["*%s*" % word for word in words]
    suite = loader.loadTestsFromNames(MODULES)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupted)
    try:
        result = unittest.TextTestRunner(verbosity=2 if "-v" in sys.argv else 1).run(suite)
    finally:
        left = left_behind()
    if left:
        print("Left behind: %s" % left, file=sys.stderr)
    return 0 if result.wasSuccessful() and not left else 1


def interrupted(*_):
    """Once: what follows is the cleaning up, which a second signal must not interrupt."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def left_behind():
    """What the tests of this process didn't remove, which is an error, or couldn't, being interrupted: it is
    removed now."""
    mine = "t%d-" % os.getpid()
    with open("/proc/self/mountinfo") as mounts:
        left = [line.split()[4] for line in mounts if mine in line]
    for path in ("/cvmfs", "/var/spool/cvmfs", "/srv/cvmfs", "/etc/cvmfs/repositories.d", "/etc/cvmfs/keys"):
        if os.path.isdir(path):
            left += [path + "/" + name for name in os.listdir(path) if name.startswith(mine)]
    for folder in glob.glob("%s/stand-in-%d-*" % (tempfile.gettempdir(), os.getpid())):
        left.append(folder)
        shutil.rmtree(folder)
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cvmfs_server")
    for name in {path.split("/")[4] for path in left if path.startswith("/var/spool/cvmfs/" + mine)}:
        subprocess.run([program, "rmfs", "-f", name], check=False)
    return left


sys.exit(main())
