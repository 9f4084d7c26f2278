"""What the stand-in's own tests share: a repository for each test, removed with its mounts whatever happens.

With CVMFS_SERVER=real they run against the `cvmfs_server` that this machine has, but for those that hold or break it at
a step, or look into the stand-in's own files: those are skipped."""

import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import unittest

REAL = os.environ.get("CVMFS_SERVER") == "real"
PROGRAM = "cvmfs_server" if REAL else os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cvmfs_server")
PATIENCE = 200 if REAL else 30
NEW = "new_repository"
_numbers = itertools.count(1)


class Result:
    def __init__(self, process):
        out, error = process.communicate(timeout=PATIENCE)
        self.code, self.out, self.error = process.returncode, out.decode("utf-8", "replace"), error.decode(
            "utf-8", "replace")


class RepositoryTest(unittest.TestCase):
    """`self.name` is a repository that only this test knows."""

    mkfs_options = ()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="stand-in-%d-" % os.getpid())
        self.addCleanup(shutil.rmtree, self.folder)
        self.name = self.another(*self.mkfs_options)
        self.union = "/cvmfs/" + self.name
        self.spool = "/var/spool/cvmfs/" + self.name
        self.rdonly = self.spool + "/rdonly"
        self.scratch = self.spool + "/scratch/current"
        self.stand_in = self.spool + "/.stand-in"

    def another(self, *options):
        name = "t%d-%d.stand-in.test" % (os.getpid(), next(_numbers))
        self.addCleanup(
            subprocess.run, [PROGRAM, "rmfs", "-f", name], check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)
        self.succeed("mkfs", "-o", "root", *options, name)
        return name

    # Commands

    def start(self, *arguments, stdin=subprocess.DEVNULL, group=False, environment=None, cwd=None):
        process = subprocess.Popen(
            [PROGRAM, *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd,
            start_new_session=group, env=dict(os.environ, **(environment or {})))
        self.addCleanup(self._end, process)
        return process

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)

    def run_server(self, *arguments, data=None, **options):
        if data is None:
            return Result(self.start(*arguments, **options))
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            return Result(self.start(*arguments, stdin=file, **options))

    def succeed(self, *arguments, **options):
        result = self.run_server(*arguments, **options)
        self.assertEqual(result.code, 0, (arguments, result.out, result.error))
        return result

    def fail_with(self, code, *arguments, **options):
        result = self.run_server(*arguments, **options)
        self.assertEqual(result.code, code, (arguments, result.out, result.error))
        return result

    def transaction(self, *options):
        return self.succeed("transaction", *options, self.name)

    def publish(self, *options):
        return self.succeed("publish", *options, self.name)

    def ingest(self, archive, *options, base="base"):
        return self.succeed("ingest", "-t", "-", "-b", base, *options, self.name, data=archive)

    def published(self, **files):
        """Publishes files given as path=text, with `__` for `/`."""
        self.transaction()
        for key, text in files.items():
            self.write(self.union + "/" + key.replace("__", "/"), text)
        self.publish()

    # What is seen

    @property
    def revision(self):
        return int(os.getxattr(self.rdonly, "user.revision"))

    @property
    def signed(self):
        if REAL:
            with open("/srv/cvmfs/%s/.cvmfspublished" % self.name, "rb") as file:
                return int(next(line for line in file if line.startswith(b"S"))[1:])
        with open(self.stand_in + "/state.json") as file:
            return json.load(file)["revision"]

    @property
    def state(self):
        return [line for line in self.succeed("list").out.splitlines() if line.startswith(self.name)][0]

    @property
    def catalogs(self):
        return self.succeed("list-catalogs", "-x", self.name).out.split()

    def names(self, path=""):
        """Without the file that mkfs leaves in the root (section 18)."""
        return sorted(name for name in os.listdir(os.path.join(self.rdonly, path)) if path or name != NEW)

    def read(self, path):
        with open(os.path.join(self.rdonly, path)) as file:
            return file.read()

    def status(self, path):
        return os.lstat(os.path.join(self.rdonly, path))

    def is_writable(self):
        try:
            os.mkdir(self.union + "/.probe")
            os.rmdir(self.union + "/.probe")
            return True
        except OSError:
            return False

    def only_stand_in(self):
        """What follows is of the stand-in's own making."""
        if REAL:
            self.skipTest("of the stand-in only")

    def journal(self, operation):
        self.only_stand_in()
        with open(self.stand_in + "/journal") as file:
            lines = [json.loads(line) for line in file]
        return [line for line in lines if line["operation"] == operation]

    @staticmethod
    def write(path, text="x"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def configure(self, **settings):
        with open("/etc/cvmfs/repositories.d/%s/server.conf" % self.name, "a") as file:
            for key, value in settings.items():
                file.write("%s=%s\n" % (key, value))

    def hook(self, name, body):
        self.only_stand_in()
        self.write(self.stand_in + "/hooks.sh", "%s() { %s; }\n" % (name, body))

    # Faults

    def fault(self, step, **fault):
        self.only_stand_in()
        self.write("%s/faults/%s" % (self.stand_in, step), json.dumps(fault))

    def hold(self, step):
        """The command stops at the step until `let_go`."""
        self.fault(step, touch=self.folder + "/reached", wait=self.folder + "/go")

    def reached(self):
        self.wait_for(lambda: os.path.exists(self.folder + "/reached"))

    def let_go(self):
        self.write(self.folder + "/go")

    def wait_for(self, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, "it never happened")
            time.sleep(0.005)

    def kill_group(self, process, number=signal.SIGKILL):
        os.killpg(process.pid, number)
        return Result(process)


def entry(name, kind=tarfile.REGTYPE, data=b"", **fields):
    member = tarfile.TarInfo(name)
    member.type, member.size, member.mtime, member.mode = kind, len(data), 1600000000, 0o644
    for key, value in fields.items():
        setattr(member, key, value)
    return member, data


def directory(name, **fields):
    return entry(name, tarfile.DIRTYPE, **dict({"mode": 0o755}, **fields))


def archive(*members, form=tarfile.PAX_FORMAT):
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=form) as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    return output.getvalue()
