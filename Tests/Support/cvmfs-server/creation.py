"""`mkfs` and `rmfs`: as much of them as tests need to have a repository and to be rid of it."""

import fcntl
import os
import subprocess

import mounts
import store
from settings import CONFIGURATION, MOUNTS, SPOOL, STORAGE, Failure, Repository, say

# Section 13. CVMFS_AUTO_TAG is false with `-g`.
TEMPLATE = """CVMFS_CREATOR_VERSION=143
CVMFS_REPOSITORY_NAME={name}
CVMFS_REPOSITORY_TYPE=stratum0
CVMFS_USER={owner}
CVMFS_UNION_DIR=/cvmfs/{name}
CVMFS_SPOOL_DIR=/var/spool/cvmfs/{name}
CVMFS_STRATUM0=http://localhost/cvmfs/{name}
CVMFS_UPSTREAM_STORAGE={upstream}
CVMFS_UNION_FS_TYPE=overlayfs
CVMFS_HASH_ALGORITHM=sha1
CVMFS_COMPRESSION_ALGORITHM=default
CVMFS_USE_FILE_CHUNKING=true
CVMFS_MIN_CHUNK_SIZE=4194304
CVMFS_AVG_CHUNK_SIZE=8388608
CVMFS_MAX_CHUNK_SIZE=16777216
CVMFS_AUTO_TAG={auto_tag}
CVMFS_AUTO_TAG_TIMESPAN=""
CVMFS_GARBAGE_COLLECTION=false
CVMFS_AUTO_REPAIR_MOUNTPOINT=true
CVMFS_AUTOCATALOGS=false
CVMFS_IGNORE_XDIR_HARDLINKS=true
"""
SHARED = (CONFIGURATION, "/etc/cvmfs", SPOOL, MOUNTS, STORAGE)


class AloneOnTheMachine:
    """The folders that all repositories share come with the first and go with the last: one mkfs or rmfs at a time."""

    def __enter__(self):
        self.descriptor = os.open("/var/spool", os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_):
        os.close(self.descriptor)


def make(arguments):
    owner, upstream, auto_tag, in_memory, name = "root", None, "true", False, None
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "-o":
            owner = rest.pop(0)
        elif argument == "-u":
            upstream = rest.pop(0)
        elif argument in ("-w", "-s", "-c", "-f", "-a", "-Z", "-k"):
            rest.pop(0)
        elif argument == "-g":
            auto_tag = "false"
        elif argument == "--in-memory":  # the stand-in's own: no server has it
            in_memory = True
        elif not argument.startswith("-"):
            name = argument
    if not name:
        raise Failure(3, "NOTE: Please specify a repository name", "stdout")
    repository = Repository(name)
    upstream = upstream or "local,%s/%s/data/txn,%s/%s" % (STORAGE, name, STORAGE, name)
    with AloneOnTheMachine():
        if os.path.lexists(repository.configuration):
            raise Failure(1, "The repository %s already exists." % name)
        repository.adopt({"CVMFS_USER": owner, "CVMFS_UPSTREAM_STORAGE": upstream})
        for folder in SHARED:
            os.makedirs(folder, 0o755, exist_ok=True)
        account = repository.account
        os.mkdir(repository.spool, 0o755)
        if in_memory:
            mounts.mount_memory(repository)
        for folder in (repository.spool, repository.rdonly, os.path.dirname(repository.scratch),
                       repository.scratch, repository.wastebin, repository.work,
                       *(os.path.join(repository.spool, part) for part in ("ovl_work", "tmp", "cache")),
                       repository.union):
            os.makedirs(folder, 0o755, exist_ok=folder == repository.spool)
            os.chown(folder, account.pw_uid, account.pw_gid)
        for folder in ("faults", "leases"):
            os.makedirs(os.path.join(repository.stand_in, folder))
        store.create(repository)
        mounts.mount_rdonly(repository)
        mounts.mount_union(repository, writable=False)
        # Last of all, so that nobody sees half a repository.
        _write_configuration(repository, TEMPLATE.format(
            name=name, owner=owner, upstream=upstream, auto_tag=auto_tag))
    say("Creating Configuration Files... done\nCreating CernVM-FS Storage... done\nInitial commit... done\n"
        "The new repository is available as /cvmfs/%s" % name)
    return 0


def _write_configuration(repository, settings):
    # No keys: a real server on this machine would read them.
    os.mkdir(repository.configuration)
    with open(os.path.join(repository.configuration, "server.conf"), "w") as file:
        file.write(settings)
    with open(os.path.join(repository.configuration, "client.conf"), "w") as file:
        file.write("CVMFS_SERVER_URL=http://localhost/cvmfs/%s\n" % repository.name)


def remove(arguments):
    names = [argument for argument in arguments if not argument.startswith("-")]
    if "-f" not in arguments:
        raise Failure(1, "The stand-in removes with -f only.")
    for name in names:
        repository = Repository(name)
        if "/" in name or not (os.path.lexists(repository.configuration) or os.path.lexists(repository.spool)):
            raise Failure(1, "The repository %s does not exist." % name)
        with AloneOnTheMachine():
            # First of all it stops being a repository, so that nobody sees half of one.
            subprocess.run(["/bin/rm", "-rf", "--", repository.configuration], check=True)
            mounts.unmount_both(repository, lazily=True)
            mounts.unmount_memory(repository)
            for path in (os.path.join(STORAGE, name), repository.spool):
                subprocess.run(["/bin/rm", "-rf", "--", path], check=True)
            for folder in (repository.union,) + SHARED:
                try:
                    os.rmdir(folder)
                except OSError:
                    pass  # another repository is in there
    return 0
