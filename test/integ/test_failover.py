"""A primary and a replica: who is read after a failover, what is refused, and the way back (DESIGN 4.9)."""
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pymysql
import pytest

from fold import compare
from harness import ROOT, Servers, Setup, purge_binlogs, run_sql, source_position, wait_until

CONFIG, PURGED = 3, 8


class Mariadb(Servers):
    """A MariaDB of its own, beside the session's servers; keeps what it shares with those in its environment."""

    def __init__(self, folder, shared, number, *options):
        self.folder = str(folder)
        self.shared = shared
        self.script("start", self.folder, "--mariadb", f"--mariadb-option=--server-id={number}",
                    *(f"--mariadb-option={o}" for o in options))
        self.read_env()

    def read_env(self):
        out = subprocess.run([str(ROOT / "scripts" / "servers"), "env", self.folder], check=True, capture_output=True, text=True)
        self.env = dict(line.split("=", 1) for line in out.stdout.splitlines() if "=" in line)
        self.bootstrap = self.shared.bootstrap

    def address(self):
        return f"{self.env['DATABASE_HOST']}:{self.env['DATABASE_PORT']}"

    def kill(self):
        self.script("kill", self.folder, "mariadb")

    def start(self):
        self.script("start", self.folder, "--mariadb")

    def take_password_of(self, other):
        """Both know the capture's account by the same password, as a replica of a real primary does."""
        secret = Path(other.env["DATABASE_PASSWORD_FILE"]).read_text().strip()
        with self.connect() as connection:
            run_sql(connection, "SET sql_log_bin = 0", f"ALTER USER millrace@'%' IDENTIFIED BY '{secret}'")

    def follow(self, primary):
        with self.connect() as connection:
            run_sql(connection, f"CHANGE MASTER TO master_host = '127.0.0.1', master_port = {primary.env['DATABASE_PORT']}, "
                    f"master_user = '{primary.env['DATABASE_SITE_USER']}', "
                    f"master_password = '{primary.env['DATABASE_SITE_PASSWORD']}', master_use_gtid = slave_pos, "
                    "master_connect_retry = 1", "START SLAVE", "SET GLOBAL read_only = ON")

    def promote(self):
        with self.connect() as connection:
            run_sql(connection, "STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = OFF")


@pytest.fixture
def world(servers, tmp_path):
    """A primary with a table, a replica that has it, and a setup that lists both."""
    with tempfile.TemporaryDirectory(prefix="millrace-failover-") as folder:
        os.chmod(folder, 0o755)
        made = []
        try:
            made.append(Mariadb(Path(folder) / "a", servers, 11))
            made.append(Mariadb(Path(folder) / "b", servers, 12))
            primary, replica = made
            replica.take_password_of(primary)
            replica.follow(primary)
            connection = primary.connect()
            run_sql(connection, "CREATE DATABASE shop CHARACTER SET utf8mb4",
                    "CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20))",
                    "CREATE TABLE shop.u (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20))",
                    "INSERT INTO shop.t (v) VALUES ('a'), ('b'), ('c')", "INSERT INTO shop.u (v) VALUES ('a'), ('b')")
            setup = Setup(primary, tmp_path / "m", f"f{os.getpid()}x{next(Setup.ports)}", "shop.t, shop.u",
                          source__host=f"{primary.address()}, {replica.address()}")
            yield setup, primary, replica, connection
            setup.kill_all()
        finally:
            for server in made:
                server.stop()


def caught_up(primary, replica):
    with primary.connect() as a, replica.connect() as b:
        wait_until("the replica has it all", lambda: source_position(a) == source_position(b))


def insert(connection, v="x", table="t"):
    run_sql(connection, f"INSERT INTO shop.{table} (v) VALUES ('{v}')")


def compare_all(setup, connection):
    for table in ("t", "u"):
        compare(setup.reader.records(setup.topic(f"shop.{table}")), connection, "shop", table, ["id"])


def test_a_promoted_replica_is_followed(world):
    setup, primary, replica, connection = world
    run = setup.daemon("run").start()
    for i in range(20):
        insert(connection, f"p{i}", "tu"[i % 2])
    setup.wait_delivered(source_position(connection), run)
    caught_up(primary, replica)
    primary.kill()
    replica.promote()
    with replica.connect() as now:
        for i in range(20):
            insert(now, f"r{i}", "tu"[i % 2])
        setup.wait_delivered(source_position(now), run)
        compare_all(setup, now)
        insert(now)  # two servers in one domain from here on: a new session must know its position there
        run.kill()
        run.start()
        setup.wait_delivered(source_position(now), run)
        compare_all(setup, now)
    run.stop()


def test_a_read_only_replica_is_a_source(world):
    setup, primary, replica, connection = world
    caught_up(primary, replica)
    run = setup.daemon("run", f"--source.host={replica.address()}").start()
    insert(connection)
    setup.wait_delivered(source_position(connection), run)
    compare_all(setup, connection)
    run.stop()


def test_the_head_is_asked_of_the_server_that_is_read(world):
    """The first of the list is back, but lacks our position: neither it is read, nor is it asked how far the source is."""
    setup, primary, replica, connection = world
    run = setup.daemon("run").start()
    insert(connection)
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    caught_up(primary, replica)
    primary.kill()
    replica.promote()
    with replica.connect() as now:
        insert(now)
        run.start()
        setup.wait_delivered(source_position(now), run)
        run.stop()
        primary.start()
        insert(now)
        run.start()
        setup.wait_delivered(source_position(now), run)

        def has_head():
            (capture,) = [p for p in json.loads(setup.millrace("lag", "--json").stdout)["processes"] if p["key"] == "capture"]
            return capture["state"] == "streaming" and capture.get("head")

        wait_until("the head", has_head)
        who = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'millrace'"
        with primary.connect() as old:
            assert run_sql(old, who)[0][0] == 0
        assert run_sql(now, who)[0][0] > 0
    run.stop()


def test_a_replica_that_does_not_log_what_it_gets_is_no_source(world):
    setup, primary, replica, connection = world
    with tempfile.TemporaryDirectory(prefix="millrace-failover-") as folder:
        os.chmod(folder, 0o755)
        silent = Mariadb(Path(folder) / "c", setup.servers, 13, "--log-slave-updates=OFF")
        try:
            silent.take_password_of(primary)
            silent.follow(primary)
            run = setup.daemon("run").start()
            insert(connection)
            setup.wait_delivered(source_position(connection), run)
            run.stop()
            insert(connection, "unseen")
            end = run_sql(connection, "SELECT @@gtid_binlog_pos")[0][0]
            with silent.connect() as c:
                wait_until("the replica has it all", lambda: run_sql(c, "SELECT @@gtid_slave_pos")[0][0] == end)
                out = setup.millrace("run", f"--source.host={silent.address()}")
                assert out.returncode == CONFIG and "is a replica with log_slave_updates = OFF" in out.stderr, out.stderr
                silent.promote()
                insert(c, "new")
            out = setup.millrace("run", f"--source.host={silent.address()}")  # "unseen" is in its table, not in its binlog
            assert out.returncode == PURGED and "lacks transactions that were delivered" in out.stderr, out.stderr
        finally:
            silent.stop()


def wait_compared(setup, run):
    """Until the position has moved to the source's present and every table was compared. (By its number alone, a GTID of the
    new server may seem to lie before those that are lost.)"""
    def done():
        assert run.alive(), run.log_tail()
        commits = setup.commits()
        return any(c["reconciling"] for c in commits) and not commits[-1]["reconciling"]
    wait_until("every table is compared", done, every=0.3)


def lose(setup, primary, replica, connection):
    """The primary is gone with transactions that were delivered and never replicated."""
    run = setup.daemon("run").start()
    insert(connection, "kept")
    caught_up(primary, replica)
    with replica.connect() as b:
        run_sql(b, "STOP SLAVE")
    for i in range(3):
        insert(connection, f"lost{i}")
    setup.wait_delivered(source_position(connection), run)
    primary.kill()
    replica.promote()
    return run


def test_a_server_that_lost_our_past_is_refused_and_the_reconciling_copy_is_the_way_back(world):
    setup, primary, replica, connection = world
    lost = source_position(connection)[0]
    run = lose(setup, primary, replica, connection)
    first, last = f"0-11-{lost + 2}", f"0-11-{lost + 4}"
    wait_until("the refusal", lambda: f"{first} to {last}" in run.log())
    assert run.alive(), "the primary may come back: it goes on trying"
    run.stop()
    out = setup.millrace("run", f"--source.host={replica.address()}")
    assert out.returncode == PURGED and f"{first} to {last}" in out.stderr and "source.lost=reconcile" in out.stderr, out.stderr
    with replica.connect() as now:
        insert(now, "after")
        run = setup.daemon("run", f"--source.host={replica.address()}", "--source.lost=reconcile").start()
        wait_compared(setup, run)
        run.stop()
        run = setup.daemon("run", f"--source.host={replica.address()}").start()
        for i in range(5):  # beyond the numbers that are lost
            insert(now, f"later{i}")
        setup.wait_delivered(source_position(now), run)
        compare_all(setup, now)
        run.stop()


def test_a_server_that_went_on_without_our_past_is_refused(world):
    """Higher numbers of another server are other transactions."""
    setup, primary, replica, connection = world
    run = lose(setup, primary, replica, connection)
    with replica.connect() as now:
        for i in range(10):
            insert(now, f"other{i}")
    run.stop()
    out = setup.millrace("run", f"--source.host={replica.address()}")
    assert out.returncode == PURGED and "went on with others" in out.stderr, out.stderr


def test_a_purged_source_says_from_where_to_where_and_the_copy_heals(world):
    setup, primary, replica, connection = world
    setup.settings["source.host"] = primary.address()
    setup.write()
    with replica.connect() as b:
        run_sql(b, "STOP SLAVE")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    stood = source_position(connection)[0]
    run.stop()
    insert(connection, "unseen")
    run_sql(connection, "UPDATE shop.t SET v = 'changed' WHERE id = 2", "DELETE FROM shop.u WHERE id = 1")
    oldest = source_position(connection)[0]
    purge_binlogs(connection)
    out = setup.millrace("run")
    assert out.returncode == PURGED, out.stderr
    assert f"0-11-{stood}" in out.stderr and f"0-11-{oldest}" in out.stderr and "source.lost=reconcile" in out.stderr, out.stderr
    before = setup.commits()[-1]["seq"]
    run = setup.daemon("run", "--source.lost=reconcile").start()
    insert(connection, "while")
    setup.wait_delivered(source_position(connection), run)
    wait_compared(setup, run)
    run.kill()
    run = setup.daemon("run").start()
    insert(connection, "later")
    setup.wait_delivered(source_position(connection), run)
    compare_all(setup, connection)
    healed = [c for c in setup.commits() if c["seq"] > before]
    assert any(t["gtid"].startswith("reconcile:") for c in healed for t in c["transactions"])
    run.stop()


def test_a_reset_binlog_is_noticed_though_its_ids_come_again(world):
    setup, primary, replica, connection = world
    setup.settings["source.host"] = primary.address()
    setup.write()
    with replica.connect() as b:
        run_sql(b, "STOP SLAVE", "RESET SLAVE ALL")
    run = setup.daemon("run").start()
    insert(connection)
    setup.wait_delivered(source_position(connection), run)
    insert(connection)
    setup.wait_delivered(source_position(connection), run)
    stood = source_position(connection)[0]
    run.stop()

    def reset():
        try:
            run_sql(connection, "RESET MASTER")
            return True
        except pymysql.err.Error:
            return False  # the dump thread of our last session is still there

    wait_until("the reset", reset)
    while source_position(connection).get(0, 0) <= stood:
        insert(connection, "y" * 20)
    out = setup.millrace("run")
    assert out.returncode == PURGED and "RESET MASTER" in out.stderr, out.stderr
    run = setup.daemon("run", "--source.lost=reconcile").start()
    wait_compared(setup, run)
    compare_all(setup, connection)
    run.stop()
