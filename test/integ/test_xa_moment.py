"""XA COMMIT is in the binlog a moment before the tables have it. Here that moment lasts: the thread of the server that
commits is stopped in it (ptrace: that thread alone). Copies have to wait for it."""
import ctypes
import os
import random
import threading
import time

import pymysql
import pytest

from fold import check_seq, compare, compare_multiset
from harness import run_sql, source_position, wait_until

PTRACE_CONT, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 7, 17, 0x4206, 0x4207
WALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace({request:#x}): {os.strerror(number)}; this test needs root, or kernel.yama.ptrace_scope = 0")


class Moment:
    """Commits XA transactions one after the other until one of them is held in the moment. Each does what changes(n) says."""

    def __init__(self, servers, db, changes):
        self.servers, self.db, self.changes = servers, db, changes
        self.number, self.stopping, self.failure, self.held = 0, False, None, False
        self.connection = servers.connect(database=db)
        self.thread_id = int(run_sql(self.connection, "SELECT tid FROM information_schema.processlist WHERE id = CONNECTION_ID()")[0][0])
        self.base = int(run_sql(self.connection, "SELECT @@gtid_binlog_pos")[0][0].split("-")[2])  # nobody else writes
        ptrace(PTRACE_SEIZE, self.thread_id)
        self.worker = threading.Thread(target=self.work)
        self.worker.start()

    def work(self):
        try:
            while not self.stopping:
                self.number += 1
                xid = f"'{self.db}.{self.number}'"
                run_sql(self.connection, f"XA START {xid}", *self.changes(self.number), f"XA END {xid}", f"XA PREPARE {xid}", f"XA COMMIT {xid}")
        except Exception as failure:
            self.failure = failure

    def stop_thread(self):
        ptrace(PTRACE_INTERRUPT, self.thread_id)
        os.waitpid(self.thread_id, WALL)

    def is_it(self, probe):
        """Prepared for the tables, committed for the binlog, and a snapshot's place is behind that."""
        names = [row[3].decode() if isinstance(row[3], bytes) else row[3] for row in run_sql(probe, "XA RECOVER")]
        if f"{self.db}.{self.number}" not in names:
            return False
        run_sql(probe, "COMMIT", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        place = dict(run_sql(probe, "SHOW STATUS LIKE 'binlog\\_snapshot\\_%'"))
        gtid = run_sql(probe, "SELECT BINLOG_GTID_POS('{Binlog_snapshot_file}', {Binlog_snapshot_position})".format(**place))[0][0]
        return int(gtid.split("-")[2]) == self.base + 2 * self.number  # each takes two: XA PREPARE, XA COMMIT

    def hold(self, seconds=120):
        r = random.Random()
        end = time.monotonic() + seconds
        probe = None
        while time.monotonic() < end:
            assert self.failure is None, self.failure
            if probe is None:
                probe = self.servers.connect(read_timeout=0.5)
            time.sleep(r.random() * 0.01)
            self.stop_thread()
            try:
                if self.is_it(probe):
                    self.held = True
                    probe.close()
                    return self.number
            except pymysql.err.OperationalError:  # it was stopped with a lock that every question needs
                probe = None
            ptrace(PTRACE_CONT, self.thread_id)
        raise AssertionError(f"none of {self.number} XA COMMITs was stopped in its moment")

    def release(self):
        if self.held:
            self.held = False
            ptrace(PTRACE_CONT, self.thread_id)

    def end(self):
        if self.stopping:
            return
        self.stopping = True
        self.release()
        self.worker.join(60)
        try:
            self.stop_thread()
            ptrace(PTRACE_DETACH, self.thread_id)
        except OSError:
            pass
        self.connection.close()


@pytest.fixture
def moment(servers, database):
    made = []

    def make(changes):
        made.append(Moment(servers, database[0], changes))
        return made[-1]

    yield make
    for m in made:
        m.end()


def copies_wait(daemon, setup, tables):
    """True when a copy has ended although the moment lasts."""
    end = time.monotonic() + 4
    while time.monotonic() < end:
        commits = setup.commits() if setup.reader.topics(f"{setup.name}.commits") else []
        if commits and not set(tables) & set(commits[-1]["copying"]) and commits[-1]["seq"] > 0:
            return True
        assert daemon.alive(), daemon.log_tail()
        time.sleep(0.3)
    return False


def test_moment_at_the_start(servers, database, make_setup, moment):
    """Capture begins, and copies, while it lasts: nothing says that the transaction is committed but the binlog before."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, 0 FROM seq_1_to_500", "CREATE TABLE bag (v INT)")
    m = moment(lambda n: [f"INSERT INTO t VALUES ({1000 + n}, 1)", f"INSERT INTO bag VALUES ({n})"])
    number = m.hold()
    setup = make_setup(f"{db}.t, {db}.bag", copy__chunk_rows=50)
    run = setup.daemon("run").start()
    early = copies_wait(run, setup, [f"{db}.t", f"{db}.bag"])
    m.end()
    setup.wait_delivered(source_position(connection), run)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    compare_multiset(setup.reader.records(setup.topic(f"{db}.bag")), connection, db, "bag")
    check_seq(setup)
    assert not early, f"copied although {number} was not in the tables"
    run.stop()


def test_moment_within_a_copy(servers, database, make_setup, moment):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, 0 FROM seq_1_to_3000")
    setup = make_setup(f"{db}.t", copy__chunk_rows=100, copy__connections=2, copy__rate=200)
    run = setup.daemon("run").start()
    wait_until("a first chunk", lambda: setup.reader.topics(setup.topic(f"{db}.t")) and setup.reader.messages(setup.topic(f"{db}.t")), 60)
    m = moment(lambda n: [f"INSERT INTO t VALUES ({10000 + n}, 1)", f"UPDATE t SET v = {n} WHERE id % 50 = {n % 50}"])
    number = m.hold()
    assert setup.commits()[-1]["copying"] == [f"{db}.t"], "the copy was over too early for this test"
    time.sleep(4)
    early = not setup.commits()[-1]["copying"]
    m.end()
    setup.wait_delivered(source_position(connection), run, 180)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    check_seq(setup)
    print("held", number, "ended early" if early else "waited")
    run.stop()


def test_moment_within_a_comparison(servers, database, make_setup, moment):
    """A row that is delivered and not in the tables yet would be taken back as one that differs."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, 0 FROM seq_1_to_300")
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    m = moment(lambda n: [f"INSERT INTO t VALUES ({1000 + n}, 1)"])
    m.hold()
    setup.wait_delivered(source_position(connection), run)
    asked = setup.millrace("snapshot", f"{db}.t", "--detach")
    assert asked.returncode == 0, asked.stderr
    time.sleep(3)
    m.end()
    wait_until("the comparison's end", lambda: not setup.commits()[-1]["reconciling"], 60)
    setup.wait_delivered(source_position(connection), run)
    records = setup.reader.records(setup.topic(f"{db}.t"))
    compare(records, connection, db, "t", ["id"])
    assert not [v for *_, v in records if v["op"] == "d"], "a row was taken back"
    check_seq(setup)
    run.stop()
