"""Publishing through cvmfs_server, as the stand-in in Tests/Support plays it: how fast it gets its archive."""

import contextlib
import json
import os
import subprocess
import tempfile
import time
import uuid

import images
from measure import ROOT, Sample, peak_until_exit, program, quiet, warm

SERVER = os.path.join(ROOT, "Tests", "Support", "cvmfs-server", "cvmfs_server")
# In the server's place: `ingest` keeps its archive (KEEP), or reads it as fast as it comes (SINK) and notes how long
# that took.
WRAPPER = """#!/bin/sh
if [ "$1" = ingest ] && [ -n "$SINK" ]; then
    begin=$(date +%s%N); cat > "$SINK.bytes"; end=$(date +%s%N)
    echo "$(stat -c %s "$SINK.bytes") $((end - begin))" > "$SINK"
elif [ "$1" = ingest ] && [ -n "$KEEP" ]; then
    tee "$KEEP" | SERVER "$@"
else
    exec SERVER "$@"
fi
"""


@contextlib.contextmanager
def repository():
    """A new repository's name."""
    name = f"bench{uuid.uuid4().hex[:8]}.test.example"
    quiet([SERVER, "mkfs", "-o", "root", name])
    try:
        yield name
    finally:
        quiet([SERVER, "rmfs", "-f", name])


def converted(fresh, layout, name, **variables):
    """Our converter into a repository: its peak of memory. What it makes of a server that publishes nothing is its own
    affair."""
    warm(layout)
    environment = {**os.environ, **variables, "DUCC_LOCK_FILE": f"{fresh}/DUCC.lock", "DUCC_TMP_DIR": fresh}
    environment["PATH"] = f"{fresh}:{environment['PATH']}"
    with open(f"{fresh}/cvmfs_server", "w", encoding="utf-8") as file:
        file.write(WRAPPER.replace("SERVER", SERVER))
    os.chmod(f"{fresh}/cvmfs_server", 0o755)
    process = subprocess.Popen(
        [program("cvmfs_ducc"), "convert-single-image", f"oci:{layout}:{images.TAG}", name],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    memory = peak_until_exit(process.pid)
    process.wait()
    return memory


def rate(count, seconds, memory=0):
    return Sample(count / 1e6 / seconds, "MB/s", memory)


def ingested(name):
    """What the server's journal has of its last operation: bytes, and seconds."""
    with open(f"/var/spool/cvmfs/{name}/.stand-in/journal", encoding="utf-8") as journal:
        last = json.loads(journal.readlines()[-1])
    return last["bytes"], last["seconds"]


def serving(bench):
    if os.geteuid() != 0:
        print("\nA server that reads an image's archive: its mounts need root")
        return
    layout = images.realistic()
    with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
        archive = os.path.join(directory, "archive.tar")
        with bench.fresh() as fresh, repository() as name:
            converted(fresh, layout, name, KEEP=archive)

        def ours(fresh):
            with repository() as name:
                memory = converted(fresh, layout, name)
                return rate(*ingested(name), memory)

        def from_file(_):
            with repository() as name:
                warm(directory)
                quiet([SERVER, "ingest", "-t", archive, "-b", "/", "-k", name])
                return rate(*ingested(name))

        bench.group(
            "A server that reads an image's archive",
            [("cvmfs_ducc writes it", ours), ("floor: it lies in a file", from_file)],
        )

        def into_sink(fresh):
            with repository() as name:
                memory = converted(fresh, layout, name, SINK=f"{fresh}/sink")
            with open(f"{fresh}/sink", encoding="utf-8") as file:
                count, nanoseconds = map(int, file.read().split())
            return rate(count, nanoseconds / 1e9, memory)

        def cat(fresh):
            warm(directory)
            begin = time.perf_counter()
            quiet(["sh", "-c", f"cat {archive} | cat > {fresh}/sink"])
            return rate(os.path.getsize(archive), time.perf_counter() - begin)

        bench.group(
            "A server that reads as fast as it can", [("cvmfs_ducc writes it", into_sink), ("floor: cat | cat", cat)]
        )
