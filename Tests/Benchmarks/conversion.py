"""Converting a realistic image (Debian packages), beside skopeo + umoci and beside what each step costs alone."""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

from measure import ROOT, Failure, measured, program, quiet, say, warm

TAG = "12"


def realistic_image():
    """The image's layout: made once, kept in the cache beside its packages, made anew when .ci/image changes."""
    maker = os.path.join(ROOT, ".ci", "image")
    with open(maker, "rb") as file:
        version = hashlib.sha256(file.read()).hexdigest()[:12]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    cache = os.path.join(cache, "ducc")
    layout = os.path.join(cache, f"realistic-{version}")
    if not os.path.exists(layout):
        os.makedirs(cache, exist_ok=True)
        for name in os.listdir(cache):
            if name.startswith("realistic-") and name.endswith(".txt"):
                os.remove(os.path.join(cache, name))
            elif name.startswith("realistic-"):
                shutil.rmtree(os.path.join(cache, name))
        say("making the image")
        with open(layout + ".txt", "w", encoding="utf-8") as figures:
            command = [sys.executable, maker, layout, "--realistic", "--tag", TAG]
            done = subprocess.run(command, stdout=figures, check=False)
        if done.returncode != 0:
            raise Failure("the realistic image could not be made")
    with open(layout + ".txt", encoding="utf-8") as figures:
        say("")
        print("The image: " + "".join(line for line in figures if not line.startswith("  ")).strip())
    return layout


@contextlib.contextmanager
def registry(directory):
    """Debian's docker-registry on a free port of the loopback: its address."""
    storage = os.path.join(directory, "registry")
    for _ in range(5):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        configuration = os.path.join(directory, "registry.yml")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(
                "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
                f"storage: {{filesystem: {{rootdirectory: {storage}}}}}\nhttp: {{addr: '{address}'}}\n"
            )
        process = subprocess.Popen(
            ["docker-registry", "serve", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            if answers(process, address):
                yield address
                return
        finally:
            process.terminate()
            process.wait()
    raise Failure("docker-registry does not start")


def answers(process, address):
    for _ in range(100):
        if process.poll() is not None:
            return False
        try:
            with urllib.request.urlopen(f"http://{address}/v2/", timeout=5):
                return True
        except OSError:
            time.sleep(0.1)
    return False


def layers_of(layout):
    def blob(digest):
        return os.path.join(layout, "blobs", *digest.split(":"))

    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        manifest = json.load(file)["manifests"][0]["digest"]
    with open(blob(manifest), encoding="utf-8") as file:
        return [(layer["digest"], blob(layer["digest"])) for layer in json.load(file)["layers"]]


def files_below(directory):
    return sum(len(names) for _, _, names in os.walk(directory))


def check(expected, path):
    """That what was measured did the whole work: at least as many files as umoci unpacks."""
    files = files_below(path)
    if files < expected:
        raise Failure(f"{os.path.basename(path)} has {files} files, fewer than the image's {expected}")


def ours(image, source, expected):
    """`convert-single-image` into a new directory repository with layers, flat image and notifications."""

    def run(fresh):
        warm(source)
        sample = measured(
            [
                program("cvmfs_ducc"), "convert-single-image", image, f"{fresh}/repository",
                "-n", f"{fresh}/notifications.log",
            ],
            environment={"DUCC_LOCK_FILE": f"{fresh}/DUCC.lock"},
        )  # fmt: skip
        check(expected, f"{fresh}/repository/.flat")
        check(expected, f"{fresh}/repository/.layers")
        return sample

    return run


def theirs(image, source, expected, *options):
    """skopeo fetches and verifies, umoci unpacks: what one would do by hand for one flat image."""

    def run(fresh):
        warm(source)
        sample = measured(
            ["skopeo", "copy", "-q", *options, image, f"oci:{fresh}/image:{TAG}"],
            unpack(f"{fresh}/image", fresh),
        )
        check(expected, f"{fresh}/rootfs")
        return sample

    return run


def unpack(layout, fresh):
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    return ["umoci", "raw", "unpack", *rootless, "--image", f"{layout}:{TAG}", f"{fresh}/rootfs"]


def alone(layout):
    def run(fresh):
        warm(layout)
        return measured(unpack(layout, fresh))

    return run


def each(command, source):
    """A floor: a shell command with the layers' paths or digests as its arguments."""

    def run(fresh):
        warm(source)
        return measured(command.replace("FRESH", fresh), shell=True)

    return run


def tars(layers, directory):
    """The layers' archives, decompressed."""
    os.makedirs(directory)
    for index, (_, path) in enumerate(layers):
        with open(os.path.join(directory, f"{index}.tar"), "wb") as file:
            subprocess.run(["igzip", "-dc", path], stdout=file, check=True)
    return directory


def conversion(bench):
    layout = realistic_image()
    layers = layers_of(layout)
    image = f"oci:{layout}:{TAG}"
    built = program("cvmfs_ducc") is not None
    if not built:
        print("cvmfs_ducc is not built: the first row of each group stands in its place")
    blobs = " ".join(path for _, path in layers)
    unpacked = tars(layers, os.path.join(bench.directory, "tars"))
    inflate = f"for f in {blobs}; do igzip -dc $f >/dev/null; done"
    extract = f"mkdir FRESH/r; for f in {unpacked}/*; do tar -C FRESH/r -xf $f; done"
    with bench.fresh() as fresh:
        quiet(unpack(layout, fresh))
        expected = files_below(f"{fresh}/rootfs")

    bench.group(
        f"Conversion from an oci: layout, on {bench.file_system}",
        ([("cvmfs_ducc", ours(image, layout, expected))] if built else [])
        + [
            ("skopeo copy + umoci raw unpack", theirs(image, layout, expected)),
            ("umoci raw unpack alone", alone(layout)),
            ("floor: igzip -dc of the layers", each(inflate, layout)),
            ("floor: tar xf of the layers", each(extract, unpacked)),
        ],
    )
    with registry(bench.directory) as address:
        name, storage = f"{address}/bench/debian:{TAG}", os.path.join(bench.directory, "registry")
        quiet(["skopeo", "copy", "-q", "--dest-tls-verify=false", image, f"docker://{name}"])
        digests = " ".join(digest for digest, _ in layers)
        fetch = f"for d in {digests}; do curl -fsS http://{address}/v2/bench/debian/blobs/$d | openssl sha256; done"
        bench.group(
            f"Conversion from a docker-registry, on {bench.file_system}",
            ([("cvmfs_ducc", ours(f"http://{name}", storage, expected))] if built else [])
            + [
                (
                    "skopeo copy + umoci raw unpack",
                    theirs(f"docker://{name}", storage, expected, "--src-tls-verify=false"),
                ),
                ("floor: curl | openssl sha256", each(fetch, storage)),
            ],
        )
