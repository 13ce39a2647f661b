"""What the memory cases share: a setup at default budgets, an independent reader that never holds a topic, the peak."""
import io
import itertools
import sys
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import fastavro
from confluent_kafka import KafkaError, TopicPartition

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integ"))
from harness import Setup, run_sql, source_position, wait_until  # noqa: E402

CAPTURE_MB, WORKER_MB = 96, 128      # peak resident set at the default budgets: capture, projection daemon


class Failed(Exception):
    """A case did not deliver what it should."""


@dataclass
class Result:
    case: str
    process: str
    peak_mb: float
    limit_mb: float
    delivered: str
    seconds: float = 0

    @property
    def over(self):
        return self.peak_mb > self.limit_mb


def first_long(data, at=5):
    """The long that a datum in Confluent's wire format begins with: seq, in all that Millrace writes."""
    value = shift = 0
    for byte in data[at:at + 10]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return (value >> 1) ^ -(value & 1)


class Topic:
    """What topics hold, read once and record by record: count, bytes, and whatever `see` makes of the decoded values."""

    def __init__(self, reader, *topics, see=None, timeout=600):
        self.records = self.bytes = 0
        self.seqs = []
        there = reader.topics()
        partitions = [TopicPartition(topic, p, 0) for topic in topics for p in range(there[topic])]
        c = reader.consumer(**{"fetch.message.max.bytes": 8 << 20, "queued.max.messages.kbytes": 65536})
        c.assign(partitions)
        ended, end = set(), time.monotonic() + timeout
        try:
            while len(ended) < len(partitions):
                for m in c.consume(200, 0.5):
                    if m.error() is None:
                        self.take(reader, m, see)
                    elif m.error().code() == KafkaError._PARTITION_EOF:
                        ended.add((m.topic(), m.partition()))
                    else:
                        raise Failed(f"{topics[0]}: {m.error()}")
                if time.monotonic() > end:
                    raise Failed(f"{topics[0]}: no end within {timeout} s")
        finally:
            c.close()

    def take(self, reader, m, see):
        value = m.value()
        self.records += 1
        self.bytes += len(value)
        self.seqs.append(first_long(value))
        if see is not None:
            schema = reader.schema(int.from_bytes(value[1:5], "big"))
            see(fastavro.schemaless_reader(io.BytesIO(value[5:]), schema))


def check_seqs(seqs, what):
    """Every seq once, from 1 on."""
    seqs = sorted(seqs)
    if seqs != list(range(1, len(seqs) + 1)):
        raise Failed(f"{what}: seq is not 1..{len(seqs)}: begins {seqs[:5]}, ends {seqs[-5:]}")


class Sum:
    """Rows, bytes and CRC32s of one column, to be compared with what the source says of its own."""

    def __init__(self, column):
        self.column, self.rows, self.bytes, self.crcs = column, 0, 0, 0

    def __call__(self, envelope):
        value = envelope["after"][self.column]
        data = value.encode() if isinstance(value, str) else value
        self.rows, self.bytes, self.crcs = self.rows + 1, self.bytes + len(data), self.crcs + zlib.crc32(data)

    def check(self, connection, table):
        said = run_sql(connection, f"SELECT COUNT(*), SUM(LENGTH({self.column})), SUM(CRC32({self.column})) FROM {table}")[0]
        if [int(v or 0) for v in said] != [self.rows, self.bytes, self.crcs]:
            raise Failed(f"{table}: the source has {said}, delivered is {(self.rows, self.bytes, self.crcs)}")
        return f"{self.rows:,} rows, {self.bytes / 1e6:,.1f} MB"


class Peak(threading.Thread):
    """VmHWM of a daemon, asked for until it ends: one that ends by itself has a peak, too."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.status, self.mb, self.ending = Path(f"/proc/{daemon.process.pid}/status"), 0.0, threading.Event()
        self.start()

    def run(self):
        while not self.ending.wait(0.1):
            self.look()

    def look(self):
        try:
            for line in self.status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self.mb = max(self.mb, int(line.split()[1]) / 1024)
        except OSError:
            pass     # it has ended: what was seen before counts

    def done(self):
        self.ending.set()
        self.join()
        self.look()
        return self.mb


class World:
    """Servers, a database for each case, and daemons whose peaks are asked for before they end."""

    numbers = itertools.count(1)      # databases and captures: several worlds may share the servers

    def __init__(self, servers, folder, scale=1.0, settings=None, minutes=1.0):
        self.servers, self.folder, self.scale, self.minutes = servers, Path(folder), scale, minutes
        self.settings = settings or {}
        self.setups, self.capture_mb, self.worker_mb = [], CAPTURE_MB, WORKER_MB

    def connect(self, **more):
        return self.servers.connect(read_timeout=900, write_timeout=900, **more)

    def database(self):
        self.count = next(self.numbers)
        name = f"mem{self.count}"
        connection = self.connect()
        run_sql(connection, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} CHARACTER SET utf8mb4", f"USE {name}",
                "SET SESSION innodb_lock_wait_timeout = 600")
        return name, connection

    def setup(self, tables, **settings):
        setup = Setup(self.servers, self.folder / f"case{self.count}", f"mem{self.count}", tables, **{**self.settings, **settings})
        self.setups.append(setup)
        return setup

    def delivered(self, setup, run, connection, timeout=600):
        setup.wait_delivered(source_position(connection), run, timeout)

    def end(self):
        for setup in self.setups:
            setup.kill_all()
        self.setups.clear()

    def drop(self, setup, name, connection):
        """Disks are finite."""
        run_sql(connection, f"DROP DATABASE {name}", "FLUSH BINARY LOGS")
        last = run_sql(connection, "SHOW MASTER STATUS")[0][0]
        run_sql(connection, f"PURGE BINARY LOGS TO '{last}'")
        connection.close()


__all__ = ["CAPTURE_MB", "Peak", "WORKER_MB", "Failed", "Result", "Sum", "Topic", "World", "check_seqs", "run_sql", "source_position",
           "wait_until", "first_long"]
