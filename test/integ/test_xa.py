"""XA transactions: delivered at XA COMMIT under its GTID, dropped at XA ROLLBACK, whatever happens between."""
import random
import time

import pytest

from fold import check_seq, compare
from gtids import gtid_set
from harness import run_sql, source_position, wait_until


@pytest.fixture
def xa(servers, database):
    """xa(xid, statements): begins, runs and prepares in a session of its own, which ends then."""
    db, _ = database

    def prepare(xid, *statements):
        connection = servers.connect(database=db)
        # MySQL keeps locks on gaps beyond PREPARE, where other sessions would wait for them
        run_sql(connection, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", f"XA START {xid}", *statements, f"XA END {xid}", f"XA PREPARE {xid}")
        connection.close()

    return prepare


def finish(servers, xid, how):
    """A session that prepared and ended keeps its xid for a moment."""
    connection = servers.connect()

    def done():
        try:
            run_sql(connection, f"XA {how} {xid}")
            return True
        except Exception as e:  # pymysql.err.OperationalError 1397: unknown xid
            assert "1397" in str(e) or "XAER_NOTA" in str(e), e
            return False

    wait_until(f"XA {how}", done, 20)
    connection.close()


def last_of(position, whose):
    """The number of the last transaction of that server or domain: others may have written here before."""
    value = position[whose]
    return value if isinstance(value, int) else value[-1][1]


def ids(setup, table):
    return sorted(v["after"]["id"] for *_, v in setup.reader.records(setup.topic(table)) if v["after"])


def test_xa_is_delivered_at_its_commit(servers, database, make_setup, xa):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)", "CREATE TABLE other (id INT PRIMARY KEY)")
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    odd = "x'00ff27605c', x'0a', 77"  # any bytes
    xa(odd, "INSERT INTO t VALUES (2, 2)", "UPDATE t SET v = 10 WHERE id = 1", "SAVEPOINT s", "INSERT INTO t VALUES (3, 3)",
       "ROLLBACK TO s", "INSERT INTO t VALUES (4, 4)")
    xa("'two'", "INSERT INTO t VALUES (5, 5)")
    xa("'gone'", "INSERT INTO t VALUES (6, 6)")
    xa("'elsewhere'", "INSERT INTO other VALUES (1)")
    run_sql(connection, "INSERT INTO t VALUES (7, 7)")
    setup.wait_delivered(source_position(connection), run)
    assert ids(setup, f"{db}.t") == [1, 7], "rows of prepared transactions were delivered"
    run.kill()
    run.start()
    finish(servers, "'gone'", "ROLLBACK")
    finish(servers, "'elsewhere'", "COMMIT")
    finish(servers, odd, "COMMIT")
    committed = source_position(connection)
    setup.wait_delivered(source_position(connection), run)
    assert ids(setup, f"{db}.t") == [1, 1, 2, 4, 7]
    of_three = [gtid_set(t["gtid"]) for c in setup.commits() for t in c["transactions"] if t["changes"] == 3]
    assert len(of_three) == 1
    (whose,) = of_three[0]
    assert last_of(of_three[0], whose) == last_of(committed, whose)
    one = servers.connect(database=db)
    run_sql(one, "XA START 'p'", "INSERT INTO t VALUES (8, 8)", "XA END 'p'", "XA COMMIT 'p' ONE PHASE")
    run.stop()
    finish(servers, "'two'", "COMMIT")
    run.start()
    setup.wait_delivered(source_position(connection), run)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    check_seq(setup)
    one.close()
    run.stop()


def test_xa_prepared_before_the_first_position(servers, database, make_setup, xa):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)")
    xa("'early'", "INSERT INTO t VALUES (2, 2)")
    xa("'early, dropped'", "INSERT INTO t VALUES (3, 3)")
    xa("'again'", "INSERT INTO t VALUES (90, 3)")
    finish(servers, "'again'", "ROLLBACK")
    xa("'again'", "INSERT INTO t VALUES (91, 3)")
    run_sql(connection, "FLUSH BINARY LOGS")
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    finish(servers, "'early, dropped'", "ROLLBACK")
    finish(servers, "'early'", "COMMIT")
    finish(servers, "'again'", "COMMIT")
    setup.wait_delivered(source_position(connection), run)
    assert ids(setup, f"{db}.t") == [1, 2, 91]
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    check_seq(setup)
    run.stop()


def test_xa_survives_a_crash_of_the_source(servers, database, make_setup, xa):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "SET GLOBAL sync_binlog = 1", "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    xa("'a'", "INSERT INTO t VALUES (1, 1)")
    xa("'b'", "INSERT INTO t VALUES (2, 2)")
    setup.wait_delivered(source_position(connection), run)
    servers.script("kill", servers.folder, servers.engine)
    servers.script("restart", servers.folder, servers.engine)
    finish(servers, "'a'", "COMMIT")
    finish(servers, "'b'", "ROLLBACK")
    connection = servers.connect()
    run_sql(connection, f"USE {db}", "INSERT INTO t VALUES (3, 3)")
    setup.wait_delivered(source_position(connection), run)
    assert ids(setup, f"{db}.t") == [1, 3]
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    check_seq(setup)
    connection.close()
    run.stop()


def test_xa_larger_than_the_ring_and_cut(servers, database, make_setup, xa):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(500))")
    setup = make_setup(f"{db}.t", capture__memory="8MB", kafka__transaction__timeout__ms="1000", kafka__timeout="1s")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    xa("'big'", "INSERT INTO t SELECT seq, REPEAT('x', 400) FROM seq_1_to_60000", "SAVEPOINT s", "INSERT INTO t SELECT seq, REPEAT('y', 400) FROM seq_60001_to_90000",
       "ROLLBACK TO s", "DELETE FROM t WHERE id % 7 = 0")
    run_sql(connection, "INSERT INTO t VALUES (500000, 'z')")
    setup.wait_delivered(source_position(connection), run)
    assert ids(setup, f"{db}.t") == [500000]
    finish(servers, "'big'", "COMMIT")
    r = random.Random(int(time.time()))
    for _ in range(2):  # kill -9 while it is being read again
        time.sleep(r.random())
        run.kill()
        run.start()
    setup.wait_delivered(source_position(connection), run, 180)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    check_seq(setup)
    run.stop()


def test_xa_in_the_middle_of_a_first_copy(servers, database, make_setup, xa):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq * 10, 0 FROM seq_1_to_3000")
    setup = make_setup(f"{db}.t", copy__chunk_rows=20)
    run = setup.daemon("run").start()
    prepared = []
    new = r.sample(range(3000), 60)
    for n in range(60):
        xid = f"'{db}.{n}'"
        xa(xid, f"INSERT INTO t VALUES ({new[n] * 10 + n % 9 + 1}, {n})", f"UPDATE t SET v = {n} WHERE id = {n * 500 + 10}",
           f"DELETE FROM t WHERE id = {n * 500 + 20}")
        prepared.append(xid)
        while prepared and r.random() < 0.6:
            finish(servers, prepared.pop(r.randrange(len(prepared))), r.choice(["COMMIT", "COMMIT", "ROLLBACK"]))
    for xid in prepared:
        finish(servers, xid, "COMMIT")
    setup.wait_delivered(source_position(connection), run, 180)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    check_seq(setup)
    run.stop()
