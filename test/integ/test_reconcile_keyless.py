"""Reconciling copies of tables without a primary key: compared as a multiset with one snapshot."""
import random
import threading
import time

from fold import check_seq, compare_multiset
from harness import run_sql, source_position, wait_until
from test_reconcile import outcome, silently, snapshot, started


def healed(setup, table):
    return [v for *_, v in setup.reader.records(setup.topic(table)) if v["source"]["gtid"].startswith("reconcile:")]


def counts(one):
    return one["rows"], one["created"], one["updated"], one["deleted"], one["unknown"]


def test_rows_changed_without_the_binlog(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (a INT, b VARCHAR(20), c DECIMAL(9,2), d DATETIME(3))",
            "INSERT INTO t SELECT seq % 50, concat('v', seq % 50), seq % 50 / 4, '2024-01-01 01:02:03.5' FROM seq_1_to_200",
            "INSERT INTO t VALUES (NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL)")
    setup = make_setup(f"{db}.t", copy__chunk_rows=20)
    run = started(setup, connection)
    run_sql(connection, "UPDATE t SET b = 'changed' WHERE a = 7", "DELETE FROM t WHERE a = 8 LIMIT 2", "INSERT INTO t (a) VALUES (1000), (1000), (1001)")
    setup.wait_delivered(source_position(connection), run)
    assert counts(outcome(setup, f"{db}.t")[f"{db}.t"]) == (203, 0, 0, 0, 0)  # what nobody changed does not differ
    # four of one image less, two of one more, 60 new ones, one pair of NULLs halved
    silently(connection, "DELETE FROM t WHERE a = 9", "INSERT INTO t SELECT * FROM t WHERE a = 10 LIMIT 2",
             "INSERT INTO t SELECT seq, 'new', NULL, NULL FROM seq_2000_to_2059", "DELETE FROM t WHERE b IS NULL AND a IS NULL LIMIT 1")
    assert counts(outcome(setup, f"{db}.t")[f"{db}.t"]) == (260, 62, 0, 5, 0)
    records = setup.reader.records(setup.topic(f"{db}.t"))
    assert compare_multiset(records, connection, db, "t") == 260
    parts = {v["source"]["gtid"] for v in healed(setup, f"{db}.t")}
    assert len(parts) == 4 and all(p.startswith(f"reconcile:{db}.t:2.") for p in parts), parts  # 67 differences, 20 in a part
    assert counts(outcome(setup, f"{db}.t")[f"{db}.t"]) == (260, 0, 0, 0, 0)
    silently(connection, "DELETE FROM t")
    assert counts(outcome(setup, f"{db}.t")[f"{db}.t"]) == (0, 0, 0, 260, 0)
    assert compare_multiset(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t") == 0
    run_sql(connection, "INSERT INTO t (a) VALUES (1)", "TRUNCATE t", "INSERT INTO t (a) VALUES (2)")
    setup.wait_delivered(source_position(connection), run)
    assert counts(outcome(setup, f"{db}.t")[f"{db}.t"]) == (1, 0, 0, 0, 0)
    out = setup.millrace("snapshot", f"{db}.t", "--where", "a = 2")
    assert out.returncode == 3 and "no primary key" in out.stderr, (out.returncode, out.stderr)
    check_seq(setup)
    run.stop()


def test_statements_that_rewrite(database, make_setup):
    """An ALTER with values, a RENAME onto the name, DML as a statement: they queue the copy themselves."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (a INT, b INT)", "INSERT INTO t SELECT seq % 10, seq % 3 FROM seq_1_to_60")
    setup = make_setup(f"{db}.t", copy__chunk_rows=20)
    run = started(setup, connection)

    def settled():
        setup.wait_delivered(source_position(connection), run)
        wait_until("the end of the reconciling copy", lambda: not setup.commits()[-1]["reconciling"], 90, 0.3)
        return compare_multiset(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t")

    run_sql(connection, "ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 5")
    assert settled() == 60
    assert {v["op"] for v in healed(setup, f"{db}.t")} == {"c", "d"} and len(healed(setup, f"{db}.t")) == 120
    run_sql(connection, "CREATE TABLE other (a INT, b INT, c INT NOT NULL)", "INSERT INTO other VALUES (1, 1, 1), (1, 1, 1)",
            "RENAME TABLE t TO old, other TO t")
    assert settled() == 2
    run_sql(connection, "SET SESSION binlog_format = 'STATEMENT'", "UPDATE t SET b = 7 LIMIT 1", "SET SESSION binlog_format = 'ROW'")
    assert settled() == 2
    run_sql(connection, "ALTER TABLE t DROP COLUMN b", "INSERT INTO t VALUES (3, 3)", "DROP TABLE t")
    setup.wait_delivered(source_position(connection), run)
    run_sql(connection, "CREATE TABLE t (a INT) AS SELECT 1 AS a UNION ALL SELECT 1")
    assert settled() == 2
    check_seq(setup)
    run.stop()


def test_the_keys_end(database, make_setup):
    """A table that loses its primary key: its topic has records with keys in all partitions."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, seq FROM seq_1_to_50")
    setup = make_setup(f"{db}.t", copy__chunk_rows=20)
    run = started(setup, connection)
    run_sql(connection, "DELETE FROM t WHERE id > 40", "ALTER TABLE t DROP PRIMARY KEY", "DELETE FROM t WHERE id < 5", "INSERT INTO t VALUES (7, 7)")
    setup.wait_delivered(source_position(connection), run)
    wait_until("nothing to compare", lambda: not setup.commits()[-1]["reconciling"], 90, 0.3)
    assert counts(outcome(setup, f"{db}.t")[f"{db}.t"]) == (37, 0, 0, 0, 0)
    silently(connection, "DELETE FROM t WHERE id = 7 LIMIT 1", "INSERT INTO t VALUES (8, 8)")
    assert counts(outcome(setup, f"{db}.t")[f"{db}.t"]) == (37, 1, 0, 1, 0)
    run.stop()


def test_under_heavy_writes_and_kills(servers, database, make_setup):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, "CREATE TABLE t (a INT, b INT, c VARCHAR(20)) ", "INSERT INTO t SELECT seq % 300, seq % 7, 'x' FROM seq_1_to_2000",
            "CREATE TABLE plain (a INT, b INT) ENGINE = Aria", "INSERT INTO plain SELECT seq % 30, seq % 7 FROM seq_1_to_300")
    setup = make_setup(f"{db}.*", copy__chunk_rows=100)
    run = started(setup, connection)
    # images that the writer below makes, too: what flows while they are compared adds to both sides
    silently(connection, "DELETE FROM t WHERE a < 60", "UPDATE t SET b = b + 1 WHERE a BETWEEN 100 AND 120",
             "INSERT INTO t SELECT seq % 20, 3, 'x' FROM seq_1_to_400", "DELETE FROM plain WHERE a < 5", "INSERT INTO plain SELECT 5, 5 FROM seq_1_to_9")
    writer = servers.connect(database=db)
    stopping, failures = [], []

    def write():
        try:
            while not stopping:
                a, b = r.randrange(300), r.randrange(7)
                run_sql(writer, [f"DELETE FROM t WHERE a = {a} LIMIT 2", f"INSERT INTO t VALUES ({a}, {b}, 'x'), ({a}, {b}, 'x')",
                                 f"UPDATE t SET b = {b} WHERE a = {a} LIMIT 3"][r.randrange(3)])
                time.sleep(0.01)
        except Exception as failure:  # shown below
            failures.append(failure)

    load = threading.Thread(target=write)
    load.start()
    try:
        snapshot(setup, "--detach", f"{db}.t", f"{db}.plain")
        for _ in range(4):
            time.sleep(r.uniform(0.3, 1.5))
            run.kill()
            run.start()
        setup.wait_delivered(source_position(connection), run)
        wait_until("the end of the reconciling copies", lambda: not setup.commits()[-1]["reconciling"], 120, 0.5)
    finally:
        stopping.append(True)
        load.join()
    assert not failures
    setup.wait_delivered(source_position(connection), run)
    compare_multiset(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", chained=False)
    compare_multiset(setup.reader.records(setup.topic(f"{db}.plain")), connection, db, "plain")
    for table in ("t", "plain"):
        assert counts(outcome(setup, f"{db}.{table}")[f"{db}.{table}"])[1:] == (0, 0, 0, 0)
    check_seq(setup)
    run.stop()
