"""make faults: randomised histories against real servers while seeded faults strike; judge.py says what came of each.

One run: a database, a capture name and a state folder of its own on servers that the whole batch shares. The capture and
the projection worker are the build with fault points (core/base/fault.h): a strike is armed at a point, the process stops
itself there, and only then something is killed, stopped, cut or taken over. So each fault meets the window it is meant for.
"""
import argparse
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("MILLRACE", str(ROOT / "build" / "faults" / "millrace"))
sys.path[:0] = [str(ROOT / "test" / "integ"), str(Path(__file__).parent)]

from confluent_kafka.admin import AdminClient  # noqa: E402

import judge  # noqa: E402
import plan  # noqa: E402
import witness  # noqa: E402
import world  # noqa: E402
import writers  # noqa: E402
from harness import (MILLRACE, Reader, Servers, Setup, contains, gtid_set, run_sql, source_position,  # noqa: E402
                     wait_until, with_lists)  # noqa: E402
from proxy import Proxy  # noqa: E402
import harness  # noqa: E402

SLOTS, SLOT, NAME = 64, struct.Struct("48sQQ"), 48

WINDOWS = {
    "transaction": ["change"],
    "commit": ["produced", "commit_record", "position_record", "flushed", "committed"],
    "chunk": ["window_open", "chunk_read", "chunk_row"],
    "take-over": ["initialised", "position_read"],
    "view": ["applied", "view_rows", "view_position", "view_committed"],
    "idle": [],
}
WINDOW_OF = {point: window for window, points in WINDOWS.items() for point in points}
FAULTS = ["kill capture", "stop capture", "kill broker", "stop broker", "kill source", "stop source", "cut", "take-over",
          "kill worker", "stop worker"]
# what can strike in a window, the more often the more it costs nothing
STRIKES = {
    "transaction": ["kill capture"] * 3 + ["kill broker", "kill source", "cut", "cut", "stop capture", "take-over", "take-over", "stop broker"],
    "commit": ["kill capture"] * 4 + ["kill broker", "kill broker", "kill source", "take-over", "take-over", "stop capture", "stop broker", "cut"],
    "chunk": ["kill capture"] * 2 + ["cut", "cut", "kill source", "kill source", "kill broker", "take-over", "stop source"],
    "take-over": ["kill capture", "kill capture", "kill broker", "kill source", "cut", "stop capture", "stop broker"],
    "view": ["kill worker"] * 5 + ["stop worker", "kill broker", "stop broker"],
    "idle": ["kill capture", "kill worker", "kill broker", "kill source", "stop source", "stop broker", "take-over", "cut"],
}


def say(text):
    print(text, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Slots:
    """The file of fault points that one process shares with us."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(SLOT.size * SLOTS))
        self.file = open(path, "r+b", buffering=0)
        for number, name in enumerate(["process", *WINDOW_OF, "slow_chunk"]):
            self.write(number, name)

    def write(self, number, name, passes=0, armed=0):
        self.file.seek(number * SLOT.size)
        self.file.write(SLOT.pack(name.encode(), passes, armed))

    def read(self, number):
        self.file.seek(number * SLOT.size)
        name, passes, armed = SLOT.unpack(self.file.read(SLOT.size))
        return name.rstrip(b"\0").decode(), passes, armed

    def number(self, point):
        return next(n for n in range(1, SLOTS) if self.read(n)[0] == point)

    def set_armed(self, number, at):
        self.file.seek(number * SLOT.size + NAME + 8)
        self.file.write(struct.pack("Q", at))

    def arm(self, point, times):
        number = self.number(point)
        self.set_armed(0, 0)
        self.set_armed(number, self.read(number)[1] + times)

    def slow(self, milliseconds):
        """The read of each chunk takes that much longer, while the stream goes on."""
        self.set_armed(self.number("slow_chunk"), milliseconds)

    def disarm(self, point):
        self.set_armed(self.number(point), 0)

    def stopped_at(self):
        """Point at which the process stopped itself; None: it didn't."""
        at = self.read(0)[2]
        return self.read(at)[0] if at else None

    def last(self):
        at = self.read(0)[1]
        return self.read(at)[0] if at else None


class Instance:
    """One process under test, with a log and a file of fault points of its own."""
    made = 0

    def __init__(self, run, verb):
        Instance.made += 1
        self.run, self.verb, self.process = run, verb, None
        self.label = f"{verb}{Instance.made}"
        self.log_path = run.folder / f"{self.label}.log"
        self.slots = Slots(run.folder / f"{self.label}.points")

    def start(self):
        env = {**os.environ, **self.run.setup.env, "MILLRACE_FAULT_FILE": str(self.slots.path)}
        listen = f"--http.listen=127.0.0.1:{free_port()}"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(harness.MILLRACE), self.verb, "-c", str(self.run.setup.conf), listen], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.run.folder, env=env)
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def state(self):
        try:
            return Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return "X"

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(30)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    LEADS = re.compile(r'^time=(\S+) .* msg="(?:copying and )?streaming of ', re.M)

    def led_since(self):
        """When its last session began; empty: it never led."""
        return max(self.LEADS.findall(self.log()), default="")

    def stands_by(self):
        return "standing by" in self.log() or bool(self.led_since()) or not self.alive() or self.state() == "T"

    def tail(self, lines=6):
        return "\n".join(self.log().splitlines()[-lines:])


class Batch:
    """The servers, and the figures of all runs."""

    def __init__(self, folder, on):
        self.folder, self.on = folder, on
        self.servers = Servers(folder / "servers", "--brokers", "3")
        self.struck = defaultdict(Counter)      # window -> fault -> times
        self.missed = Counter()
        self.found = Counter()
        self.failed = []
        self.seconds = []
        self.records = self.changes = self.transactions = 0

    def down_process(self, what):
        """pid of a server."""
        home = Path(self.servers.env["SERVERS_HOME"])
        return int((home / what.replace(":", "/") / "pid").read_text())

    def heal(self):
        self.servers.script("start", self.servers.folder, "--mariadb", "--kafka")


class Run:
    def __init__(self, batch, seed, folder):
        self.batch, self.servers, self.seed, self.folder, self.on = batch, batch.servers, seed, folder, batch.on
        self.random = random.Random(seed)
        self.db = self.name = f"f{seed}x{os.getpid()}"
        self.notes, self.struck, self.missed = [], [], []
        self.problems = judge.Problems()
        self.captures, self.worker, self.retired = [], None, []
        self.healers, self.broker_down = [], False
        self.lock = threading.Lock()
        self.begun = time.monotonic()
        self.marks = []
        self.at_least_once = self.on["at-least-once"] and seed % 4 == 3
        self.slow_chunk = self.random.choice((0, 20, 100, 200))

    def note(self, text):
        self.notes.append(f"{time.monotonic() - self.begun:6.2f} {text}")

    # ---- before

    def prepare(self):
        self.connection = self.servers.connect()
        run_sql(self.connection, "FLUSH BINARY LOGS")
        self.first_file = run_sql(self.connection, "SHOW MASTER STATUS")[0][0]
        run_sql(self.connection, *world.create(self.db, self.on, self.random))
        self.plan = plan.make(self.seed, self.on, self.random.choice((80, 120, 160)))
        (self.folder / "plan.sql").write_text(plan.text(self.plan))
        self.proxy = Proxy("127.0.0.1", int(self.servers.env["MARIADB_PORT"]))
        r = self.random
        settings = {"source.host": "127.0.0.1", "source.port": self.proxy.port, "kafka.replication": 3, "kafka.schemas_topic": f"{self.name}._schemas",
                    "kafka.timeout": "10s", "capture.memory": "8MB", "capture.commit_bytes": r.choice(("64k", "256k", "1MB")),
                    "capture.commit_interval": r.choice(("20ms", "100ms", "250ms")), "capture.events": "events",
                    "copy.chunk_rows": r.choice((40, 100, 250)), "source.read_timeout": "8s", "source.server_id": 10000 + self.seed % 1000000}
        self.setup = Setup(self.servers, self.folder, self.name, ", ".join(f"{self.db}.{t}" for t in world.captured(self.on)))
        self.setup.settings.update({k: str(v) for k, v in settings.items()})
        if self.at_least_once:
            self.setup.settings["capture.delivery"] = "at-least-once"
        self.setup.settings["kafka.partitions"] = str(r.choice((1, 2, 3)))
        self.setup.write()
        world.write_files(self.folder, self.name, self.db)
        self.reader = TopicReader(self.servers.bootstrap, f"{self.name}._schemas")
        self.setup.reader = self.reader

    # ---- strikes

    def may_take_over(self):
        return self.on["take-over"] and not self.at_least_once

    def strikes(self):
        """Which fault in which window: windows in turn, by the seed, so that a batch meets all of them."""
        r = self.random
        # without transactions a writer that is paused and replaced may repeat: docs/DELIVERY.md says so, and it is not asked for
        windows = [w for w in WINDOWS if w != "chunk" and (w != "take-over" or self.may_take_over())]
        turn = self.seed % len(windows)
        mine = ["chunk", windows[turn], windows[(turn + 1 + self.seed // len(windows) % (len(windows) - 1)) % len(windows)], r.choice(windows)]
        out = []
        for window in mine:
            fault = r.choice([f for f in STRIKES[window] if (f != "take-over" or self.may_take_over()) and (f != "cut" or self.on["cuts"])])
            point = r.choice(WINDOWS[window]) if WINDOWS[window] else None
            most = {"change": 60, "chunk_row": 40, "applied": 60}.get(point, 4)
            out.append((window, point, r.randint(1, most), fault, r.uniform(0.2, 3)))
        return out

    @property
    def capture(self):
        """The instance that leads: the one whose session began last."""
        alive = [c for c in self.captures if c.alive()] or self.captures
        return max(alive, key=lambda c: c.led_since()) if alive else None

    def start_capture(self, strike=None):
        """strike: it is armed before the first instruction runs."""
        instance = Instance(self, "run")
        instance.slots.slow(self.slow_chunk)
        if strike:
            instance.slots.arm(strike[1], strike[2])
        self.captures.append(instance.start())
        return instance

    def start_worker(self):
        if self.worker is not None:
            self.retired.append(self.worker)
        self.worker = Instance(self, "project").start()

    def wait_stop(self, instance, point, seconds):
        """Until the process has stopped itself at the point; where it doesn't get there in time, it is stopped where it is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and instance.alive():
            if instance.slots.stopped_at() == point and instance.state() == "T":
                return point
            time.sleep(0.005)
        instance.slots.disarm(point)
        instance.signal(signal.SIGSTOP)
        wait_until("the process to stop", lambda: instance.state() in "TXZ", 10, 0.005)
        return instance.slots.last()

    def idle(self):
        """Until nothing is delivered any more: no fault point is passed for a while."""
        end = time.monotonic() + 6
        last, since = None, time.monotonic()
        for writer in self.writers:
            writer.pause()
        while time.monotonic() < end:
            now = [self.capture.slots.read(n)[1] for n in range(1, len(WINDOW_OF) + 1)] if self.capture.alive() else None
            if now != last:
                last, since = now, time.monotonic()
            if time.monotonic() - since > 0.4:
                return True
            time.sleep(0.05)
        return False

    def strike(self, window, point, times, fault, seconds):
        if window == "idle":
            window = "idle" if self.idle() else "transaction"
            self.count(window, fault, None)
            self.do(fault, None, seconds)
            for writer in self.writers:
                writer.go_on()
            return
        if window == "take-over":
            target = self.take_over(point)
        else:
            target = self.worker if window == "view" else self.capture
        if window not in ("take-over", "chunk"):    # else it was armed when it was started
            target.slots.arm(point, times)
        at = self.wait_stop(target, point, {"take-over": 25, "chunk": 15}.get(window, 5))
        if at != point:
            self.missed.append(point)
        self.count(WINDOW_OF.get(at, "idle") if at != point else window, fault, at)
        self.do(fault, target, seconds)
        for c in [target, *self.captures]:
            c.signal(signal.SIGCONT)

    def take_over(self, point, sleeper=None):
        """A second instance, whose turn has come: the first is killed, or stopped for longer than the brokers wait."""
        first = sleeper or self.capture
        other = self.start_capture((None, point, 1) if point else None)
        if sleeper is None:
            end = time.monotonic() + 20
            while not other.stands_by() and time.monotonic() < end:
                time.sleep(0.02)
            if first is not None and self.random.random() < 0.5:
                first.kill()
                self.captures.remove(first)
                self.retired.append(first)
            elif first is not None:
                first.signal(signal.SIGSTOP)
        return other

    def count(self, window, fault, point):
        self.note(f"strike: {fault} in window {window}" + (f" at {point}" if point else ""))
        self.struck.append((window, fault))

    def do(self, fault, target, seconds):
        what, _, whom = fault.partition(" ")
        if fault == "take-over":
            other = self.take_over(None, target)
            end = time.monotonic() + 30         # the first sleeps through it, and wakes up as one who leads no more
            while not other.led_since() and other.alive() and time.monotonic() < end:
                time.sleep(0.05)
            if target is None:
                for c in self.captures:
                    c.signal(signal.SIGCONT)
        elif fault == "cut":
            self.proxy.cut(reset=self.random.random() < 0.5)
        elif whom == "capture" or whom == "worker":
            self.daemon(what, whom, target, seconds)
        elif whom == "source":
            self.source(what, seconds)
        elif whom == "broker":
            self.broker(what, seconds)

    def daemon(self, what, whom, target, seconds):
        instance = target or (self.capture if whom == "capture" else self.worker)
        if what == "stop":
            instance.signal(signal.SIGSTOP)
            time.sleep(seconds)
            instance.signal(signal.SIGCONT)
            return
        instance.kill()
        if instance is self.worker:
            self.start_worker()
        else:
            self.captures.remove(instance)
            self.retired.append(instance)
            if not any(c.alive() for c in self.captures) or (self.may_take_over() and self.random.random() < 0.7):
                self.start_capture()

    def source(self, what, seconds):
        if what == "stop":
            pid = self.batch.down_process("mariadb")
            os.kill(pid, signal.SIGSTOP)
            self.later(seconds, lambda: os.kill(pid, signal.SIGCONT))
            return
        self.servers.script("kill", self.servers.folder, "mariadb")
        self.later(seconds / 3, lambda: self.servers.script("start", self.servers.folder, "--mariadb"))

    def broker(self, what, seconds):
        if self.broker_down:
            self.join_healers()
        number = self.random.randint(1, 3)
        self.broker_down = True
        if what == "stop":
            pid = self.batch.down_process(f"kafka:{number}")
            os.kill(pid, signal.SIGSTOP)
            self.later(seconds + 1, lambda: os.kill(pid, signal.SIGCONT))
            return
        self.servers.script("kill", self.servers.folder, f"kafka:{number}")
        self.later(seconds, lambda: self.servers.script("restart", self.servers.folder, f"kafka:{number}"))

    def later(self, seconds, what):
        def wait():
            time.sleep(seconds)
            what()
        thread = threading.Thread(target=wait)
        thread.start()
        self.healers.append(thread)

    def snapshot(self, table):
        """Asked for while streaming; there may be nobody to ask."""
        try:
            said = self.setup.millrace("snapshot", "--detach", table, timeout=60)
            self.note(f"snapshot {table}: {said.returncode} {said.stderr.strip()[:200]}")
        except subprocess.TimeoutExpired:
            self.note(f"snapshot {table}: no answer")

    def join_healers(self):
        for thread in self.healers:
            thread.join()
        self.healers, self.broker_down = [], False

    # ---- the run

    def mark(self, what):
        self.marks.append((what, time.monotonic()))

    def carry_out(self):
        self.mark("prepare")
        self.prepare()
        self.mark("faults")
        strikes = self.strikes()
        self.start_capture(strikes[0])
        wait_until("the schemas topic", lambda: f"{self.name}._schemas" in self.reader.topics(self.name), 60)
        self.start_worker()
        self.writers = [Session(self.servers, self.db, steps, n) for n, steps in enumerate(self.plan)]
        early = self.random.random() < 0.3      # before the capture has its first position
        if not early:
            wait_until("the capture", lambda: "streaming of" in self.capture.log() or self.capture.state() in "TXZ", 90)
        for w in self.writers:
            w.start()
        if self.on["snapshot"] and self.random.random() < 0.5:
            table = f"{self.db}.{self.random.choice(('a', 'gm', 'big', 'ddl'))}"
            self.later(self.random.uniform(1, 8), lambda: self.snapshot(table))
        for number, strike in enumerate(strikes, 1):
            self.strike(*strike)
            for w in self.writers:
                w.over = number / len(strikes)
            time.sleep(self.random.uniform(0, 0.4))
            self.watch()
        self.mark("heal")
        for w in self.writers:
            w.hurry = True
        for w in self.writers:
            w.join(180)
            assert not w.is_alive(), f"session {w.session} does not end"
            if w.failure:
                raise w.failure
        self.join_healers()
        self.batch.heal()
        self.connection.close()
        self.connection = self.servers.connect()
        if self.on["xa"]:
            writers.finish_xa(self.connection, self.db, self.random)
        self.mark("deliver")
        self.deliver()
        self.mark("judge")
        self.check()

    def watch(self):
        """Instances that ended by themselves: fenced ones may; somebody must be left."""
        for c in list(self.captures):
            if c.alive():
                continue
            code = c.process.returncode
            self.captures.remove(c)
            self.retired.append(c)
            if code == 7 and (self.captures or "another instance" in c.log() or True):
                self.note(f"{c.label} was fenced")
            else:
                self.problems.add("wrong", f"{c.label} ended with {code}: {c.tail()}")
        if not any(c.alive() for c in self.captures):
            self.start_capture()
        if not self.worker.alive():
            self.problems.add("wrong", f"{self.worker.label} ended with {self.worker.process.returncode}: {self.worker.tail()}")
            self.start_worker()

    def deliver(self):
        position = source_position(self.connection)
        offset, last = 0, None
        end = time.monotonic() + 240
        while True:
            self.watch()
            for m in self.reader.messages(f"{self.name}.commits", {0: offset}) if f"{self.name}.commits" in self.reader.topics(self.name) else []:
                offset, last = m.offset() + 1, with_lists(last, self.reader.decode(m.value())[1])
            if last and not last["copying"] and not last.get("reconciling") and contains(gtid_set(last["gtid_set"]), position):
                break
            if time.monotonic() > end:
                self.problems.add("lost", f"not delivered up to {position} within 240 s: {last and (last['gtid_set'], last['copying'])}\n" +
                                  "\n".join(c.tail() for c in self.captures))
                return
            time.sleep(0.2)
        for view in world.VIEWS:
            said = None
            while self.on["views"]:
                self.watch()
                said = self.setup.millrace("verify", view)
                if said.returncode == 0:
                    break
                if said.returncode == 1 or time.monotonic() > end:
                    self.problems.add("wrong", f"verify {view}: {said.returncode}\n{said.stdout}{said.stderr}{self.worker.tail()}")
                    break
                time.sleep(0.5)
        # nobody goes on writing while it is judged
        for c in self.captures:
            c.signal(signal.SIGTERM)
        for c in list(self.captures):
            try:
                code = c.process.wait(40)
            except subprocess.TimeoutExpired:
                code = "nothing within 40 s of SIGTERM"
            if code not in (0, 7):
                self.problems.add("wrong", f"{c.label} ended with {code}: {c.tail()}")

    def check(self):
        files = sorted(Path(self.servers.env["MARIADB_DATADIR"]).glob("binlog.[0-9]*"))
        saw = witness.read([f for f in files if f.name >= self.first_file], self.db)
        truth = judge.Truth(saw, self.db, world.captured(self.on))
        j = judge.Judge(self.reader, self.name, self.db, self.on, self.problems)
        j.read()
        self.judge = j
        j.check_numbers()
        j.check_rows(truth)
        j.check_end(truth, self.connection)
        self.events = j.check_events()
        if self.on["views"]:
            j.check_views(self.folder, self.connection)
        self.truth, self.saw = truth, saw

    def end(self):
        for instance in [*self.captures, *self.retired, *([self.worker] if self.worker else [])]:
            instance.kill()
        for thread in self.healers:
            thread.join()
        self.batch.heal()
        if hasattr(self, "proxy"):
            self.proxy.close()
        connection = self.servers.connect()
        run_sql(connection, f"DROP DATABASE IF EXISTS {self.db}")
        connection.close()
        admin = AdminClient({"bootstrap.servers": self.servers.bootstrap})
        topics = [t for t in self.reader.topics(f"{self.name}.")] if hasattr(self, "reader") else []
        if topics:
            for future in admin.delete_topics(topics).values():
                try:
                    future.result(20)
                except Exception as failure:
                    self.note(f"a topic stays: {failure}")


class Session(writers.Writer):
    """A writer that can be told to rest between two steps."""

    def __init__(self, *words):
        super().__init__(*words)
        self.over = 0.1     # how much of the strikes is over
        self.may_go = threading.Event()
        self.may_go.set()

    def pause(self):
        self.may_go.clear()

    def go_on(self):
        self.may_go.set()

    def step(self, kind, pause, *words):
        """Traffic has to last as long as the strikes do: who is ahead of them goes slowly."""
        self.may_go.wait()
        ahead = self.done / len(self.steps) - self.over
        super().step(kind, pause if ahead < 0 else pause * 4 + 0.05, *words)


class TopicReader(Reader):
    """The reader of the integration tests, with a schemas topic of its own."""

    def __init__(self, bootstrap, schemas):
        super().__init__(bootstrap)
        self.schemas_topic = schemas

    def messages(self, topic, offsets=None):
        return super().messages(self.schemas_topic if topic == "_schemas" else topic, offsets)


def one(batch, seed, keep, keep_all=False):
    folder, kept = batch.folder / f"run-{seed}", keep / f"run-{seed}"
    folder.mkdir()
    shutil.rmtree(kept, ignore_errors=True)
    run = Run(batch, seed, folder)
    try:
        run.carry_out()
    except SystemExit:
        run.end()
        raise
    except Exception:
        run.problems.add("wrong", "the run broke off: " + traceback.format_exc())
    took = time.monotonic() - run.begun
    for window, fault in run.struck:
        batch.struck[window][fault] += 1
    batch.missed.update(run.missed)
    batch.seconds.append(took)
    if hasattr(run, "saw"):
        batch.records += run.judge.records
        batch.transactions += len(run.saw.transactions)
        batch.changes += sum(len(t.changes) for t in run.saw.transactions)
    (folder / "notes").write_text("\n".join(run.notes) + "\n")
    if run.problems:
        batch.failed.append(seed)
        batch.found.update(run.problems.counts())
        (folder / "problems").write_text("\n".join(run.problems.lines()) + "\n")
        if hasattr(run, "judge") and hasattr(run.judge, "topics"):
            run.judge.dump(folder / "topics")
    try:
        run.end()
    except Exception:
        say(f"cleaning up after run {seed}: {traceback.format_exc()}")
    steps = [b[1] - a[1] for a, b in zip(run.marks, [*run.marks[1:], ("", run.begun + took)])]
    phases = f"{took:.1f} s ({' '.join(f'{m[0]} {s:.1f}' for m, s in zip(run.marks, steps))})"
    if run.problems or keep_all:
        keep.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, kept, symlinks=True)
    if run.problems:
        say(f"run {seed} FAILED after {phases}, kept in {kept}; again: make faults SEED={seed} RUNS=1")
        for line in run.notes:
            say(f"      {line}")
        for line in run.problems.lines():
            say(f"   {line[:1500]}")
    else:
        say(f"run {seed}: {phases}, {len(run.saw.transactions)} transactions, {run.judge.records} records, " + ", ".join(f"{f} in {w}" for w, f in run.struck) +
            (f"; missed {', '.join(run.missed)}" if run.missed else ""))
    shutil.rmtree(folder, ignore_errors=True)
    return not run.problems


def table_of(batch):
    faults = [f for f in FAULTS if any(batch.struck[w][f] for w in WINDOWS)]
    lines = ["%-12s %5s  %s" % ("window", "all", "  ".join(f"{f:>12}" for f in faults))]
    for window in WINDOWS:
        row = batch.struck[window]
        lines.append("%-12s %5d  %s" % (window, sum(row.values()), "  ".join(f"{row[f]:>12}" for f in faults)))
    return "\n".join(lines)


def prove(o, on):
    """Each mistake must turn a run red; the same runs are green without it (make faults)."""
    bugs, found = o.prove.split(","), 0
    with tempfile.TemporaryDirectory(prefix="millrace-faults-") as folder:
        os.chmod(folder, 0o755)
        batch = Batch(Path(folder), on)
        try:
            for bug in bugs:
                harness.MILLRACE = Path(shutil.copy(ROOT / "build" / f"bug-{bug}" / "millrace", folder))
                begun, red = time.monotonic(), None
                for number in range(o.runs):
                    batch.found.clear()
                    if not one(batch, o.seed + number, ROOT / "build" / f"bug-{bug}" / "kept"):
                        red = number + 1
                        break
                found += red is not None
                counts = ", ".join(f"{n} {k}" for k, n in batch.found.items() if n)
                say(f"faults-prove: {bug}: " + (f"found after {red} runs ({counts})" if red else f"NOT found in {o.runs} runs") +
                    f", {time.monotonic() - begun:.0f} s")
        finally:
            batch.servers.stop()
    say(f"faults-prove: {len(bugs)} bugs, {found} found")
    return 0 if found == len(bugs) else 1


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--seed", type=int, default=int(time.time()) % 1000000)
    words.add_argument("--runs", type=int, default=20)
    words.add_argument("--keep", type=Path, default=ROOT / "build" / "faults" / "kept", help="folder for what failed")
    words.add_argument("--keep-all", action="store_true", help="keep what is green too")
    words.add_argument("--prove", default="", help="names of mistakes, each built into build/bug-NAME: runs until each was found")
    words.add_argument("--off", default="", help="ingredients to leave out")
    words.add_argument("--on", default="", help="ingredients to try that are off by default")
    o = words.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):      # also where a shell left them ignored: the servers are stopped
        signal.signal(number, lambda *_: sys.exit(130))
    on = dict(world.INGREDIENTS)
    for names, value in ((o.off, False), (o.on, True)):
        for name in filter(None, names.split(",")):
            assert name in on, f"no ingredient is called {name}: {', '.join(on)}"
            on[name] = value
    if o.prove:
        return prove(o, on)
    say(f"faults: seed {o.seed}, {o.runs} runs, {MILLRACE}")
    ran = 0
    with tempfile.TemporaryDirectory(prefix="millrace-faults-") as folder:
        os.chmod(folder, 0o755)
        harness.MILLRACE = Path(shutil.copy(MILLRACE, folder))      # it may be built anew while this runs
        batch = Batch(Path(folder), on)
        try:
            for number in range(o.runs):
                ran += 1
                one(batch, o.seed + number, o.keep, o.keep_all)
        finally:
            batch.servers.stop()
    say(table_of(batch))
    if batch.missed:
        say("points not reached in time: " + ", ".join(f"{p} {n}" for p, n in batch.missed.most_common()))
    say(f"{sum(batch.seconds) / ran:.1f} s a run; {batch.transactions} transactions, {batch.changes} changes, {batch.records} records")
    never = [w for w in WINDOWS if not sum(batch.struck[w].values())]
    if never and o.runs >= 50:
        say(f"faults: a window that was never struck: {', '.join(never)}")
    if batch.failed:
        say("failed: " + " ".join(f"SEED={s}" for s in batch.failed))
    off = [name for name, value in on.items() if not value]
    say(f"faults: {ran} runs, " + ", ".join(f"{batch.found[k]} {k}" for k in judge.Problems.KINDS) + (f" (off: {', '.join(off)})" if off else ""))
    return 1 if batch.failed or (never and o.runs >= 50) else 0


if __name__ == "__main__":
    sys.exit(main())
