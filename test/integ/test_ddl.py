"""Statements that change captured tables without naming rows: TRUNCATE, DROP, RENAME, ALTER, DML written as text."""
import random
import time

import pymysql
import pytest

from fold import check_seq, compare, fold
from harness import run_sql, source_position, wait_until


def ops(setup, table):
    """{seq: op} in the order of seq"""
    return dict(sorted((value["source"]["seq"], value["op"]) for *_, value in setup.reader.records(setup.topic(table))))


def settled(setup, run, connection, timeout=90):
    """Delivered to the source's end, and nothing that waits for a reconciling copy."""
    position = source_position(connection)
    setup.wait_delivered(position, run, timeout)

    def healed():
        assert run.alive(), run.log_tail()
        return not setup.commits()[-1]["reconciling"]

    wait_until("the end of reconciling copies", healed, timeout, every=0.3)


@pytest.fixture
def shop(database, make_setup):
    """Table t with ten rows, captured, its first copy done; (db, connection, setup, run)"""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, seq FROM seq_1_to_10")
    setup = make_setup(f"{db}.*")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    yield db, connection, setup, run
    setup.kill_all()


def test_truncate_and_drop_are_one_seq_in_every_partition(shop):
    db, connection, setup, run = shop
    run_sql(connection, "UPDATE t SET v = 0 WHERE id = 1", "TRUNCATE t", "INSERT INTO t VALUES (1, 100), (2, 200)")
    setup.wait_delivered(source_position(connection), run)
    records = setup.reader.records(setup.topic(f"{db}.t"))
    assert sorted(p for p, *_, v in records if v["op"] == "t") == [0, 1, 2]
    assert list(ops(setup, f"{db}.t").values()) == ["r"] * 10 + ["u", "t", "c", "c"]
    gtids = {v["source"]["transaction_id"] if "transaction_id" in v["source"] else v["transaction"]["id"] for *_, v in records if v["op"] == "t"}
    assert len(gtids) == 1 and gtids.pop() in [t["gtid"] for c in setup.commits() for t in c["transactions"]]
    compare(records, connection, db, "t", ["id"])
    run_sql(connection, "DROP TABLE t")
    setup.wait_delivered(source_position(connection), run)
    assert fold(setup.reader.records(setup.topic(f"{db}.t")), ["id"]) == {}
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, other VARCHAR(5))", "INSERT INTO t VALUES (7, 'new')")
    setup.wait_delivered(source_position(connection), run)
    assert compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"]) == 1
    run_sql(connection, "CREATE OR REPLACE TABLE t (id INT PRIMARY KEY) SELECT 5 AS id UNION SELECT 6")
    settled(setup, run, connection)
    assert compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"]) == 2
    with pytest.raises(pymysql.err.IntegrityError):  # the table is dropped, in a group that ends in ROLLBACK
        run_sql(connection, "CREATE OR REPLACE TABLE t (id INT PRIMARY KEY) SELECT 1 AS id UNION ALL SELECT 1")
    settled(setup, run, connection)
    assert fold(setup.reader.records(setup.topic(f"{db}.t")), ["id"]) == {}
    check_seq(setup)
    run.stop()


def test_a_table_that_is_dropped_while_capture_is_away(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE u (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)",
            "INSERT INTO u VALUES (1)")
    setup = make_setup(f"{db}.t, {db}.u")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    run_sql(connection, "INSERT INTO t VALUES (3)", "DROP TABLE t")
    run.start()
    setup.wait_delivered(source_position(connection), run)
    assert list(ops(setup, f"{db}.t").values()) == ["r", "r", "c", "t"]
    run.stop()
    run.start()  # its name is still configured, and in the position
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (9)", "DROP DATABASE IF EXISTS nothing_there")
    setup.wait_delivered(source_position(connection), run)
    assert compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"]) == 1
    run_sql(connection, f"DROP DATABASE {db}")
    setup.wait_delivered(source_position(connection), run)
    for name in "tu":
        assert fold(setup.reader.records(setup.topic(f"{db}.{name}")), ["id"]) == {}
    run_sql(connection, f"CREATE DATABASE {db}")
    check_seq(setup)
    run.stop()


NOTHING = ["ADD COLUMN a{n} INT", "ADD a{n} VARCHAR(9) NULL DEFAULT NULL FIRST", "ADD INDEX i{n} (v)", "ADD COLUMN (a{n} INT, b{n} INT)",
           "ALTER COLUMN v SET DEFAULT 5", "COMMENT 'MODIFY v'", "AUTO_INCREMENT = 500", "ENGINE=InnoDB", "FORCE", "ADD CHECK (v < 10000)",
           "DROP COLUMN w", "ADD a{n} INT INVISIBLE, ALGORITHM=INSTANT, LOCK=NONE", "DEFAULT CHARACTER SET latin1", "ORDER BY v",
           "ADD UNIQUE (id)"]
def test_alters_that_change_nothing_are_passed_over(shop):
    """Really nothing: the topic, which got no record, still equals the table."""
    db, connection, setup, run = shop
    run_sql(connection, "ALTER TABLE t ADD w INT")
    for n, change in enumerate(NOTHING):
        run_sql(connection, f"ALTER TABLE t {change.format(n=n)}")
    settled(setup, run, connection)
    assert set(ops(setup, f"{db}.t").values()) == {"r"}
    rows = fold(setup.reader.records(setup.topic(f"{db}.t")), ["id"])
    columns = [name for name, in run_sql(connection, f"SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{db}' AND TABLE_NAME = 't'")]
    for line in run_sql(connection, f"SELECT {', '.join(columns)} FROM t"):
        want = dict(zip(columns, line))
        got = rows[(want["id"],)][0]
        assert {name: got.get(name) for name in columns} == want
    run.stop()


def test_truncate_in_the_middle_of_a_first_copy(servers, database, make_setup):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, seq FROM seq_1_to_3000")
    setup = make_setup(f"{db}.t", copy__chunk_rows=20)
    run = setup.daemon("run").start()
    for _ in range(4):
        time.sleep(r.random() * 0.3)
        run_sql(connection, f"DELETE FROM t WHERE id = {r.randrange(3000)}", "TRUNCATE t", "INSERT INTO t SELECT seq, seq * 2 FROM seq_1_to_3000")
        if r.random() < 0.3:
            run.kill()
            run.start()
    settled(setup, run, connection)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    check_seq(setup)
    run.stop()
