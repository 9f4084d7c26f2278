"""Reading a stream of real events, beside jq, and proving one of a gigabyte, beside hashing it once."""

import os
import tempfile

from measure import Failure, Sample, measured, program, quiet, warm

EVENTS = 500_000
SET_BYTES = 1 << 30
FILES = 8


def emit(path, events):
    quiet([program("test-emitter"), path, "--count", str(events)])


def rate(events, *command):
    """Events per second of a whole process's life."""

    def run(_):
        sample = measured(list(command))
        return Sample(events / sample.value, "/s", sample.memory)

    return run


def reading(bench):
    for name in ("test-emitter", "ducc-follow"):
        if not program(name):
            raise Failure(f"{name} is not built")
    with tempfile.TemporaryDirectory(prefix="ducc-bench.", dir=bench.directory) as directory:
        path = os.path.join(directory, "events.log")
        emit(path, EVENTS)
        warm(directory)
        bench.group(
            f"Reading {EVENTS:,} events, {os.path.getsize(path) // EVENTS} bytes each",
            [
                ("NotificationReader", rate(EVENTS, program("test-emitter"), "read", path)),
                ("ducc-follow --image no-such", rate(EVENTS, follow(), path, "--no-follow", "--image", "no-such")),
                ("jq -c .", rate(EVENTS, "jq", "-c", ".", path)),
            ],
        )
    with tempfile.TemporaryDirectory(prefix="ducc-bench.", dir=bench.directory) as directory:
        path = os.path.join(directory, "notifications.log")
        names = [path, *(f"{path}.{number}" for number in range(1, FILES))]
        emit(path, 1000)
        events = SET_BYTES // FILES // (os.path.getsize(path) // 1000)
        os.remove(path)
        for name in names:
            emit(name, events)
        warm(directory)
        total = sum(os.path.getsize(name) for name in names)
        bench.group(
            f"Proving {total / 1e9:.2f} GB in {FILES} files, {events * FILES:,} events",
            [
                ("ducc-follow verify", lambda _: measured([follow(), "verify", path])),
                ("sha256sum", lambda _: measured(["sha256sum", *names])),
                ("openssl sha256", lambda _: measured(["openssl", "dgst", "-sha256", *names])),
            ],
        )


def follow():
    return program("ducc-follow")
