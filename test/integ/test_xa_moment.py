"""XA COMMIT is in the binlog a moment before the tables have it. Here that moment lasts: the thread of the server that
commits is led there and stands (moment.py). Copies have to wait for it."""
import time

import pytest

from fold import check_seq, compare, compare_multiset
from gtids import gtid_set
from harness import only_on, run_sql, source_position, wait_until
from moment import Moment


class Prepared:
    """Of XA transaction n, changes(n): prepared for the tables, committed for the binlog, and a snapshot's place is behind that."""

    def __init__(self, db, connection, changes):
        self.db, self.changes = db, changes
        self.base = source_position(connection)[0]  # of domain 0, in which nobody else writes; others may have been used before

    def statements(self, n):
        xid = f"'{self.db}.{n}'"
        return [f"XA START {xid}", *self.changes(n), f"XA END {xid}", f"XA PREPARE {xid}"], f"XA COMMIT {xid}", []

    def is_it(self, probe, n):
        names = [row[3].decode() if isinstance(row[3], bytes) else row[3] for row in run_sql(probe, "XA RECOVER")]
        if f"{self.db}.{n}" not in names:
            return False
        run_sql(probe, "COMMIT", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        place = dict(run_sql(probe, "SHOW STATUS LIKE 'binlog\\_snapshot\\_%'"))
        gtid = run_sql(probe, "SELECT BINLOG_GTID_POS('{Binlog_snapshot_file}', {Binlog_snapshot_position})".format(**place))[0][0]
        return gtid_set(gtid)[0] == self.base + 2 * n  # each takes two: XA PREPARE, XA COMMIT


@pytest.fixture
def moment(servers, database):
    only_on(servers, "mariadb", "Binlog_snapshot_position tells that the moment has come; MySQL has mysql_marks.py")
    made = []

    def make(changes):
        prepared = Prepared(*database, changes)
        made.append(Moment(servers, database[0], prepared.statements, prepared.is_it, behind_binlog=True))
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


def hold_delivered(m, setup, run, connection):
    """The server wakes those who read its binlog within the moment, too: one that is held before that is let go again."""
    for _ in range(12):
        m.hold()
        try:
            return setup.wait_delivered(source_position(connection), run, timeout=8)
        except AssertionError:
            assert run.alive(), run.log_tail()
            m.release()
            setup.wait_delivered(source_position(connection), run)
    raise AssertionError("none of 12 moments was delivered while it lasted")


def test_moment_within_a_comparison(servers, database, make_setup, moment):
    """A row that is delivered and not in the tables yet would be taken back as one that differs."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, 0 FROM seq_1_to_300")
    run_sql(connection, "FLUSH BINARY LOGS")  # what is read back is searched from the beginning of its file
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    m = moment(lambda n: [f"INSERT INTO t VALUES ({1000 + n}, 1)"])
    hold_delivered(m, setup, run, connection)
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
