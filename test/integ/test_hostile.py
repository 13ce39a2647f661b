"""A source, brokers and a machine that misbehave: nothing lost, nothing twice, and the operator is told.

Everything goes through proxies (test/fault/proxy.py): the source's by its port, the broker's because it advertises the
proxy's port. The servers are this file's own, since what they are made to suffer would disturb others.
"""
import itertools
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import pymysql
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, ResourceType

from fold import check_seq, compare
from harness import ROOT, Servers, Setup, run_sql, source_position, wait_until

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
    source = p.Proxy("127.0.0.1", servers.env["MARIADB_PORT"])
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
        self.admin = AdminClient({"bootstrap.servers": self.servers.bootstrap})

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
        return [(v["state"], v["message"]) for _, _, _, _, v in self.setup.reader.records(f"{self.name}.status")]

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


# ---- the source: bytes ----------------------------------------------------------------------------------------------

def test_a_damaged_event_is_read_again(case):
    """Wrong checksum, cut short, over-long, wrong size, packets that lie about their length: once each, in transit."""
    c = case().start()
    for mangler in (p.flip, p.truncate, p.overlong, p.size_field, p.packet_length, p.empty_packet):
        before, since = c.source.mangled, c.mark()
        c.source.mangle(mangler(), times=1)
        c.write(3)
        c.delivered()
        assert c.source.mangled == before + 1, f"{mangler.__name__} never struck"
        assert c.said("level=warning", "trying again", since=since), f"{mangler.__name__}: {c.run.log_tail()}"
    c.judge()
    assert any(state == "retrying" for state, _ in c.states())
    c.stop()


@pytest.mark.parametrize("mangler,word", [(p.flip, "CRC32"), (p.truncate, "bytes"), (p.unknown_type, "126")])
def test_an_event_damaged_in_the_binlog_stops_before_it(case, mangler, word):
    c = case().start()
    c.write(5)
    c.delivered()
    position = source_position(c.connection)
    c.source.mangle(mangler())
    c.write(2)
    c.ends(DATA, word)
    assert c.said("level=warning", "read once more")
    assert c.source.mangled >= 2
    assert c.setup.commits()[-1]["gtid_set"] == f"0-1-{position[0]}", "something behind the damage was delivered"
    c.source.forgive()
    c.run.start()
    c.heals()
    c.stop()


def test_the_stream_is_cut_in_the_middle_of_events(case):
    c = case(capture__commit_interval="20ms").start()
    stop = threading.Event()

    def saw():
        r = random.Random(3)
        while not stop.is_set():
            c.source.mangle(p.cut_inside(reset=r.random() < 0.5), times=1, skip=r.randint(0, 40))
            stop.wait(0.2)

    saws = threading.Thread(target=saw)
    saws.start()
    try:
        c.write(250)
    finally:
        stop.set()
        saws.join()
        c.source.forgive()
    c.heals()
    c.stop()


# ---- the source: silence --------------------------------------------------------------------------------------------

def test_a_silent_stream_is_opened_anew(case):
    """A stall longer than source.read_timeout is a lost connection; heartbeats keep a quiet one alive."""
    c = case(source__read_timeout="2s").start()
    accepted, since = c.source.accepted, c.mark()
    heartbeats = c.source.events.get(p.HEARTBEAT, 0)
    wait_until("three heartbeats", lambda: c.source.events.get(p.HEARTBEAT, 0) >= heartbeats + 8, 30)
    assert not c.said("level=warning", since=since), c.run.log_tail()
    c.source.stall(None, p.DOWN)
    c.write(10)
    wait_until("a retry", lambda: c.said("level=warning", "trying again", since=since), 30)
    c.source.resume()
    c.heals()
    assert c.source.accepted > accepted
    c.stop()


def test_a_source_that_refuses_connections(case):
    c = case().start()
    since = c.mark()
    c.source.refuse()
    c.source.cut(reset=True)
    c.write(10)
    wait_until("a second retry", lambda: c.run.log()[since:].count("trying again") >= 2, 30)
    assert c.run.alive()
    c.source.accept()
    c.heals()
    c.stop()


def test_the_source_is_killed_inside_a_transaction(case):
    c = case().start()
    c.write(20)
    half = c.servers.connect()
    run_sql(half, f"USE {c.db}", "BEGIN", f"INSERT INTO {c.db}.t SELECT seq + 100000, 0, REPEAT('y', 1000) FROM seq_1_to_2000")
    c.servers.script("kill", c.servers.folder, "mariadb")
    c.servers.script("start", c.servers.folder)
    c.connection = c.servers.connect()
    c.write(20)
    c.heals()
    half.close()
    c.stop()


# ---- the source: people ---------------------------------------------------------------------------------------------

def test_the_password_is_changed_under_us(case):
    c = case().start()
    secret = Path(c.servers.env["MARIADB_PASSWORD_FILE"]).read_text().strip()
    run_sql(c.connection, "SET STATEMENT sql_log_bin = 0 FOR ALTER USER millrace@'%' IDENTIFIED BY 'another'")
    try:
        c.write(3)
        c.delivered()  # what is connected stays connected
        c.source.cut()
        c.ends(CONFIG, "Access denied", "source.password_file")
    finally:
        run_sql(c.connection, f"SET STATEMENT sql_log_bin = 0 FOR ALTER USER millrace@'%' IDENTIFIED BY '{secret}'")
    c.write(3)
    c.run.start()
    c.heals()
    c.stop()


@pytest.mark.parametrize("right", ["REPLICATION SLAVE", "SELECT"])
def test_a_right_is_revoked_under_us(case, right):
    c = case().start()
    run_sql(c.connection, f"SET STATEMENT sql_log_bin = 0 FOR REVOKE {right} ON *.* FROM millrace@'%'")
    try:
        c.source.cut()
        c.write(3)
        c.ends(CONFIG, "GRANT" if right != "SELECT" else "SELECT")
    finally:
        run_sql(c.connection, f"SET STATEMENT sql_log_bin = 0 FOR GRANT {right} ON *.* TO millrace@'%'")
    c.run.start()
    c.heals()
    c.stop()


def dump(servers, server_id):
    """Opens a replication stream as another replica would; returns the connection."""
    other = servers.connect()
    run_sql(other, "SET @mariadb_slave_capability = 4, @master_binlog_checksum = @@global.binlog_checksum, "
                   "@slave_connect_state = @@global.gtid_binlog_pos")
    other._execute_command(0x12, (4).to_bytes(4, "little") + b"\0\0" + server_id.to_bytes(4, "little"))
    return other


def test_another_replica_uses_our_server_id(case):
    c = case(source__server_id=4711).start()
    other = dump(c.servers, 4711)
    try:
        c.write(3)
        c.ends(FENCED, "server_id")
    finally:
        other.close()
    c.run.start()
    c.heals()
    c.stop()


def test_binlog_settings_change_under_us(case):
    """Checksums off and on again, with a rotation each time: nothing is noticed but a reconnect, if that."""
    c = case().start()
    for value in ("NONE", "CRC32", "NONE", "CRC32"):
        run_sql(c.connection, f"SET GLOBAL binlog_checksum = {value}")
        c.write(5)
        run_sql(c.connection, "FLUSH BINARY LOGS")
        c.write(5)
        c.delivered()
    c.judge()
    c.stop()


@pytest.mark.parametrize("variable,bad,good", [("binlog_format", "STATEMENT", "ROW"), ("binlog_row_image", "MINIMAL", "FULL"),
                                               ("binlog_row_metadata", "NO_LOG", "FULL")])
def test_a_format_that_cannot_be_read_exactly(case, variable, bad, good):
    """New sessions of the application write what start-up would have refused: capture stops before it."""
    c = case().start()
    c.write(5)
    c.delivered()
    run_sql(c.connection, f"SET GLOBAL {variable} = {bad}")
    fresh = c.servers.connect()
    try:
        run_sql(fresh, f"UPDATE {c.db}.t SET n = 7 WHERE id = 1")
    finally:
        run_sql(c.connection, f"SET GLOBAL {variable} = {good}")
        fresh.close()
    code = c.run.ended(60)
    assert code == DATA, c.run.log_tail()
    assert c.said("level=error", variable, 'hint="'), c.run.log_tail()


def test_the_clock_of_the_source_jumps(case):
    """Commit times are the source's word; order is that of the binlog."""
    c = case().start()
    for stamp in (1, 2_000_000_000, 86400, "DEFAULT"):
        run_sql(c.connection, f"SET timestamp = {stamp}")
        c.write(3)
    c.heals()
    assert "lag" in c.setup.millrace("lag").stdout.lower() or c.setup.millrace("lag").returncode == 0
    c.stop()


def test_the_source_moves_to_another_port(case):
    c = case().start()
    c.write(10)
    c.delivered()
    c.stop()
    with p.Proxy("127.0.0.1", c.servers.env["MARIADB_PORT"]) as moved:
        c.setup.settings["source.port"] = moved.port
        c.setup.write()
        c.write(10)
        c.run.start()
        c.heals()
        c.stop()


def test_a_row_larger_than_a_packet_of_the_source(case):
    c = case().start()
    run_sql(c.connection, f"ALTER TABLE {c.db}.t MODIFY v LONGTEXT")
    wide = c.servers.connect()
    run_sql(c.connection, "SET GLOBAL max_allowed_packet = 1048576")
    try:
        with wide.cursor() as cursor:
            cursor.execute(f"INSERT INTO {c.db}.t VALUES (900001, 1, REPEAT('z', 5000000))")
        c.source.cut()
        c.heals()
    finally:
        run_sql(c.connection, "SET GLOBAL max_allowed_packet = 16777216")
        wide.close()
    c.stop()
