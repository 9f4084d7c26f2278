#!/usr/bin/python3 -B
"""The stand-in's own tests: one for each fact of the server's behaviour, with its section. Needs root; leaves no
mount and no file behind. `./selftest.py [NAME …]` runs the tests whose names contain one of the words."""

import os
import sys
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
    result = unittest.TextTestRunner(verbosity=2 if "-v" in sys.argv else 1).run(suite)
    with open("/proc/self/mountinfo") as mounts:
        left = [line.split()[4] for line in mounts if "t%d-" % os.getpid() in line]
    for path in ("/cvmfs", "/var/spool/cvmfs", "/srv/cvmfs", "/etc/cvmfs/repositories.d", "/etc/cvmfs/keys"):
        if os.path.isdir(path):
            left += [path + "/" + name for name in os.listdir(path) if name.startswith("t%d-" % os.getpid())]
    if left:
        print("Left behind: %s" % left, file=sys.stderr)
    return 0 if result.wasSuccessful() and not left else 1


sys.exit(main())
