"""The images that the benchmarks convert: a realistic one of Debian packages, and made-up ones that are extreme.

Each is made once and kept in $XDG_CACHE_HOME/ducc (~/.cache/ducc), and made anew when what makes it changes.
"""

import contextlib
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys

from measure import ROOT, Failure, say

CI = os.path.join(ROOT, ".ci")
sys.path.insert(0, CI)

from oci_layout import Layer, Layout  # noqa: E402

TAG = "12"


def cached(name, makers, make):
    """The path of a layout in the cache, named after what makes it: `make(path)` where it isn't there.

    Beside it `path.txt` may hold what was said while it was made.
    """
    version = hashlib.sha256()
    for maker in makers:
        with open(maker, "rb") as file:
            version.update(file.read())
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    cache = os.path.join(cache, "ducc")
    layout = os.path.join(cache, f"{name}-{version.hexdigest()[:12]}")
    if os.path.exists(layout):
        return layout
    os.makedirs(cache, exist_ok=True)
    for old in os.listdir(cache):
        path = os.path.join(cache, old)
        if not old.startswith(f"{name}-"):
            continue
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    say(f"making the image {name}")
    make(layout)
    return layout


def realistic():
    """Debian packages in five layers; prints its figures."""
    maker = os.path.join(CI, "image")

    def make(layout):
        with open(layout + ".txt", "w", encoding="utf-8") as figures:
            done = subprocess.run([sys.executable, maker, layout, "--realistic", "--tag", TAG], stdout=figures)
        if done.returncode != 0:
            raise Failure("the realistic image could not be made")

    layout = cached("realistic", [maker, os.path.join(CI, "oci_layout.py")], make)
    with open(layout + ".txt", encoding="utf-8") as figures:
        say("")
        print("The image: " + "".join(line for line in figures if not line.startswith("  ")).strip())
    return layout


class Contents:
    """Bytes that gzip makes about three times smaller, like those of real images, the same each time."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        words = [self.random.randbytes(self.random.randint(3, 14)) for _ in range(1200)]
        self.pool = b"".join(self.random.choices(words, k=1_000_000))

    def bytes(self, length):
        start = self.random.randrange(len(self.pool) - min(length, len(self.pool)) + 1)
        return self.pool[start : start + length]

    def small(self, median):
        """The content of one of many files: most are small, a few are large."""
        return self.bytes(min(1 << 20, int(self.random.lognormvariate(0, 1.2) * median)))


class Repeated:
    """A file of any length, read piece by piece."""

    def __init__(self, contents, length):
        self.contents, self.left = contents, length

    def read(self, count):
        piece = self.contents.bytes(min(count, self.left))
        self.left -= len(piece)
        return piece


def one_file(layer, contents, length):
    member = layer.made("big", b"0", 0o644)
    member.size = length
    layer.add(member, Repeated(contents, length))


def many_files(layer, contents, top, count, median):
    """So many files, fifty to a directory."""
    layer.directory(top)
    for index in range(count):
        directory = f"{top}/{index // 2500}/{index // 50}"
        if index % 2500 == 0:
            layer.directory(os.path.dirname(directory))
        if index % 50 == 0:
            layer.directory(directory)
        layer.bytes(f"{directory}/file-{index}", contents.small(median))


def made_up(name, *images):
    """A layout with an image for each list of layers, tagged `TAG`, `TAG.1`, ….

    A layer is (its name, what fills a `Layer` from `Contents`); one that several images name is the same one.
    """

    def make(target):
        scratch = target + ".making"
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(scratch)
        layout, made = Layout(scratch), {}
        for number, layers in enumerate(images):
            for title, fill in layers:
                if title not in made:
                    layer = Layer(os.path.join(scratch, title))
                    fill(layer, Contents(title))
                    layer.close()
                    made[title] = {**layer.facts(), "name": title}
            layout.add([made[title] for title, _ in layers], f"{TAG}.{number}" if number else TAG)
        os.rename(scratch, target)

    return cached(name, [__file__, os.path.join(CI, "oci_layout.py")], make)


def big():
    """One layer of one file of 900 MB."""
    return made_up("big", [("big", lambda layer, contents: one_file(layer, contents, 900_000_000))])


def tiny():
    """100,000 tiny files in three layers."""

    def fill(top, count):
        return lambda layer, contents: many_files(layer, contents, top, count, 300)

    return made_up("tiny", [("one", fill("one", 33_000)), ("two", fill("two", 33_000)), ("three", fill("three", 34_000))])


def family():
    """Eight images that share four layers and have a small one each of their own."""

    def fill(top, count):
        return lambda layer, contents: many_files(layer, contents, top, count, 3000)

    shared = [(f"shared-{number}", fill(f"shared-{number}", 3000)) for number in range(4)]
    return made_up("family", *([*shared, (f"own-{number}", fill("own", 500))] for number in range(8)))


def two_gigabytes():
    """One layer of one file of 2 GB."""
    return made_up("two-gigabytes", [("big", lambda layer, contents: one_file(layer, contents, 2 << 30))])


def entries():
    """One layer of 300,000 files."""
    return made_up("entries", [("many", lambda layer, contents: many_files(layer, contents, "many", 300_000, 20))])


def sixty_layers():
    """Sixty layers, each over the one below: a third of their files have the same names."""

    def fill(number):
        def files(layer, contents):
            many_files(layer, contents, "same", 100, 3000)
            many_files(layer, contents, f"own-{number}", 200, 3000)

        return files

    return made_up("sixty", [(f"layer-{number}", fill(number)) for number in range(60)])


def layers_of(layout):
    """(digest, path) of each layer of the layout's first image."""

    def blob(digest):
        return os.path.join(layout, "blobs", *digest.split(":"))

    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        manifest = json.load(file)["manifests"][0]["digest"]
    with open(blob(manifest), encoding="utf-8") as file:
        return [(layer["digest"], blob(layer["digest"])) for layer in json.load(file)["layers"]]
