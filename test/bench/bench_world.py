"""What the benchmark needs of the world: servers, processes as /proc shows them, topics, and the daemons under test."""
import json
import os
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
DATA = BUILD / "bench-data"
PROGRAMS = DATA / "programs"      # as they were when the run began: building meanwhile changes nothing
MILLRACE = PROGRAMS / "millrace"
TICK = os.sysconf("SC_CLK_TCK")
STALL_S = 120     # no progress for so long: the step is given up
STEP_S = 600      # longest time of one run


class Failed(Exception):
    """A step could not be measured."""


def keep_programs():
    shutil.rmtree(PROGRAMS, ignore_errors=True)
    shutil.copytree(BUILD / "bench", PROGRAMS / "bench")
    shutil.copy(os.environ.get("MILLRACE", BUILD / "millrace"), MILLRACE)


# ---- processes ---------------------------------------------------------------------------------------------------

def cpu_seconds(pid):
    """User and system time of a process so far, all threads."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_rss_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def run_json(*words, timeout=300):
    """Runs a bench program; its last line is a JSON object."""
    out = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=timeout)
    if out.returncode != 0:
        raise Failed(out.stderr.strip() or f"{words[0]} ended with {out.returncode}")
    return json.loads(out.stdout.strip().splitlines()[-1])


def bench(program, *words, timeout=300):
    return run_json(PROGRAMS / "bench" / program, *words, timeout=timeout)


class Servers:
    """A folder of scripts/servers with the servers asked for."""

    def __init__(self, folder, *options):
        self.folder = str(folder)
        self.script("start", self.folder, *options)
        out = self.script("env", self.folder)
        self.env = {k: shlex.split(v)[0] if v else "" for k, v in (line.split("=", 1) for line in out.splitlines())}
        self.pids = {}
        for line in self.script("status", self.folder).splitlines():
            name, _, _, pid = line.split()
            self.pids[name] = int(pid)

    @staticmethod
    def script(*words):
        out = subprocess.run([str(ROOT / "scripts" / "servers"), *words], capture_output=True, text=True)
        if out.returncode != 0:
            raise Failed(f"servers {' '.join(words)}: {out.stderr.strip()}")
        return out.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- Kafka -------------------------------------------------------------------------------------------------------

class Kafka:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})

    def consumer(self, **more):
        return Consumer({"bootstrap.servers": self.bootstrap, "log_level": 2, "group.id": "bench", "enable.auto.commit": False,
                         "isolation.level": "read_committed", "auto.offset.reset": "error", **more})

    def partitions(self, topic):
        found = self.admin.list_topics(topic, timeout=10).topics[topic]
        return 0 if found.error is not None else len(found.partitions)

    def create(self, topic):
        self.admin.create_topics([NewTopic(topic, 1, 1, config={"max.message.bytes": "16777216"})])[topic].result(30)
        while self.partitions(topic) == 0:
            time.sleep(0.05)

    def delete_all(self):
        """Disks are finite; the position, schemas and status of the runs before go too."""
        names = [t for t in self.admin.list_topics(timeout=10).topics if not t.startswith("__")]
        for future in self.admin.delete_topics(names, operation_timeout=30).values() if names else []:
            try:
                future.result(30)
            except KafkaException as problem:
                raise Failed(f"topics could not be deleted: {problem}") from problem

    def sample(self, topic, count, path):
        """The first records of a topic into a file for bench_producer; mean sizes of key and value."""
        c = self.consumer()
        c.assign([TopicPartition(topic, p, 0) for p in range(self.partitions(topic))])
        keys = values = records = 0
        with open(path, "wb") as out:
            while records < count:
                batch = [m for m in c.consume(5000, 10) if m.error() is None]
                if not batch:
                    break
                for m in batch:
                    key, value = m.key() or b"", m.value() or b""
                    out.write(struct.pack("<II", len(key), len(value)) + key + value)
                    keys, values, records = keys + len(key), values + len(value), records + 1
        c.close()
        if records == 0:
            raise Failed(f"{topic} holds no record")
        return {"key_bytes": round(keys / records, 1), "value_bytes": round(values / records, 1)}


def first_long(datum):
    """The long that a datum in Confluent's wire format begins with: seq, in all that Millrace writes."""
    value = shift = 0
    for byte in datum[5:15]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return (value >> 1) ^ -(value & 1)


# ---- the daemons ---------------------------------------------------------------------------------------------------

class Daemon:
    """`millrace run` or `millrace project` in a folder of its own."""

    def __init__(self, verb, folder, settings):
        self.verb, self.folder = verb, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        sections = {}
        for key, value in settings.items():
            section, name = key.split(".", 1)
            sections.setdefault(section, []).append(f"{name} = {value}")
        self.conf = self.folder / "millrace.conf"
        self.conf.write_text("".join(f"[{s}]\n" + "\n".join(lines) + "\n\n" for s, lines in sections.items()))
        self.log = self.folder / f"{verb}.log"
        self.began = time.monotonic()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(MILLRACE), verb, "-c", str(self.conf)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.folder)
        self.pid = self.process.pid

    def check(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.verb} ended with {self.process.returncode}: {self.tail()}")

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-6:])

    def verb_words(self, *words):
        return [str(MILLRACE), words[0], "-c", str(self.conf), *words[1:]]

    def verb_run(self, *words):
        return subprocess.run(self.verb_words(*words), capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=self.folder, timeout=STEP_S)

    def stop(self):
        """Ends it in order; how it ended is no part of what is measured, but a crash must not go by unseen."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f"{self.verb} did not end within 30 s of SIGTERM: {self.tail()}") from None
        if code != 0:
            raise Failed(f"{self.verb} ended with {code}: {self.tail()}")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        elif self.process.poll() is None:
            self.process.kill()
            self.process.wait()
