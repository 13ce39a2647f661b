"""What the hostile suites share: servers behind proxies, and a capture with its judge.

Everything goes through proxies (test/fault/proxy.py): the source's by its port, the broker's because it advertises the
proxy's port. The servers are this file's own, since what they are made to suffer would disturb others.
"""
import itertools
import os
import random
import sys

import pytest
from confluent_kafka.admin import AdminClient

from fold import check_seq, compare
from harness import ROOT, Reader, Servers, Setup, run_sql, source_position, wait_until  # noqa: F401

sys.path.insert(0, str(ROOT / "test" / "fault"))
import proxy as p  # noqa: E402

CONFIG, DATA, UNREACHABLE, FATAL, FENCED = 3, 4, 5, 6, 7
names = itertools.count(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Servers of its own behind proxies: (servers, proxy of MariaDB, proxy of Kafka)."""
    folder = tmp_path_factory.mktemp("hostile")
    broker = p.Proxy("127.0.0.1", 1, protocol="blind")
    servers = Servers(folder / "servers", f"--kafka-option=advertised.listeners=CLIENT://127.0.0.1:{broker.port}")
    broker.target = ("127.0.0.1", int(servers.bootstrap.split(":")[1]))
    servers.bootstrap = f"127.0.0.1:{broker.port}"
    source = p.Proxy("127.0.0.1", servers.env["DATABASE_PORT"])
    yield servers, source, broker
    servers.stop()
    source.close()
    broker.close()


class Case:
    """One table, one capture, one judge."""

    def __init__(self, world, folder, **settings):
        self.servers, self.source, self.broker = world
        self.db, self.name = f"h{next(names)}", f"h{os.getpid()}x{next(names)}"
        self.connection = self.servers.connect()
        run_sql(self.connection, f"CREATE DATABASE {self.db}", f"USE {self.db}",
                "CREATE TABLE t (id INT PRIMARY KEY, n INT, v VARCHAR(2000)) CHARACTER SET utf8mb4")
        self.setup = Setup(self.servers, folder, self.name, f"{self.db}.t", **{
            "source__port": self.source.port, "kafka__timeout": "8s", **settings})
        self.run = self.setup.daemon("run")
        self.random, self.next_id = random.Random(7), 1
        self.admin = AdminClient({"bootstrap.servers": self.servers.bootstrap, "log_level": 2})

    def start(self):
        self.run.start()
        self.delivered()
        return self

    def write(self, transactions=20, size=40, connection=None):
        with (connection or self.connection).cursor() as cursor:
            for _ in range(transactions):
                cursor.execute("BEGIN")
                for _ in range(self.random.randint(1, 4)):
                    cursor.execute(f"INSERT INTO {self.db}.t VALUES (%s, %s, %s)",
                                   (self.next_id, self.random.randint(0, 99), "x" * self.random.randint(0, size)))
                    self.next_id += 1
                cursor.execute(f"UPDATE {self.db}.t SET n = n + 1 WHERE id %% 7 = %s", (self.random.randint(0, 6),))
                if self.random.random() < 0.3:
                    cursor.execute(f"DELETE FROM {self.db}.t WHERE id = %s", (self.random.randint(1, self.next_id),))
                cursor.execute("COMMIT")

    def delivered(self, timeout=60):
        self.setup.wait_delivered(source_position(self.connection), self.run, timeout)

    def judge(self):
        """Everything is there, once."""
        rows = compare(self.setup.reader.records(self.setup.topic(f"{self.db}.t")), self.connection, self.db, "t", ["id"])
        check_seq(self.setup)
        return rows

    def heals(self, **more):
        self.delivered(**more)
        self.judge()

    def states(self):
        values = [self.setup.reader.decode(m.value())[1] for m in self.setup.reader.messages(f"{self.name}.status")]
        return [(v["state"], v["message"]) for v in values]

    def said(self, *words, since=0):
        """One line of the log holds all the words."""
        return any(all(w in line for w in words) for line in self.run.log()[since:].splitlines())

    def mark(self):
        return len(self.run.log())

    def ends(self, code, *words, timeout=60):
        got = self.run.ended(timeout)
        assert got == code, f"ended with {got}, not {code}: {self.run.log_tail()}"
        last = [line for line in self.run.log().splitlines() if "level=error" in line][-1]
        for word in (*words, 'hint="'):
            assert word in last, f"{word!r} is not in: {last}"

    def stop(self):
        self.run.stop()

    def done(self):
        self.source.forgive()
        for proxy in (self.source, self.broker):
            proxy.resume()
            proxy.accept()
            proxy.limit(None)
            proxy.delay(0)
        self.setup.kill_all()
        self.connection.close()


@pytest.fixture
def case(world, tmp_path, request):
    made = []

    def make(**settings):
        made.append(Case(world, tmp_path / f"m{len(made)}", **settings))
        return made[-1]

    yield make
    for c in made:
        if request.node.stash.get("failed", False):
            print(c.run.log_tail())
        c.done()
