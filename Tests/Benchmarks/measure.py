"""What every benchmark needs: fresh file systems, equal page caches, processes measured, medians, one table."""

import contextlib
import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELEASE = os.path.join(ROOT, ".build", "release")


class Failure(Exception):
    """What the user is told, in one line."""


class Bench:
    """One run of `make bench`: where it works, how often it repeats, on which file system it writes."""

    def __init__(self, directory, runs, file_system):
        self.directory, self.runs, self.file_system = directory, runs, file_system

    @contextlib.contextmanager
    def fresh(self):
        """An empty directory on a file system that nothing was ever deleted from.

        ext4 looks through recently deleted inodes whenever a file is made: a directory emptied by `rm -rf` makes the
        next run slower, by more the larger the last one was. Without root it is a directory on /dev/shm.
        """
        if os.geteuid() != 0:
            parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else self.directory
            path = os.path.join(parent, f"ducc-bench-{os.getpid()}")
            os.mkdir(path)
            try:
                yield path
            finally:
                subprocess.run(["chmod", "-R", "u+rwX", path], stderr=subprocess.DEVNULL, check=False)
                shutil.rmtree(path)
            return
        path, disk = os.path.join(self.directory, "fresh"), os.path.join(self.directory, "disk")
        os.makedirs(path, exist_ok=True)
        if self.file_system == "ext4":
            with open(disk, "wb") as file:
                file.truncate(8 << 30)
            quiet(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", disk])
            quiet(["mount", "-o", "loop", disk, path])
        else:
            quiet(["mount", "-t", "tmpfs", "-o", "size=8g,mode=755", "ducc-bench", path])
        try:
            yield path
        finally:
            quiet(["umount", path])
            if self.file_system == "ext4":
                os.remove(disk)

    def group(self, title, contestants):
        """Runs each contestant once unmeasured, then `runs` times in turn; prints the group's rows.

        A contestant is (label, function of a fresh directory → Sample). The first is ours: the others' rows say the
        ratio of ours to theirs. Returns the medians by their labels.
        """
        samples = {label: [] for label, _ in contestants}
        for turn in range(self.runs + 1):
            for label, function in contestants:
                say(f"{title}: {label}, {'warming up' if turn == 0 else f'{turn} of {self.runs}'}")
                with self.fresh() as path:
                    sample = function(path)
                if turn > 0:
                    samples[label].append(sample)
        say("")
        print(f"\n{title}, {self.runs} runs")
        print(line("", "median", "least – most", "ratio", "memory"))
        ours, medians = None, {}
        for label, _ in contestants:
            values = [sample.value for sample in samples[label]]
            median = medians[label] = statistics.median(values)
            ratio = f"{ours / median:.2f}" if ours else ""
            ours = ours or median
            show = samples[label][0].text
            memory = max(sample.memory for sample in samples[label])
            peak = f"{memory / 1e6:.0f} MB" if memory else ""
            spread = f"{show(min(values))} – {show(max(values))}"
            print(line(label, f"{show(median)} {samples[label][0].unit}", spread, ratio, peak), flush=True)
        return medians


class Sample:
    """One measured run: seconds, or a rate with its unit, and the peak of memory in bytes where it is known."""

    def __init__(self, value, unit="s", memory=0):
        self.value, self.unit, self.memory = value, unit, memory

    def text(self, value):
        return f"{value:.{2 if self.unit == 's' else 1}f}" if self.unit in ("s", "ms") else f"{value:,.0f}"

    def in_milliseconds(self):
        return Sample(self.value * 1000, "ms", self.memory)


def line(label, median, spread, ratio, memory):
    return f"  {label:<32}{median:>10}  {spread:^19} {ratio:>5} {memory:>8}".rstrip()


def say(text):
    """A line of progress on a terminal, overwritten by the next."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text[:79]}", end="", file=sys.stderr, flush=True)


def quiet(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
    return done.stdout


def measured(*commands, environment=None, shell=False):
    """Runs commands one after the other: their wall time together, their largest peak of memory.

    A list of commands in place of a command: they run side by side, and their memory isn't looked at.
    """
    memory, begin = 0, time.perf_counter()
    for command in commands:
        several = not shell and isinstance(command[0], list)
        with contextlib.ExitStack() as stack:
            started = [
                Running(each, stack.enter_context(tempfile.TemporaryFile()), environment, shell)
                for each in (command if several else [command])
            ]
            if not several:
                memory = max(memory, peak_until_exit(started[0].process.pid))
            for running in started:
                running.finish()
    return Sample(time.perf_counter() - begin, memory=0 if shell else memory)


class Running:
    """A command under way, its errors in a file."""

    def __init__(self, command, errors, environment, shell):
        self.errors, self.name = errors, command if shell else os.path.basename(command[0])
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, shell=shell,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip

    def finish(self):
        if self.process.wait() == 0:
            return
        self.errors.seek(0)
        last = self.errors.read().decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise Failure(f"{self.name} failed (exit code {self.process.returncode}): {last[0]}")


def peak_until_exit(pid):
    """Waits for the end of a process, looking at its peak of resident memory now and then.

    (What wait4 says instead counts this interpreter's own memory from before the program was executed.)
    """
    peak, handle = 0, os.pidfd_open(pid)
    try:
        ended = select.poll()
        ended.register(handle, select.POLLIN)
        with open(f"/proc/{pid}/status", "rb", buffering=0) as status:
            while not ended.poll(20):
                for line in status.read().splitlines():
                    if line.startswith(b"VmHWM:"):
                        peak = max(peak, int(line.split()[1]) * 1024)
                status.seek(0)
    finally:
        os.close(handle)
    return peak


def warm(directory):
    """Reads every file below a directory, so that each contestant finds it in the page cache."""
    for parent, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(parent, name), "rb") as file:
                while file.read(1 << 20):
                    pass


def program(name):
    """One of our programs, or None where it is not built."""
    path = os.path.join(RELEASE, name)
    return path if os.access(path, os.X_OK) else None
