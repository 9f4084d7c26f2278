"""Appending events, beside the same work in plain C (append.c).

Ours is the program .build/release/test-emitter: `test-emitter FILE --count COUNT` appends COUNT ordinary events to FILE
without syncing and prints, as its last line, the events per second as a bare number.
"""

import os
import subprocess
import time

from measure import Failure, Sample, program, quiet

EVENTS = 500_000
PROCESSES = 8
SHORTEST_LINE = 450


def floor(directory):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "append.c")
    binary = os.path.join(directory, "append")
    flags = quiet(["pkg-config", "--cflags", "--libs", "libcrypto"]).split()
    quiet(["gcc", "-O2", "-o", binary, source, *flags])
    return binary


def finished(process):
    output, errors = process.communicate()
    if process.returncode != 0:
        raise Failure(f"{os.path.basename(process.args[0])}: {errors.strip()}")
    return output


def check_length(path, events):
    """Real events have at least 450 bytes, and none may be missing."""
    if os.path.getsize(path) < events * SHORTEST_LINE:
        raise Failure(f"{path} is shorter than {events} real events")


def appended(*command):
    """One writer: the rate that it measured itself."""

    def run(fresh):
        path = os.path.join(fresh, "notifications.log")
        process = start(command, path, EVENTS)
        rate = float(finished(process).split()[-1])
        check_length(path, EVENTS)
        return Sample(rate, "/s")

    return run


def appended_together(*command):
    """Several writers at once: all events by the time from the first one's start to the last one's end."""

    def run(fresh):
        path = os.path.join(fresh, "notifications.log")
        begin = time.perf_counter()
        for process in [start(command, path, EVENTS // PROCESSES) for _ in range(PROCESSES)]:
            finished(process)
        seconds = time.perf_counter() - begin
        check_length(path, EVENTS // PROCESSES * PROCESSES)
        return Sample(EVENTS / seconds, "/s")

    return run


def start(command, path, count):
    arguments = [command[0], path, *command[1:], str(count)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def appending(bench):
    ours, theirs = (program("test-emitter"), "--count"), (floor(bench.directory),)
    if not ours[0]:
        raise Failure("test-emitter is not built")
    bench.group(
        f"Appending {EVENTS:,} events, one process, on {bench.file_system}",
        [
            ("NotificationWriter", appended(*ours)),
            ("plain C", appended(*theirs)),
            ("NotificationWriter, publish_layer", appended(ours[0], "--publish", ours[1])),
        ],
    )
    bench.group(
        f"Appending {EVENTS:,} events, {PROCESSES} processes, on {bench.file_system}",
        [("NotificationWriter", appended_together(*ours)), ("plain C", appended_together(*theirs))],
    )
