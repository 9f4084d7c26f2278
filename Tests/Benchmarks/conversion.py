"""Converting images, beside skopeo + umoci, podman, and what each step costs alone."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

import images
from measure import Failure, measured, program, quiet, warm


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


def files_below(directory):
    return sum(len(names) for _, _, names in os.walk(directory))


def check(expected, path):
    """That what was measured did the whole work: at least as many files as umoci unpacks."""
    files = files_below(path)
    if files < expected:
        raise Failure(f"{os.path.basename(path)} has {files} files, fewer than the image's {expected}")


def converting(fresh, *arguments):
    """Our converter with notifications, into a new directory repository with layers and flat images."""
    return measured(
        [program("cvmfs_ducc"), *arguments, "-n", f"{fresh}/notifications.log"],
        environment={"DUCC_LOCK_FILE": f"{fresh}/DUCC.lock"},
    )


def ours(image, source, expected):
    """One image."""

    def run(fresh):
        warm(source)
        sample = converting(fresh, "convert-single-image", image, f"{fresh}/repository")
        check(expected, f"{fresh}/repository/.flat")
        check(expected, f"{fresh}/repository/.layers")
        return sample

    return run


def ours_list(images, source, expected):
    """Several images, of a wish list."""

    def run(fresh):
        with open(f"{fresh}/wishes.yaml", "w", encoding="utf-8") as wishes:
            wishes.write(f"version: 1\ncvmfs_repo: {fresh}/repository\ninput:\n")
            wishes.writelines(f"  - '{image}'\n" for image in images)
        warm(source)
        sample = converting(fresh, "convert", f"{fresh}/wishes.yaml")
        check(expected, f"{fresh}/repository/.flat")
        return sample

    return run


def theirs(images, source, expected, *options):
    """skopeo fetches and verifies, umoci unpacks: what one would do by hand for flat images.

    skopeo takes one image after the other, so that layers which they share come once; umoci takes all at once.
    """

    def run(fresh):
        warm(source)
        tags = [image.rpartition(":")[2] for image in images]
        copies = [
            ["skopeo", "copy", "-q", *options, image, f"oci:{fresh}/image:{tag}"] for image, tag in zip(images, tags)
        ]
        unpacked = [unpack(f"{fresh}/image", f"{fresh}/rootfs/{tag}", tag) for tag in tags]
        os.mkdir(f"{fresh}/rootfs")
        sample = measured(*copies, unpacked)
        check(expected, f"{fresh}/rootfs")
        return sample

    return run


def podman(names, source, expected):
    """podman fetches all at once into a store of its own: layers, no flat images."""

    def run(fresh):
        warm(source)
        # What a store on this file system needs is made before, and not measured.
        store = ["podman", "--root", f"{fresh}/store", "--runroot", f"{fresh}/run", "--storage-driver", "overlay"]
        quiet([*store, "images"])
        sample = measured([*store, "pull", "-q", "--tls-verify=false", *names])
        check(expected, f"{fresh}/store/overlay")
        return sample

    return run


def unpack(layout, target, tag):
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    return ["umoci", "raw", "unpack", *rootless, "--image", f"{layout}:{tag}", target]


def alone(layout):
    def run(fresh):
        warm(layout)
        return measured(unpack(layout, f"{fresh}/rootfs", images.TAG))

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


def expected_files(bench, layout, tags):
    """How many files umoci unpacks of all images together."""
    with bench.fresh() as fresh:
        for tag in tags:
            quiet(unpack(layout, f"{fresh}/{tag}", tag))
        return files_below(fresh)


@contextlib.contextmanager
def served(bench, layout, tags):
    """The layout's images in a registry: its storage, and the images' names without a scheme."""
    with tempfile.TemporaryDirectory(dir=bench.directory) as directory, registry(directory) as address:
        names = [f"{address}/bench/debian:{tag}" for tag in tags]
        for name, tag in zip(names, tags):
            quiet(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:{tag}", f"docker://{name}"])
        yield os.path.join(directory, "registry"), names


def conversion(bench):
    layout = images.realistic()
    layers = images.layers_of(layout)
    image = f"oci:{layout}:{images.TAG}"
    blobs = " ".join(path for _, path in layers)
    unpacked = tars(layers, os.path.join(bench.directory, "tars"))
    inflate = f"for f in {blobs}; do igzip -dc $f >/dev/null; done"
    extract = f"mkdir FRESH/r; for f in {unpacked}/*; do tar -C FRESH/r -xf $f; done"
    expected = expected_files(bench, layout, [images.TAG])
    bench.group(
        f"Conversion from an oci: layout, on {bench.file_system}",
        [
            ("cvmfs_ducc", ours(image, layout, expected)),
            ("skopeo copy + umoci raw unpack", theirs([image], layout, expected)),
            ("umoci raw unpack alone", alone(layout)),
            ("floor: igzip -dc of the layers", each(inflate, layout)),
            ("floor: tar xf of the layers", each(extract, unpacked)),
        ],
    )
    shutil.rmtree(unpacked)
    from_registry(bench, "Conversion from a docker-registry", layout, floors=True)


def extremes(bench):
    from_registry(bench, "One layer of one file of 900 MB", images.big(), floors=True)
    from_registry(bench, "100,000 tiny files in three layers", images.tiny(), floors=True)
    tags = [images.TAG] + [f"{images.TAG}.{number}" for number in range(1, 8)]
    from_registry(bench, "8 images at once that share 4 layers", images.family(), tags)


def from_registry(bench, title, layout, tags=(images.TAG,), floors=False):
    """The layout's images from a docker-registry: ours beside what others make of it."""
    expected = expected_files(bench, layout, tags)
    with served(bench, layout, tags) as (storage, names):
        wishes = [f"http://{name}" for name in names]
        sources = [f"docker://{name}" for name in names]
        rows = [
            ("cvmfs_ducc", ours_list(wishes, storage, expected)),
            ("skopeo copy + umoci raw unpack", theirs(sources, storage, expected, "--src-tls-verify=false")),
        ]
        if os.geteuid() == 0:
            # Layers that images share are there once.
            rows.append(("podman pull", podman(names, storage, expected // len(names))))
        if floors:
            layers = images.layers_of(layout)
            directory = tars(layers, os.path.join(bench.directory, "tars"))
            repository = names[0].rpartition(":")[0].replace("/", "/v2/", 1)
            fetch = f"for d in {' '.join(digest for digest, _ in layers)}; do "
            fetch += f"curl -fsS http://{repository}/blobs/$d | openssl sha256; done"
            inflate = f"for f in {' '.join(path for _, path in layers)}; do igzip -dc $f >/dev/null; done"
            extract = f"mkdir FRESH/r; for f in {directory}/*; do tar -C FRESH/r -xf $f; done"
            rows += [
                ("floor: curl | openssl sha256", each(fetch, storage)),
                ("floor: igzip -dc of the layers", each(inflate, layout)),
                ("floor: tar xf of the layers", each(extract, directory)),
            ]
        bench.group(f"{title}, on {bench.file_system}", rows)
        shutil.rmtree(os.path.join(bench.directory, "tars"), ignore_errors=True)


def memory(bench):
    """The peak of memory where there is much of something, and what an image costs that is there already."""
    for title, layout in [
        ("A layer of 2 GB", images.two_gigabytes()),
        ("A layer of 300,000 files", images.entries()),
        ("60 layers", images.sixty_layers()),
    ]:
        image = f"oci:{layout}:{images.TAG}"
        bench.group(f"{title}, on {bench.file_system}", [("cvmfs_ducc", ours(image, layout, 1))])
    layout = images.realistic()
    with served(bench, layout, [images.TAG]) as (storage, names):
        url = f"http://{names[0].rpartition(':')[0].replace('/', '/v2/', 1)}/manifests/{images.TAG}"

        def again(fresh):
            ours(f"http://{names[0]}", storage, 1)(fresh)
            return converting(
                fresh, "convert-single-image", f"http://{names[0]}", f"{fresh}/repository"
            ).in_milliseconds()

        def request(_):
            accept = "Accept: application/vnd.oci.image.manifest.v1+json"
            return measured(["curl", "-fsSI", "-H", accept, url]).in_milliseconds()

        bench.group("An image that is there already", [("cvmfs_ducc", again), ("floor: curl -I", request)])
