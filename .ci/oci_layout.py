"""Writing OCI image layouts: what .ci/image and the benchmarks share."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

EPOCH = 1700000000  # every time stamp that is ours to choose
CREATED = "2023-11-14T22:13:20Z"
PLATFORMS = {
    "amd64": ("amd64", None), "arm64": ("arm64", "v8"), "armhf": ("arm", "v7"), "i386": ("386", None),
    "ppc64el": ("ppc64le", None), "riscv64": ("riscv64", None), "s390x": ("s390x", None),
}  # fmt: skip


class Layer:
    """One layer's tar, in memory only as far as one file of it; directories are written once."""

    def __init__(self, path):
        self.path = path
        self.compressed = open(path, "wb")
        self.gzip = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=self.compressed, mtime=0)
        self.digest, self.size = hashlib.sha256(), 0
        self.tar = tarfile.open(fileobj=self, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20)
        self.seen, self.sizes = set(), []

    def write(self, data):
        self.digest.update(data)
        self.size += len(data)
        return self.gzip.write(data)

    def add(self, member, data=None):
        if member.name in self.seen:
            return
        self.seen.add(member.name)
        member.mtime = int(member.mtime)
        member.pax_headers = {}
        self.tar.addfile(member, data)
        if member.isreg():
            self.sizes.append(member.size)

    def directory(self, name, mode=0o755):
        self.add(self.made(name, tarfile.DIRTYPE, mode))

    def file(self, name, text="", mode=0o644):
        self.bytes(name, text.encode(), mode)

    def bytes(self, name, data, mode=0o644):
        member = self.made(name, tarfile.REGTYPE, mode)
        member.size = len(data)
        self.add(member, io.BytesIO(data))

    def link(self, name, target):
        member = self.made(name, tarfile.SYMTYPE, 0o777)
        member.linkname = target
        self.add(member)

    @staticmethod
    def made(name, kind, mode):
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.mtime = kind, mode, EPOCH
        member.uname = member.gname = "root"
        return member

    def close(self):
        self.tar.close()
        self.gzip.close()
        self.compressed.close()

    def facts(self):
        """What its image has to know of it, once it is closed."""
        digest = hashlib.sha256()
        with open(self.path, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        return {
            "path": self.path, "digest": digest.hexdigest(), "size": os.path.getsize(self.path),
            "diff_id": self.digest.hexdigest(), "unpacked": self.size,
        }  # fmt: skip


class Layout:
    """An OCI image layout under construction."""

    def __init__(self, directory):
        self.directory = directory
        self.blobs = os.path.join(directory, "blobs", "sha256")
        self.images = []
        os.makedirs(self.blobs)

    def json(self, value, media_type):
        data = json.dumps(value, separators=(",", ":")).encode()
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.blobs, digest), "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def add(self, layers, tag, command="/bin/sh"):
        """Adds an image of layers (their `facts`); those that another image has too are there once."""
        asked = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
        debian = asked.stdout.strip()
        architecture, variant = PLATFORMS.get(debian, (debian, None))
        config = {
            "created": CREATED, "architecture": architecture, "os": "linux",
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Cmd": [command], "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer['diff_id']}" for layer in layers]},
            "history": [{"created": CREATED, "created_by": layer["name"]} for layer in layers],
        }  # fmt: skip
        if variant:
            config["variant"] = variant
        for layer in layers:
            if os.path.exists(layer["path"]):
                os.replace(layer["path"], os.path.join(self.blobs, layer["digest"]))
        manifest = {
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.json(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": f"sha256:{layer['digest']}", "size": layer["size"],
                }
                for layer in layers
            ],
        }  # fmt: skip
        reference = self.json(manifest, "application/vnd.oci.image.manifest.v1+json")
        reference["annotations"] = {"org.opencontainers.image.ref.name": tag}
        self.images.append(reference)
        with open(os.path.join(self.directory, "oci-layout"), "w") as file:
            json.dump({"imageLayoutVersion": "1.0.0"}, file)
        with open(os.path.join(self.directory, "index.json"), "w") as file:
            json.dump({"schemaVersion": 2, "manifests": self.images}, file)
