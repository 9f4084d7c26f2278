"""Following a stream: from a backlog beside tail, jq and rsyslog; to hooks; with many hooks; with nothing to do.

The last table has what is asked of it beside what was measured.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import tempfile
import time

from measure import Failure, Sample, measured, program, quiet, say, warm
from reading import emit

EVENTS = 1_000_000
NEEDLES = 10
NEEDLE = "registry.example.org/atlas/needle:25.0.1"
AUDITED = 300_000
SAMPLES = 100
RATE = 50_000
IDLE_SECONDS = 10
BACKLOG_FILES, BACKLOG_BYTES = 10, 10_000_000_000
HERE = os.path.dirname(os.path.abspath(__file__))


def following(bench):
    for name in ("test-emitter", "ducc-follow"):
        if not program(name):
            raise Failure(f"{name} is not built")
    asked = Asked()
    with tempfile.TemporaryDirectory(prefix="ducc-bench.", dir=bench.directory) as directory:
        path = os.path.join(directory, "notifications.log")
        haystack(path)
        warm(directory)
        peers(bench, path, asked)
        pipes(bench, path, asked)
        many(bench, path, asked)
    latency(bench, asked)
    idle(bench, asked)
    asked.show("Following, beside what is asked of it")


class Asked:
    """What was measured, beside what it was to be."""

    def __init__(self):
        self.rows = []

    def add(self, label, value, unit, least=None, most=None):
        self.rows.append((label, value, unit, least, most))

    def show(self, title):
        say("")
        print(f"\n{title}")
        for label, value, unit, least, most in self.rows:
            met = (least is None or value >= least) and (most is None or value < most)
            target = f"≥ {least:,}" if least is not None else f"< {most:,}" if most is not None else ""
            digits = 0 if value >= 100 else 2
            missed = "" if met else "missed"
            print(f"  {label:<46}{f'{value:,.{digits}f} {unit}':>16}  {target:<14}{missed}".rstrip(), flush=True)


# A backlog, beside others


def haystack(path):
    """Events of one image, and among them few of another, the very last one too."""
    for _ in range(NEEDLES):
        emit(path, EVENTS // NEEDLES - 1)
        with open(path, "rb+") as file:
            file.seek(-2000, os.SEEK_END)
            file.write(needle(file.read().splitlines()[-1]))


def needle(event, identifier=None):
    """A line like another, of the image that is looked for."""
    event = event.replace(b"atlas/athena", b"atlas/needle")
    if identifier:
        head, mark, rest = event.partition(b'"event_id":"')
        event = head + mark + identifier.encode() + b'"' + rest.partition(b'"')[2]
    body = event.rpartition(b',"check":"')[0]
    return body + b',"check":"' + hashlib.sha256(body).hexdigest()[:32].encode() + b'"}\n'


def rated(function):
    """A whole run's events per second."""

    def run(fresh):
        begin = time.perf_counter()
        function(fresh)
        return Sample(EVENTS / (time.perf_counter() - begin), "/s")

    return run


def peers(bench, path, asked):
    def ours(_):
        sample = measured(["taskset", "-c", "0", program("ducc-follow"), path, "--no-follow", "--image", NEEDLE])
        return Sample(EVENTS / sample.value, "/s", sample.memory)

    tail = ["tail", "-n", "+1", "-F", path]

    def bytes_through(_):
        with started(tail, stdout=subprocess.PIPE) as process:
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 1 << 20)
            left = os.path.getsize(path)
            while left > 0:
                left -= len(os.read(process.stdout.fileno(), 1 << 20))

    def through_jq(_):
        select = ["jq", "--unbuffered", "-c", f'select(.image == "{NEEDLE}")']
        with started(tail, stdout=subprocess.PIPE) as first:
            with started(select, stdin=first.stdout, stdout=subprocess.PIPE) as second:
                for _ in range(NEEDLES):
                    second.stdout.readline()

    def rsyslog(fresh):
        configuration, output = os.path.join(fresh, "rsyslog.conf"), os.path.join(fresh, "output")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(f"""
                global(workDirectory="{fresh}")
                module(load="imfile")
                template(name="line" type="string" string="%msg%\\n")
                input(type="imfile" file="{path}" tag="ducc:")
                :msg, contains, "{NEEDLE}" action(type="omfile" file="{output}" template="line")
                stop
                """)
        with started(["/usr/sbin/rsyslogd", "-n", "-f", configuration, "-i", os.path.join(fresh, "pid")]):
            until(lambda: lines(output) >= NEEDLES, "rsyslog")

    label = "ducc-follow --image, one core"
    medians = bench.group(
        f"{EVENTS:,} events from a backlog, {os.path.getsize(path) // EVENTS} bytes each, {NEEDLES} wanted",
        [
            (label, ours),
            ("tail -F, its bytes alone", rated(bytes_through)),
            ("tail -F | jq -c select(…)", rated(through_jq)),
            ("rsyslog's imfile", rated(rsyslog)),
        ],
    )
    asked.add("from a backlog, with a filter, on one core", medians[label], "/s", least=1_000_000)
    for other, rate in list(medians.items())[1:]:
        asked.add(f"… times {other}", medians[label] / rate, "", least=1)


# A daemon


@contextlib.contextmanager
def started(command, **options):
    """A process that is killed in the end, if it still runs."""
    process = subprocess.Popen(command, stdin=options.pop("stdin", subprocess.DEVNULL), **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


class Daemon:
    """`ducc-follow run` with its state in a directory of its own."""

    def __init__(self, directory, stream, hooks):
        self.state = os.path.join(directory, "state")
        configuration = os.path.join(directory, "follow.yaml")
        with open(configuration, "w", encoding="utf-8") as file:
            json.dump({"stream": stream, "state": self.state, "hooks": hooks}, file)
        self.log = open(os.path.join(directory, "log"), "w+", encoding="utf-8")
        command = [program("ducc-follow"), "run", configuration]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def cursor(self, hook):
        try:
            with open(os.path.join(self.state, "cursors", f"{hook}.json"), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {"files": []}

    def has_read(self, hook, path):
        """Whether a hook's cursor is behind a file's last event."""
        size, inode = os.path.getsize(path), os.stat(path).st_ino
        return any(file["inode"] == inode and file["offset"] == size for file in self.cursor(hook)["files"])

    def status(self, key):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(key + ":"))

    def wakeups(self):
        """How often any of its threads was put on a processor."""
        count, tasks = 0, f"/proc/{self.process.pid}/task"
        for thread in os.listdir(tasks):
            with open(f"{tasks}/{thread}/status", encoding="ascii") as file:
                count += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
        return count

    def end(self):
        """Ends it as a service manager does, and gives the processor time that it took."""
        before = children_time()
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait() != 0:
            self.log.seek(0)
            raise Failure(f"ducc-follow run: {self.log.read().splitlines()[-1:]}")
        return children_time() - before


def children_time():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def until(condition, what, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"{what} took longer than {seconds} s")
        time.sleep(0.002)


def lines(path):
    try:
        with open(path, "rb") as file:
            return file.read().count(b"\n")
    except FileNotFoundError:
        return 0


def compiled(directory, name):
    binary = os.path.join(directory, name)
    quiet(["gcc", "-O2", "-static", "-o", binary, os.path.join(HERE, f"{name}.c")])
    return binary


def pipes(bench, path, asked):
    acknowledge = compiled(bench.directory, "acknowledge")
    audit = os.path.join(HERE, "..", "..", "consumers", "audit-sqlite", "hook")
    less = path + ".less"
    emit(less, AUDITED)

    def rate(stream, events, command):
        def run(fresh):
            begin = time.perf_counter()
            hook = {"name": "pipe", "pipe": [word.format(fresh) for word in command], "from": "start"}
            with Daemon(fresh, stream, [hook]) as daemon:
                until(lambda: daemon.has_read("pipe", stream), "the pipe hook")
                sample = Sample(events / (time.perf_counter() - begin), "/s", daemon.status("VmHWM") * 1024)
                daemon.end()
                return sample

        return run

    medians = bench.group(
        "Events to a pipe hook, acknowledged and passed by its cursor",
        [
            ("a hook in C that keeps nothing", rate(path, EVENTS, [acknowledge])),
            (f"audit-sqlite, {AUDITED:,} events", rate(less, AUDITED, [audit, "{}/audit.db"])),
        ],
    )
    os.remove(less)
    asked.add("a pipe hook, events acknowledged", list(medians.values())[0], "/s", least=200_000)
    asked.add("… audit-sqlite", list(medians.values())[1], "/s")


def many(bench, path, asked):
    def time_of(count):
        hooks = [
            {"name": f"h{number}", "exec": ["/bin/true"], "image": f"*/atlas/none-{number}:*", "from": "start"}
            for number in range(count)
        ]

        def run(fresh):
            with Daemon(fresh, path, hooks) as daemon:
                until(lambda: all(daemon.has_read(hook["name"], path) for hook in hooks), "reading")
                return Sample(daemon.end())

        return run

    medians = bench.group(
        f"Processor time to read {EVENTS:,} events that no hook wants",
        [("100 hooks", time_of(100)), ("1 hook", time_of(1))],
    )
    asked.add("100 hooks on one stream, times one", medians["100 hooks"] / medians["1 hook"], "", most=2)


# How soon, and with nothing to do


def latency(bench, asked):
    stamp = compiled(bench.directory, "stamp")

    def delays(rate):
        found = []
        for turn in range(bench.runs):
            say(f"From append to hook at {rate:,} events/s, {turn + 1} of {bench.runs}")
            with bench.fresh() as fresh:
                found += sampled(fresh, rate, stamp)
        return sorted(found)

    for rate, when in ((0, "idle"), (RATE, f"while {RATE:,}/s go by")):
        found = delays(rate)
        asked.add(f"append to hook, {when}, median", statistics.median(found), "ms", most=2)
        asked.add(f"append to hook, {when}, 99 of 100", found[len(found) * 99 // 100], "ms", most=10)


def sampled(fresh, rate, stamp):
    """Milliseconds from before an event's append to its hook's first instruction."""
    stream, output = os.path.join(fresh, "notifications.log"), os.path.join(fresh, "stamps")
    emit(stream, 1)
    with open(stream, "rb") as file:
        event = file.read().rstrip(b"\n")
    hook = {"name": "stamp", "exec": [stamp, output, "{event_id}"], "image": NEEDLE}
    appended = []
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(Daemon(fresh, stream, [hook]))
        until(lambda: daemon.cursor("stamp")["files"], "the daemon")
        if rate:
            others = [program("test-emitter"), stream, "--rate", str(rate), "--count", str(rate * 60)]
            stack.enter_context(started(others, stdout=subprocess.DEVNULL))
        file = os.open(stream, os.O_WRONLY | os.O_APPEND)
        stack.callback(os.close, file)
        time.sleep(0.5)
        for number in range(SAMPLES):
            line = needle(event, f"sample:{number}")
            appended.append(time.monotonic_ns())
            os.write(file, line)
            until(lambda: lines(output) > number, "a hook", seconds=10)
            time.sleep(random.uniform(0, 0.02))
    with open(output, encoding="ascii") as stamps:
        began = {int(word.split(":")[1]): int(when) for word, when in map(str.split, stamps)}
    return [(began[number] - appended[number]) / 1e6 for number in range(SAMPLES)]


def idle(bench, asked):
    with bench.fresh() as fresh:
        stream = os.path.join(fresh, "notifications.log")
        emit(stream, 1000)
        hooks = [
            {"name": "exec", "exec": ["/bin/true"], "image": NEEDLE},
            {"name": "pipe", "pipe": ["/bin/cat"], "image": NEEDLE, "from": "start"},
        ]
        with Daemon(fresh, stream, hooks) as daemon:
            until(lambda: daemon.has_read("pipe", stream), "the daemon")
            # What it still does on account of its start.
            time.sleep(3)
            before = daemon.wakeups()
            say(f"Idle for {IDLE_SECONDS} s")
            time.sleep(IDLE_SECONDS)
            asked.add(f"idle, wake-ups in {IDLE_SECONDS} s", daemon.wakeups() - before, "", most=1)
            asked.add("idle, resident memory", daemon.status("VmRSS") / 1000, "MB", most=25)


# Ten gigabytes


def backlog(bench):
    """Only where it is asked for: it needs that much room where temporary files are."""
    asked = Asked()
    with tempfile.TemporaryDirectory(prefix="ducc-bench.", dir=bench.directory) as directory:
        path = os.path.join(directory, "notifications.log")
        emit(path, 1000)
        count = BACKLOG_BYTES // BACKLOG_FILES // (os.path.getsize(path) // 1000)
        os.remove(path)
        for number in reversed(range(BACKLOG_FILES)):
            say(f"Writing a backlog, {number} files to go")
            emit(f"{path}.{number}" if number else path, count)
        events = count * BACKLOG_FILES
        hooks = [
            {"name": "all", "pipe": [compiled(bench.directory, "acknowledge")], "from": "start"},
            {"name": "few", "exec": ["/bin/true"], "image": NEEDLE, "from": "start"},
        ]
        begin = time.perf_counter()
        say("Reading it")
        with Daemon(directory, path, hooks) as daemon:
            until(lambda: all(daemon.has_read(name, path) for name in ("all", "few")), "reading", 1200)
            seconds = time.perf_counter() - begin
            asked.add(f"{events:,} events of 10 GB", events / seconds, "/s")
            asked.add("its most memory", daemon.status("VmHWM") / 1000, "MB", most=40)
            daemon.end()
    asked.show("A backlog of 10 GB, all of it acknowledged by a pipe hook")
