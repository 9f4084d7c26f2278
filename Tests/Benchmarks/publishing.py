"""Publishing an image on a CernVM-FS server, beside the server's own `ingest` of the same archive.

The server is the tests' stand-in, or with CVMFS_SERVER=real the one that this machine has. Each run has a repository of
its own, made before and removed after.
"""

import contextlib
import os
import secrets

import images
from measure import ROOT, Failure, measured, program, quiet, say, warm

REAL = os.environ.get("CVMFS_SERVER") == "real"
STAND_IN = os.path.join(ROOT, "Tests", "Support", "cvmfs-server")
# Keeps the archive that the program before it in the path is given.
KEEPING = """#!/bin/bash
if [ "$1" = ingest ]; then tee "$KEPT" | "$SERVER" "$@"; exit "${PIPESTATUS[1]}"; fi
exec "$SERVER" "$@"
"""


def server():
    return "cvmfs_server" if REAL else os.path.join(STAND_IN, "cvmfs_server")


@contextlib.contextmanager
def repository():
    name = f"b{secrets.token_hex(4)}.bench.example"
    quiet([server(), "mkfs", "-o", "root", name])
    try:
        yield name
    finally:
        quiet([server(), "rmfs", "-f", name])


def environment(fresh, path=None):
    folders = [path] if path else [] if REAL else [STAND_IN]
    return {
        "DUCC_LOCK_FILE": f"{fresh}/DUCC.lock", "DUCC_TMP_DIR": fresh,
        "PATH": ":".join([*folders, os.environ["PATH"]]),
    }  # fmt: skip


def convert(fresh, name, image, *options, path=None):
    return measured(
        [program("cvmfs_ducc"), "convert-single-image", image, name, *options, "-n", f"{fresh}/notifications.log"],
        environment=environment(fresh, path),
    )


def publishing(bench):
    if os.geteuid() != 0:
        say("publishing needs root")
        return
    layout = images.realistic()
    image = f"oci:{layout}:{images.TAG}"
    kept = os.path.join(bench.directory, "kept.tar")
    with bench.fresh() as fresh, repository() as name:
        wrapper = os.path.join(bench.directory, "keeping")
        os.makedirs(wrapper)
        with open(os.path.join(wrapper, "cvmfs_server"), "w", encoding="utf-8") as script:
            script.write(KEEPING)
        os.chmod(script.name, 0o755)
        os.environ.update(KEPT=kept, SERVER=server())
        convert(fresh, name, image, path=wrapper)
    if not os.path.getsize(kept):
        raise Failure("the server was given no archive")

    def whole(fresh):
        warm(layout)
        with repository() as name:
            return convert(fresh, name, image)

    def floor(fresh):
        warm(kept)
        with repository() as name:
            return measured(f"exec {server()} ingest -t - -b / -k {name} <{kept}", shell=True)

    def flat(fresh):
        with repository() as name:
            convert(fresh, name, image, "--skip-flat")
            return convert(fresh, name, image)

    kind = "a CernVM-FS server" if REAL else "the stand-in for a CernVM-FS server"
    bench.group(
        f"Publishing on {kind}",
        [("cvmfs_ducc", whole), ("floor: ingest of its archive", floor), ("cvmfs_ducc, flat image alone", flat)],
    )
    os.remove(kept)
