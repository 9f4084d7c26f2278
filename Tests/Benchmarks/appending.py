"""Appending events, beside the same work in plain C (append.c).

Ours is the program .build/release/test-emitter: `test-emitter FILE --count COUNT` appends COUNT ordinary events to FILE
without syncing and prints, as its last line, the events per second as a bare number.
"""

import os
import subprocess

from measure import Failure, Sample, program, quiet

EVENTS = 500_000
SHORTEST_LINE = 450


def floor(directory):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "append.c")
    binary = os.path.join(directory, "append")
    flags = quiet(["pkg-config", "--cflags", "--libs", "libcrypto"]).split()
    quiet(["gcc", "-O2", "-o", binary, source, *flags])
    return binary


def appended(binary, *options):
    def run(fresh):
        path = os.path.join(fresh, "notifications.log")
        done = subprocess.run([binary, path, *options, str(EVENTS)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"{os.path.basename(binary)}: {done.stderr.strip()}")
        if os.path.getsize(path) < EVENTS * SHORTEST_LINE:
            raise Failure(f"{os.path.basename(binary)} wrote shorter lines than real ones ({SHORTEST_LINE} bytes)")
        return Sample(float(done.stdout.split()[-1]), "/s")

    return run


def appending(bench):
    contestants = [("plain C", appended(floor(bench.directory)))]
    if program("test-emitter"):
        contestants.insert(0, ("NotificationWriter", appended(program("test-emitter"), "--count")))
    bench.group(f"Appending {EVENTS:,} events, on {bench.file_system}", contestants)
