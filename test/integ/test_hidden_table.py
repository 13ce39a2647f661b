"""While a statement puts a table in the place of another, MariaDB lists neither. Here that moment lasts, and capture begins in
it: the table's rows must be delivered all the same."""
import time
from pathlib import Path

import pytest

from fold import check_seq, compare
from harness import run_sql, source_position, wait_until
from moment import Moment

STATEMENTS = {
    "alter": ["ALTER TABLE t FORCE, ALGORITHM = COPY"],
    "replace": ["CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, 0 FROM seq_1_to_300"],
}


@pytest.fixture
def moment(servers, database):
    """The table has no file of its own name then."""
    db, _ = database
    file = Path(servers.env["DATABASE_DATADIR"]) / db / "t.frm"
    made = []

    def hidden(probe, _):
        if file.exists():
            return False
        listed = run_sql(probe, f"SELECT TABLE_NAME, ENGINE, TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('', '{db}')")
        run_sql(probe, f"SELECT * FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{db}'")     # if it can be asked at all
        return "t" not in [name for name, *_ in listed]

    def make(what):
        made.append(Moment(servers, db, lambda n: ([], STATEMENTS[what][0], STATEMENTS[what][1:]), hidden))
        return made[-1]

    yield make
    for m in made:
        m.end()


def all_is_there(setup, run, db, connection):
    setup.wait_delivered(source_position(connection), run)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    check_seq(setup)
    run.stop()


@pytest.mark.parametrize("what", STATEMENTS)
@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_hidden_as_capture_begins(servers, database, make_setup, moment, what, delivery):
    """capture.tables has a pattern: nothing says that it is missing."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, 0 FROM seq_1_to_300", "CREATE TABLE u (id INT PRIMARY KEY)")
    m = moment(what)
    m.hold()
    setup = make_setup(f"{db}.*", capture__delivery=delivery)
    run = setup.daemon("run").start()
    end = time.monotonic() + 10      # now and then the moment stops capture too: then nothing was hidden
    while "streaming of" not in run.log() and time.monotonic() < end:
        time.sleep(0.05)
    m.end()
    run_sql(connection, f"UPDATE {db}.t SET v = 1 WHERE id = 7", f"INSERT INTO {db}.t VALUES (1000, 2)")
    all_is_there(setup, run, db, connection)


def test_hidden_and_named(servers, database, make_setup, moment):
    """capture.tables names it: that is no mistake."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, 0 FROM seq_1_to_300")
    m = moment("alter")
    m.hold()
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    time.sleep(2)
    m.end()
    all_is_there(setup, run, db, connection)


def test_hidden_while_it_is_copied(servers, database, make_setup, moment):
    """The position knows it, and its copy goes on."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, 0 FROM seq_1_to_2000", "CREATE TABLE u (id INT PRIMARY KEY)")
    setup = make_setup(f"{db}.*", copy__chunk_rows=50, copy__connections=1, copy__rate=400)
    run = setup.daemon("run").start()
    wait_until("a chunk", lambda: setup.reader.topics(setup.topic(f"{db}.t")) and setup.reader.messages(setup.topic(f"{db}.t")), 60)
    run.kill()
    assert f"{db}.t" in setup.commits()[-1]["copying"]
    m = moment("alter")
    m.hold()
    run.start()
    time.sleep(2)
    m.end()
    all_is_there(setup, run, db, connection)
