"""One more image in podman's store of ten thousand: its lists have 24 MB, and are written anew for each."""

import hashlib
import json
import os
import sys

import images
from measure import measured, program, warm

COUNT = 10_000
# What the work is at the least: both lists read, and written again.
FLOOR = """
import json, sys
for path in sys.argv[1:]:
    with open(path) as file:
        entries = json.load(file)
    with open(path + ".new", "w") as file:
        json.dump(entries, file, separators=(",", ":"))
"""


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def lists():
    """`images.json` and `layers.json` of so many images of four layers each, as cvmfs_ducc writes them."""
    layers, entries = [], []
    for image in range(COUNT):
        parent = {}
        for number in range(4):
            layer = sha256(f"{image} {number}")
            layers.append({
                "compressed-diff-digest": f"sha256:{sha256('c' + layer)}", "compressed-size": 123456,
                "created": "2026-01-01T00:00:00Z", "diff-digest": f"sha256:{sha256('d' + layer)}",
                "diff-size": 1234567, "id": layer, **parent,
            })  # fmt: skip
            parent = {"parent": layer}
        key, manifest = sha256(f"image {image}"), f"sha256:{sha256(f'manifest {image}')}"
        entries.append({
            "big-data-digests": {"manifest": manifest, f"sha256:{key}": f"sha256:{key}"},
            "big-data-names": ["manifest", f"sha256:{key}"],
            "big-data-sizes": {"manifest": 1000, f"sha256:{key}": 3000}, "created": "2026-01-01T00:00:00Z",
            "digest": manifest, "id": key, "layer": parent["parent"],
            "names": [f"registry.example.org/group/image{image}:1"],
        })  # fmt: skip
    return {"images": entries, "layers": layers}


def fill(repository, values):
    paths = []
    for name, entries in values.items():
        directory = f"{repository}/podmanStore/overlay-{name}"
        os.makedirs(directory)
        text = json.dumps(entries, separators=(",", ":"))
        paths.append(f"{directory}/{name}.json")
        for path, content in ((paths[-1], text), (f"{directory}/{name}.lock", sha256(text))):
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
    return paths


def entering(bench):
    layout, values = images.made_up("small", [("small", lambda layer, _: layer.bytes("a", b"1"))]), lists()

    def convert(fresh, *options):
        fill(f"{fresh}/repository", values)
        warm(layout)
        return measured(
            [program("cvmfs_ducc"), "convert-single-image", f"oci:{layout}:{images.TAG}", f"{fresh}/repository", *options],
            environment={"DUCC_LOCK_FILE": f"{fresh}/DUCC.lock"},
        )

    def floor(fresh):
        return measured([sys.executable, "-c", FLOOR, *fill(f"{fresh}/repository", values)])

    bench.group(
        f"A small image into a store of {COUNT} images",
        [
            ("cvmfs_ducc", convert),
            ("without the store (-p)", lambda fresh: convert(fresh, "--skip-podman")),
            ("floor: Python's json, lists alone", floor),
        ],
    )
