"""One run: a history, the faults that strike while it is made, and the judgement on what was delivered."""
import json
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pymysql
from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import judge
import plan
import witness
import world
import writers
from harness import ROOT, Reader, Servers, Setup, contains, gtid_set, run_sql, source_position, wait_until, with_lists
from process import WINDOW_OF, WINDOWS, Instance
from proxy import Proxy

FAULTS = ["kill capture", "stop capture", "kill broker", "stop broker", "kill source", "stop source", "cut", "take-over",
          "kill worker", "stop worker"]
# what can strike in a window, the more often the more it costs nothing
STRIKES = {
    "transaction": ["kill capture"] * 3 + ["kill broker", "kill source", "cut", "cut", "stop capture", "take-over", "take-over", "stop broker"],
    "commit": ["kill capture"] * 5 + ["kill broker", "kill source", "stop capture", "stop broker", "cut"] + ["take-over"] * 4,
    "chunk": ["kill capture"] * 2 + ["cut", "cut", "kill source", "kill source", "kill broker", "take-over", "stop source"],
    "take-over": ["kill capture", "kill capture", "kill broker", "kill source", "cut", "stop capture", "stop broker"],
    "view": ["kill worker"] * 5 + ["stop worker", "kill broker", "stop broker"],
    "idle": ["kill capture", "kill worker", "kill broker", "kill source", "stop source", "stop broker", "take-over", "cut"],
}


def wait_quietly(seconds, condition):
    """At most so long."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)


class Site:
    """The servers of one lane; runs follow each other on them."""

    def __init__(self, folder, lane):
        self.lane, self.place, self.databases = lane, folder, {}
        self.brokers = Servers(folder / "servers", "--brokers", "3", "--kafka-option=group.min.session.timeout.ms=1000")
        self.databases[self.brokers.database] = self.brokers
        self.use(self.brokers.database)

    def use(self, database):
        """Runs from here on are on this one, of which there is one beside the brokers' own at most."""
        if database not in self.databases:
            for other in [d for d, made in self.databases.items() if made is not self.brokers]:
                self.databases.pop(other).stop()
            made = Servers(self.place / database.replace(":", "-"), database=database, kafka=False)
            made.bootstrap = self.brokers.bootstrap
            self.databases[database] = made
        self.servers = self.databases[database]
        self.source = self.servers.engine

    def home_of(self, what):
        return self.servers if what == self.source else self.brokers

    def pid(self, what):
        """Of a server: mariadb, mysql or kafka:N."""
        return int((Path(self.home_of(what).env["SERVERS_HOME"]) / what.replace(":", "/") / "pid").read_text())

    def kill(self, what):
        self.home_of(what).script("kill", self.home_of(what).folder, what)

    def restart(self, what):
        self.home_of(what).script("restart", self.home_of(what).folder, what)

    def start_source(self):
        self.servers.script("start", self.servers.folder, "--database", self.servers.database)

    def heal(self):
        self.start_source()
        self.brokers.script("start", self.brokers.folder, "--kafka")

    def binlog_tool(self):
        """MySQL's own reads the files of every MySQL, and comes with the newest."""
        return "mariadb-binlog" if self.source == "mariadb" else ROOT / "build" / "servers" / "mysql-9.7" / "mysqlbinlog"

    def stop(self):
        for made in self.databases.values():
            made.stop()


class Run:
    def __init__(self, site, seed, folder, on):
        self.site, self.servers, self.seed, self.folder, self.on = site, site.servers, seed, folder, world.of_run(on, seed, site.source)
        self.random = random.Random(seed)
        self.db = self.name = f"f{seed}x{os.getpid()}"
        self.notes, self.struck, self.missed = [], [], []
        self.problems = judge.Problems()
        self.captures, self.worker, self.retired = [], None, []
        self.healers, self.broker_down, self.source_down = [], False, False
        self.lock = threading.Lock()
        self.begun = time.monotonic()
        self.marks, self.asleep = [], None
        self.at_least_once = self.on["at-least-once"]
        self.slow_chunk = self.random.choice((0, 20, 100, 200))

    def note(self, text):
        self.notes.append(f"{time.monotonic() - self.begun:6.2f} {text}")

    # ---- before

    def prepare(self):
        self.connection = self.servers.connect()
        run_sql(self.connection, "FLUSH BINARY LOGS")
        self.first_file = run_sql(self.connection, "SHOW MASTER STATUS")[0][0]
        run_sql(self.connection, *world.create(self.db, self.on, self.random))
        if self.site.source == "mysql":     # before the sessions begin: they take it from there
            run_sql(self.connection, f"SET GLOBAL binlog_transaction_compression = {self.random.choice(('ON', 'OFF'))}")
        self.plan = plan.make(self.seed, self.on, self.random.choice((80, 120, 160)))
        (self.folder / "plan.sql").write_text(plan.text(self.plan))
        self.proxy = Proxy("127.0.0.1", int(self.servers.env["DATABASE_PORT"]), protocol="blind")     # it only cuts
        r = self.random
        settings = {"source.host": "127.0.0.1", "source.port": self.proxy.port, "kafka.replication": 3, "kafka.schemas_topic": f"{self.name}._schemas",
                    "kafka.timeout": "10s", "capture.memory": "8MB", "capture.commit_bytes": r.choice(("64k", "256k", "1MB")),
                    "capture.commit_interval": r.choice(("20ms", "100ms", "250ms")), "capture.events": "events",
                    "copy.chunk_rows": r.choice((40, 100, 250)), "source.read_timeout": "8s", "source.server_id": 10000 + self.seed % 1000000,
                    "kafka.kafka.debug": "cgrp", "log.level": "debug", "kafka.session.timeout.ms": r.choice((3000, 3000, 3000, 6000))}
        self.setup = Setup(self.servers, self.folder, self.name, ", ".join(f"{self.db}.{t}" for t in world.captured(self.on)))
        self.setup.settings.update({k: str(v) for k, v in settings.items()})
        if self.at_least_once:
            self.setup.settings["capture.delivery"] = "at-least-once"
        self.setup.settings["kafka.partitions"] = str(r.choice((1, 2, 3)))
        self.setup.write()
        world.write_files(self.folder, self.name, self.db, self.on)
        self.reader = TopicReader(self.servers.bootstrap, f"{self.name}._schemas")
        self.setup.reader = self.reader
        if self.on["parked"]:
            topic = NewTopic(f"{self.name}.{self.db}.wide", int(self.setup.settings["kafka.partitions"]), 3,
                             config={"retention.ms": "-1", "max.message.bytes": str(world.RECORD_MAX)})
            admin = AdminClient({"bootstrap.servers": self.servers.bootstrap, "log_level": 2})
            for made in admin.create_topics([topic]).values():
                made.result(60)

    # ---- strikes

    def may_take_over(self):
        return self.on["take-over"] and not self.at_least_once

    def points(self, window):
        """Those of a window that this run can reach."""
        never = {*(["flushed"] if self.at_least_once else ["next_record", "chunk_sent"]), *([] if self.on["leaves"] else ["leaves"]),
                 *([] if self.on["keyless"] else ["spooled"])}
        return [p for p in WINDOWS[window] if p not in never]

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
            point = r.choice(self.points(window)) if WINDOWS[window] else None
            most = {"change": 60, "chunk_row": 40, "applied": 60, "leaves": 40, "spooled": 1}.get(point, 4)
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
        at = self.wait_stop(target, point, {"take-over": 12, "chunk": 15, "leaves": 8}.get(point if point == "leaves" else window, 5))
        if at != point:
            self.missed.append(point)
        self.count(WINDOW_OF.get(at, "idle") if at != point else window, fault, at)
        self.do(fault, target, seconds)
        target.signal(signal.SIGCONT)
        self.wake()

    def take_over(self, point, sleeper=None):
        """A second instance, whose turn has come: the first is killed, or stopped for longer than the brokers wait."""
        first = sleeper or self.capture
        others = [c for c in self.captures if c is not first and c.alive() and c.state() != "T"]
        other = others[0] if others else self.start_capture((None, point, 1) if point else None)
        if others and point:
            other.slots.arm(point, 1)
        if sleeper is None:
            wait_quietly(20, other.stands_by)
            if first is not None and self.random.random() < 0.5:
                first.kill()
                self.captures.remove(first)
                self.retired.append(first)
            elif first is not None:         # with something in hand, if it can be: what it does when it wakes is the question
                at = self.random.choice(self.points("commit"))
                first.slots.arm(at, self.random.randint(1, 3))
                self.note(f"{first.label} sleeps at {self.wait_stop(first, at, 2)}")
                self.asleep = first
        return other

    def wake(self):
        """Who slept does so until another one leads."""
        if self.asleep is not None and self.asleep.alive():
            led = self.asleep.led_since()
            wait_quietly(10, lambda: any(c is not self.asleep and c.alive() and c.led_since() > led for c in self.captures))
        self.asleep = None
        for c in self.captures:
            c.signal(signal.SIGCONT)

    def count(self, window, fault, point):
        self.note(f"strike: {fault} in window {window}" + (f" at {point}" if point else ""))
        self.struck.append((window, fault))

    def do(self, fault, target, seconds):
        what, _, whom = fault.partition(" ")
        if fault == "take-over":
            other = self.take_over(None, target)
            led = other.led_since()     # the first sleeps through it, and wakes up as one who leads no more
            wait_quietly(20, lambda: other.led_since() != led or not other.alive())
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
        if self.source_down:        # one that is being started has no pid yet
            self.join_healers()
        self.source_down = True
        if what == "stop":
            pid = self.site.pid(self.site.source)
            os.kill(pid, signal.SIGSTOP)
            self.later(seconds, lambda: os.kill(pid, signal.SIGCONT))
            return
        self.site.kill(self.site.source)
        self.later(seconds / 3, self.site.start_source)

    def broker(self, what, seconds):
        if self.broker_down:
            self.join_healers()
        number = self.random.randint(1, 3)
        self.broker_down = True
        if what == "stop":
            pid = self.site.pid(f"kafka:{number}")
            os.kill(pid, signal.SIGSTOP)
            self.later(seconds + 1, lambda: os.kill(pid, signal.SIGCONT))
            return
        self.site.kill(f"kafka:{number}")
        self.later(seconds, lambda: self.site.restart(f"kafka:{number}"))

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
            told = [line for line in said.stderr.splitlines() if "level=debug" not in line]
            self.note(f"snapshot {table}: {said.returncode} {' '.join(told)[:200]}")
        except subprocess.TimeoutExpired:
            self.note(f"snapshot {table}: no answer")

    def join_healers(self):
        for thread in self.healers:
            thread.join()
        self.healers, self.broker_down, self.source_down = [], False, False

    def source_up(self):
        """Brokers may still be on their way: delivery does not need all three."""
        def connect():
            try:
                self.connection = self.servers.connect()
            except (pymysql.err.Error, OSError):
                return False
            return True
        self.connection.close()
        wait_until("the source", connect, 60)

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
        self.source_up()
        if self.on["xa"]:
            writers.finish_xa(self.connection, self.db, self.random, set().union(*(w.decided for w in self.writers)))
        self.mark("deliver")
        self.deliver()
        self.join_healers()
        self.site.heal()
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
        for view in world.views(self.on):
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
        files = sorted(Path(self.servers.env["DATABASE_DATADIR"]).glob("binlog.[0-9]*"))
        saw = witness.read([f for f in files if f.name >= self.first_file], self.db, self.site.binlog_tool())
        truth = judge.Truth(saw, self.db, world.captured(self.on))
        self.reader.read_all(f"{self.name}.")
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
        self.note(f"history: {saw.told()}; sessions: " + ", ".join(f"{w.done} steps, {w.refused} refused, {w.lost} lost" for w in self.writers))

    def end(self):
        for instance in [*self.captures, *self.retired, *([self.worker] if self.worker else [])]:
            instance.kill()
        for thread in self.healers:
            thread.join()
        self.site.heal()
        if hasattr(self, "proxy"):
            self.proxy.close()
        connection = self.servers.connect()
        run_sql(connection, f"DROP DATABASE IF EXISTS {self.db}")
        connection.close()
        admin = AdminClient({"bootstrap.servers": self.servers.bootstrap, "log_level": 2})
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
        super().step(kind, pause if ahead < 0 else pause * 4 + (0.05 if ahead < 0.15 else 0.5), *words)


class TopicReader(Reader):
    """The reader of the integration tests, with a schemas topic of its own."""

    def __init__(self, bootstrap, schemas):
        super().__init__(bootstrap)
        self.schemas_topic, self.read = schemas, None

    def read_all(self, prefix):
        """All topics of a name at once: what messages() gives from now on."""
        c = self.consumer()
        try:
            partitions = [TopicPartition(topic, p, 0) for topic, count in self.topics(prefix).items() for p in range(count)]
            read, open_ones = {p.topic: [] for p in partitions}, {(p.topic, p.partition) for p in partitions}
            c.assign(partitions)
            quiet_since = time.monotonic()
            while open_ones:
                for m in c.consume(2000, 0.2):
                    quiet_since = time.monotonic()
                    if m.error() is None:
                        read[m.topic()].append(m)
                    elif m.error().code() == KafkaError._PARTITION_EOF:
                        open_ones.discard((m.topic(), m.partition()))
                    else:
                        raise AssertionError(f"{m.topic()}: {m.error()}")
                assert time.monotonic() - quiet_since < 60, f"no end of {sorted(open_ones)} within 60 s of silence"
        finally:
            c.close()
        self.read = read

    def consumer(self, **more):
        return super().consumer(log_level=0, **more)        # a broker that is down is no news here

    def messages(self, topic, offsets=None, **more):
        topic = self.schemas_topic if topic == "_schemas" else topic
        return super().messages(topic, offsets, **more) if self.read is None else self.read[topic]
