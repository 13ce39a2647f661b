"""Three brokers, of which some are gone or others lead: what one broker alone cannot show.

Each has everything (replication 3, min.insync.replicas 2), so one may be lost at any time, and with two of them gone nothing
may be acknowledged.
"""
import itertools
import os
import random

import pytest
from confluent_kafka import ElectionType, TopicPartition
from confluent_kafka.admin import AdminClient

from fold import check_seq, compare
from harness import Servers, Setup, run_sql, source_position, wait_until

names = itertools.count(1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    servers = Servers(tmp_path_factory.mktemp("cluster") / "servers", "--brokers", "3")
    yield servers
    servers.stop()


class Case:
    def __init__(self, servers, folder, **settings):
        self.servers, self.db = servers, f"k{next(names)}"
        self.connection = servers.connect()
        run_sql(self.connection, f"CREATE DATABASE {self.db}", f"USE {self.db}", "CREATE TABLE t (id INT PRIMARY KEY, n INT)")
        self.setup = Setup(servers, folder, f"{self.db}x{os.getpid()}", f"{self.db}.t", kafka__replication=3,
                           kafka__timeout="8s", **settings)
        self.run = self.setup.daemon("run").start()
        self.next_id, self.random = 1, random.Random(5)
        self.admin = AdminClient({"bootstrap.servers": servers.bootstrap, "log_level": 2})
        self.delivered()

    def write(self, transactions=10):
        for _ in range(transactions):
            run_sql(self.connection, "BEGIN", f"INSERT INTO {self.db}.t VALUES ({self.next_id}, 0), ({self.next_id + 1}, 1)",
                    f"UPDATE {self.db}.t SET n = n + 1 WHERE id % 5 = {self.random.randint(0, 4)}", "COMMIT")
            self.next_id += 2

    def delivered(self, timeout=120):
        self.setup.wait_delivered(source_position(self.connection), self.run, timeout)

    def judge(self):
        compare(self.setup.reader.records(self.setup.topic(f"{self.db}.t")), self.connection, self.db, "t", ["id"])
        check_seq(self.setup)

    def topics(self):
        return self.admin.list_topics(timeout=30).topics

    def leaders(self, topic):
        return {p.id: p.leader for p in self.topics()[topic].partitions.values()}

    def in_sync(self, count=3):
        """Every partition that matters has so many replicas that keep up."""
        return all(len(p.isrs) >= count for name, t in self.topics().items()
                   if name.startswith(self.setup.name) or name.startswith("_") for p in t.partitions.values())


@pytest.fixture
def case(cluster, tmp_path, request):
    made = []

    def make(**settings):
        made.append(Case(cluster, tmp_path, **settings))
        return made[-1]

    yield make
    for c in made:
        if request.node.stash.get("failed", False):
            print(c.run.log_tail())
        c.setup.kill_all()
        c.connection.close()


def test_each_broker_is_killed_in_turn(case):
    """Whoever dies is controller, coordinator of the transactions or of the group, or leader of something at one time."""
    c = case()
    for number in (1, 2, 3):
        c.write()
        c.servers.script("kill", c.servers.folder, f"kafka:{number}")
        c.write()
        c.delivered()
        c.servers.script("start", c.servers.folder, "--kafka")
        wait_until("all in sync", c.in_sync, 120, every=0.5)
    c.write()
    c.delivered()
    c.judge()
    c.run.stop()


def test_too_few_brokers_are_in_sync(case):
    """One of three: nothing is acknowledged, so nothing counts as delivered; it goes on when a second one is back."""
    c = case()
    c.write()
    c.delivered()
    since = len(c.run.log())
    for number in (2, 3):
        c.servers.script("kill", c.servers.folder, f"kafka:{number}")
    c.write()
    # nobody decides either who leads: what was the leader stands by
    wait_until("it to give up", lambda: "wait for an acknowledgement" in c.run.log()[since:], 120)
    assert c.run.alive()
    c.servers.script("start", c.servers.folder, "--kafka")
    c.delivered(180)
    c.judge()
    c.run.stop()


def test_other_brokers_lead(case):
    """Leaders go elsewhere with a broker that is stopped, and come back by an election of the preferred ones."""
    c = case()
    topic = c.setup.topic(f"{c.db}.t")
    c.write()
    preferred = c.leaders(topic)
    stopped = preferred[0]
    c.servers.script("stop", c.servers.folder, f"kafka:{stopped}")
    c.write()
    c.delivered()
    assert stopped not in c.leaders(topic).values()
    c.servers.script("start", c.servers.folder, "--kafka")
    wait_until("all in sync", c.in_sync, 120, every=0.5)
    c.write(3)
    parts = [TopicPartition(name, p) for name, t in c.topics().items() if name.startswith(c.setup.name) for p in t.partitions]
    c.admin.elect_leaders(ElectionType.PREFERRED, parts).result(60)
    c.write(3)
    wait_until("the preferred leaders", lambda: c.leaders(topic) == preferred, 60, every=0.5)
    c.write(3)
    c.delivered()
    c.judge()
    c.run.stop()
