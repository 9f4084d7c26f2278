"""What a repository is made of on this machine: its paths, its server.conf and its owner (sections 2 and 13).

Everything that ends a command early is a `Failure`, which carries the exit code and the stream of its message
(section 1: the shell part's fatal errors go to stderr with 1; refusals of `publish` go to stdout)."""

import os
import pwd
import subprocess
import sys

CONFIGURATION = "/etc/cvmfs/repositories.d"
SPOOL = "/var/spool/cvmfs"
MOUNTS = "/cvmfs"
STORAGE = "/srv/cvmfs"


class Failure(Exception):
    """The command ends here."""

    def __init__(self, code, message="", stream="stderr"):
        super().__init__(message)
        self.code = code
        self.message = message
        self.stream = stream

    def report(self):
        if self.message:
            say(self.message, self.stream)


def say(message, stream="stdout"):
    """One write for each message, so that the lines of simultaneous commands don't mix."""
    target = 2 if stream == "stderr" else 1
    try:
        os.write(target, os.fsencode(message) + b"\n")
    except BrokenPipeError:
        pass


def warn(message):
    say(message, "stderr")


def unexpected(message, code=1):
    """An error that a C++ subcommand doesn't handle (section 1)."""
    return Failure(code, "(unexpected termination) %s\n\nStacktrace:\n0x5581a2b0c3d4\n0x5581a2b0c5e6" % message)


def repository_names():
    """The configured repositories in glob order."""
    try:
        entries = sorted(os.listdir(CONFIGURATION))
    except FileNotFoundError:
        return []
    return [name for name in entries if os.path.isdir(os.path.join(CONFIGURATION, name))]


def source(*files):
    """Variables of files that a shell sources."""
    script = "set -a; " + " ".join('[ ! -f "%s" ] || . "%s";' % (file, file) for file in files) + " env -0"
    output = subprocess.run(
        ["/bin/sh", "-c", script], env={"PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, check=True).stdout
    return dict(line.split("=", 1) for line in os.fsdecode(output).split("\0") if "=" in line)


class Repository:
    """The paths of one repository; `exists` says whether it is configured."""

    def __init__(self, name):
        self.name = name
        self.configuration = os.path.join(CONFIGURATION, name)
        self.spool = os.path.join(SPOOL, name)
        self.union = os.path.join(MOUNTS, name)
        self.rdonly = os.path.join(self.spool, "rdonly")
        self.scratch = os.path.join(self.spool, "scratch", "current")
        self.wastebin = os.path.join(self.spool, "scratch", "wastebin")
        self.work = os.path.join(self.spool, "ofs_workdir")
        self.flag = os.path.join(self.spool, "in_transaction.lock")
        self.publishing = os.path.join(self.spool, "is_publishing.lock")
        self.token = os.path.join(self.spool, "session_token")
        self.stand_in = os.path.join(self.spool, ".stand-in")
        self._settings = None

    @property
    def exists(self):
        return bool(self.name) and os.path.isfile(os.path.join(self.configuration, "server.conf"))

    def setting(self, key, default=""):
        if self._settings is None:
            self._settings = source("/etc/cvmfs/server.local", os.path.join(self.configuration, "server.conf"))
        return self._settings.get(key, default)

    def adopt(self, settings):
        """For mkfs, which has no server.conf yet."""
        self._settings = settings

    def is_on(self, key, default=False):
        value = self.setting(key)
        return value.lower() in ("true", "yes", "on", "1") if value else default

    @property
    def account(self):
        """CVMFS_USER's entry: its uid and its primary group own what is ingested (section 8)."""
        return pwd.getpwnam(self.setting("CVMFS_USER", "root"))

    @property
    def upstream(self):
        return self.setting("CVMFS_UPSTREAM_STORAGE", "local")

    @property
    def is_gateway(self):
        return self.upstream.startswith("gw,")

    @property
    def storage_type(self):
        """The word `list` shows (section 3)."""
        kind = self.upstream.split(",", 1)[0]
        return {"gw": "gw", "S3": "S3", "s3": "S3"}.get(kind, "local")

    @property
    def in_transaction(self):
        return os.path.lexists(self.flag)

    def set_flag(self):
        """False if another transaction is open. Section 2: mode 0600, empty, owned by CVMFS_USER."""
        try:
            descriptor = os.open(self.flag, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return False
        os.fchown(descriptor, self.account.pw_uid, self.account.pw_gid)
        os.close(descriptor)
        return True

    def clear_flag(self):
        try:
            os.unlink(self.flag)
        except FileNotFoundError:
            pass

    def run_hook(self, hook):
        """The exit code of a hook (section 13); 0 without one. A test that shares the machine with others puts its
        hooks into the stand-in's own folder instead of /etc."""
        files = ["/etc/cvmfs/cvmfs_server_hooks.sh", os.path.join(self.stand_in, "hooks.sh")]
        files = [file for file in files if os.path.isfile(file)]
        if not files:
            return 0
        script = "".join('. "%s"; ' % file for file in files)
        script += 'if command -v "$1" >/dev/null; then "$1" "$2"; fi'
        sys.stdout.flush()
        return subprocess.run(["/bin/sh", "-c", script, "sh", hook, self.name]).returncode


def require(name, code=1):
    """The repository a C++ subcommand was given, or the one there is (section 5)."""
    if not name:
        names = repository_names()
        if len(names) != 1:
            raise Failure(code, "\n".join(
                ["Invocation error: multiple repositories available in %s:" % CONFIGURATION] + names))
        name = names[0]
    repository = Repository(name)
    if not repository.exists:
        raise Failure(code, "CernVM-FS error: Unable to find the configuration file `server.conf` for the cvmfs"
                            " publisher: %s" % name)
    return repository


def within(path, directory):
    return path == directory or path.startswith(directory + "/")
