"""Statements that change captured tables without naming rows: TRUNCATE, DROP, RENAME, ALTER, DML written as text."""
import json
import random
import time

import pymysql
import pytest

from fold import check_seq, compare, fold
from harness import kill_between_parts, run_sql, source_position, wait_until, with_fault_points


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


def publish(setup, db, table="t", where="v > 3"):
    """Events of three kinds, each with a topic of its own: NAME.enters, .leaves, .always"""
    (setup.folder / "events").mkdir(exist_ok=True)
    for when in ("enters", "leaves", "always"):
        binding = {"owner": "me", "topic": f"{setup.name}.{when}", "key": ["id"], "from": f"{db}.{table}", "when": when}
        if when != "always":
            binding["where"] = where
        (setup.folder / "events" / f"{when}.avsc").write_text(json.dumps({
            "type": "record", "namespace": "shop", "name": when.title(), "doc": "A test.", "millrace": binding,
            "fields": [{"name": "id", "type": "int"}, {"name": "v", "type": ["null", "int"]}]}))


def published(setup, when):
    """(id, v) in the order of seq; each seq once"""
    events = sorted((v["meta"]["seq"], v["id"], v["v"]) for *_, v in setup.reader.records(f"{setup.name}.{when}"))
    assert len({seq for seq, *_ in events}) == len(events)
    return [(i, v) for _, i, v in events]


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_rows_leave_with_truncate_and_drop(database, make_setup, delivery):
    """enters and leaves take turns, whatever statement empties the table"""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, seq FROM seq_1_to_10",
            "CREATE TABLE u (id INT PRIMARY KEY, v INT)", "INSERT INTO u VALUES (1, 1)")
    setup = make_setup(f"{db}.t, {db}.u", capture__events="events", capture__delivery=delivery)
    publish(setup, db)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    first = [(i, i) for i in range(4, 11)]
    assert published(setup, "enters") == first and published(setup, "leaves") == []
    run_sql(connection, "UPDATE t SET v = 40 WHERE id = 1", "DELETE FROM t WHERE id = 10", "TRUNCATE t", "TRUNCATE u",
            "INSERT INTO t VALUES (1, 1), (2, 100)")
    setup.wait_delivered(source_position(connection), run)
    assert list(ops(setup, f"{db}.t").values()) == ["r"] * 10 + ["u", "d"] + ["d"] * 9 + ["t", "c", "c"]
    assert list(ops(setup, f"{db}.u").values()) == ["r", "t"], "a table without events leaves no rows behind"
    left = [(10, 10), (1, 40)] + [(i, i) for i in range(4, 10)]
    assert published(setup, "leaves") == left, "those that were there, in the order of their keys"
    records = setup.reader.records(setup.topic(f"{db}.t"))
    t, = {v["transaction"]["id"] for *_, v in records if v["op"] == "t"}
    assert [v["transaction"]["id"] for *_, v in records].count(t) == 9 + 3, "all in the transaction of the TRUNCATE"
    compare(records, connection, db, "t", ["id"])
    # dropped; made again; replaced, with rows in the group of the statement that empties it; its database dropped
    run_sql(connection, "DROP TABLE t", "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (7, 70)")
    setup.wait_delivered(source_position(connection), run)
    left += [(2, 100)]
    assert published(setup, "leaves") == left
    run_sql(connection, "CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, v INT) SELECT 8 AS id, 80 AS v UNION SELECT 9, 90")
    settled(setup, run, connection)
    left += [(7, 70)]
    assert published(setup, "leaves") == left
    assert compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"]) == 2
    run.kill()
    run.start()
    run_sql(connection, "TRUNCATE t", "TRUNCATE t", "INSERT INTO t VALUES (5, 50)")
    setup.wait_delivered(source_position(connection), run)
    left += [(8, 80), (9, 90)]
    assert published(setup, "leaves") == left
    run_sql(connection, f"DROP DATABASE {db}", f"CREATE DATABASE {db}")
    setup.wait_delivered(source_position(connection), run)
    assert published(setup, "leaves") == left + [(5, 50)]
    assert published(setup, "enters") == first + [(1, 40), (2, 100), (7, 70), (8, 80), (9, 90), (5, 50)]
    always = published(setup, "always")
    rows = len([1 for *_, v in setup.reader.records(setup.topic(f"{db}.t")) if v["op"] != "t"])
    assert len(always) == rows, "one for each row that came, changed or left"
    check_seq(setup)
    run.stop()


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_kill_9_while_rows_leave(database, make_setup, delivery):
    """A table whose rows need more than one Kafka transaction to leave; killed behind the first cut, and at random."""
    db, connection = database
    rows, seed = 30_000, int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", f"INSERT INTO t SELECT seq, seq FROM seq_1_to_{rows}")
    setup = make_setup(f"{db}.t", capture__events="events", capture__delivery=delivery,
                       kafka__transaction__timeout__ms="4000", kafka__timeout="4s")
    publish(setup, db, where="v > 10")
    run = setup.daemon("run")
    slots = with_fault_points(setup, run)
    run.start()
    setup.wait_delivered(source_position(connection), run, 180)
    slots.arm("leaves", 1500)
    run_sql(connection, "TRUNCATE t")
    kill_between_parts(setup, run, slots, "leaves", 1500)
    run.start()
    wait_until("the rest, begun", lambda: run.log().count("goes on behind") == 1, 60)
    assert ", inside " in run.log(), "it was not killed between two parts"
    time.sleep(r.random() * 3)
    run.kill()
    run.start()
    run_sql(connection, f"INSERT INTO t SELECT seq, 5 FROM seq_1_to_{rows // 10}")
    setup.wait_delivered(source_position(connection), run, 180)
    assert sorted(published(setup, "leaves")) == [(i, i) for i in range(11, rows + 1)], "each row that met `where` left once"
    assert list(ops(setup, f"{db}.t").values()) == ["r"] * rows + ["d"] * rows + ["t"] + ["c"] * (rows // 10)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
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


def test_a_table_with_events_is_dropped_while_capture_is_away(database, make_setup):
    """Nobody knows its columns any more: op t without the events of its rows; a new one of its name has events again."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 10)")
    setup = make_setup(f"{db}.t", capture__events="events")
    publish(setup, db)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    run_sql(connection, "DROP TABLE t")
    run.start()
    setup.wait_delivered(source_position(connection), run)
    assert list(ops(setup, f"{db}.t").values()) == ["r", "t"] and published(setup, "leaves") == []
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (2, 20)", "TRUNCATE t")
    setup.wait_delivered(source_position(connection), run)
    assert published(setup, "enters") == [(1, 10), (2, 20)] and published(setup, "leaves") == [(2, 20)]
    check_seq(setup)
    run.stop()


def test_temporary_tables_never_count(shop, servers):
    db, connection, setup, run = shop
    # on MySQL RENAME TABLE is always of the table itself
    rename = ["RENAME TABLE t TO t2", "RENAME TABLE t2 TO t"] if servers.engine == "mariadb" else []
    for mode in ("ROW", "MIXED", "STATEMENT"):
        other = servers.connect(database=db)
        run_sql(other, f"SET binlog_format = {mode}", "CREATE TEMPORARY TABLE t (a INT)", "TRUNCATE t", "INSERT INTO t VALUES (1)",
                *rename, "ALTER TABLE t RENAME TO t3", "ALTER TABLE t3 RENAME TO t", "TRUNCATE TABLE t",
                "DROP TABLE t", "CREATE TEMPORARY TABLE t (a INT)")
        other.close()
    settled(setup, run, connection)
    assert set(ops(setup, f"{db}.t").values()) == {"r"}, "something was delivered although no row changed"
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    run.stop()


NOTHING = ["ADD COLUMN a{n} INT", "ADD a{n} VARCHAR(9) NULL DEFAULT NULL FIRST", "ADD INDEX i{n} (v)", "ADD COLUMN (a{n} INT, b{n} INT)",
           "ALTER COLUMN v SET DEFAULT 5", "COMMENT 'MODIFY v'", "AUTO_INCREMENT = 500", "ENGINE=InnoDB", "FORCE", "ADD CHECK (v < 10000)",
           "DROP COLUMN w", "ADD a{n} INT INVISIBLE, ALGORITHM=INSTANT", "DEFAULT CHARACTER SET latin1", "ORDER BY v",
           "ADD UNIQUE (id)"]
CHANGES = ["ADD COLUMN c{n} INT DEFAULT 7", "ADD COLUMN c{n} INT NOT NULL", "MODIFY v BIGINT", "CHANGE v v2 INT", "RENAME COLUMN v2 TO v",
           "ADD COLUMN g{n} INT AS (id * 2) STORED", "ADD s{n} INT AUTO_INCREMENT UNIQUE", "CONVERT TO CHARACTER SET latin1",
           "ADD d{n} DATETIME DEFAULT CURRENT_TIMESTAMP"]


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


def test_alters_that_change_rows_are_healed(shop):
    db, connection, setup, run = shop
    for n, change in enumerate(CHANGES):
        run_sql(connection, f"ALTER TABLE t {change.format(n=n)}", "UPDATE t SET id = id WHERE id < 3")
        settled(setup, run, connection)
        fields = [name for name, in run_sql(connection, f"SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{db}' AND TABLE_NAME = 't'")]
        rows = healed_rows(setup, db)
        for line in run_sql(connection, f"SELECT {', '.join(fields)} FROM t"):
            want = dict(zip(fields, line))
            got = rows[(want["id"],)]
            assert {k: str(got.get(k)).replace("+00:00", "") for k in fields} == {k: str(want[k]) for k in fields}, change
    check_seq(setup)
    run.stop()


def healed_rows(setup, db):
    """Last image of each row; before-images of reconciling copies have the columns of their time."""
    rows = {}
    for _, _, _, _, v in sorted(setup.reader.records(setup.topic(f"{db}.t")), key=lambda r: r[4]["source"]["seq"]):
        if v["op"] == "t":
            rows = {}
        elif v["op"] == "d":
            del rows[(v["before"]["id"],)]
        else:
            rows[(v["after"]["id"],)] = v["after"]
    return rows


def test_online_schema_change_swaps(shop):
    """As gh-ost and pt-online-schema-change do it: copy, swap by one RENAME, drop the old one."""
    db, connection, setup, run = shop
    run_sql(connection, "CREATE TABLE _t_new LIKE t", "ALTER TABLE _t_new ADD extra INT NOT NULL DEFAULT 3",
            "INSERT INTO _t_new (id, v) SELECT id, v FROM t", "RENAME TABLE t TO _t_old, _t_new TO t", "INSERT INTO t VALUES (50, 5, 5)",
            "UPDATE t SET v = 77 WHERE id = 3", "DROP TABLE _t_old")
    settled(setup, run, connection)
    assert "t" not in ops(setup, f"{db}.t").values()
    rows = healed_rows(setup, db)
    assert {k[0]: (v["v"], v["extra"]) for k, v in rows.items()} == {i: (v, x) for i, v, x in run_sql(connection, "SELECT id, v, extra FROM t")}
    run_sql(connection, "ALTER TABLE t RENAME TO away")  # left, and not filled
    settled(setup, run, connection)
    assert healed_rows(setup, db) == {}
    run_sql(connection, "RENAME TABLE away TO t")  # filled again, later
    settled(setup, run, connection)
    assert len(healed_rows(setup, db)) == 11
    check_seq(setup)
    run.stop()


def test_statements_in_statement_format_are_healed(shop, servers):
    db, connection, setup, run = shop
    run_sql(connection, "CREATE TABLE log (n INT PRIMARY KEY)", "CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC BEGIN INSERT INTO log VALUES (a); RETURN a; END",
            "INSERT INTO log VALUES (0)")
    setup.wait_delivered(source_position(connection), run)
    if servers.engine == "mysql":
        run_sql(connection, "SET GLOBAL local_infile = ON")
    other = servers.connect(database=db, local_infile=True)
    (setup.folder / "rows.txt").write_text("500\t1\n501\t2\n")
    run_sql(other, "SET binlog_format = STATEMENT", "UPDATE t SET v = 99 WHERE id < 4", "DELETE FROM t WHERE id = 9", "SELECT f(1)",
            "BEGIN", "INSERT INTO t VALUES (20, f(2))", "ROLLBACK", "BEGIN", "INSERT INTO t VALUES (21, 1)", "SAVEPOINT a", "INSERT INTO t VALUES (22, 1)",
            "ROLLBACK TO a", "COMMIT", f"LOAD DATA LOCAL INFILE '{setup.folder}/rows.txt' INTO TABLE t",
            "SET STATEMENT sql_mode='' FOR UPDATE t SET v = 987654321 WHERE id = 4")
    other.close()
    settled(setup, run, connection)
    for name, key in (("t", "id"), ("log", "n")):
        compare(setup.reader.records(setup.topic(f"{db}.{name}")), connection, db, name, [key])
    assert "987654321" not in run.log(), "row data in the log"
    check_seq(setup)
    run.stop()


def test_truncate_in_the_middle_of_a_first_copy(servers, database, make_setup):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, seq FROM seq_1_to_3000")
    setup = make_setup(f"{db}.t", copy__chunk_rows=60)
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


def test_drop_in_the_middle_of_a_first_copy(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, seq FROM seq_1_to_20000",
            "CREATE TABLE u (id INT PRIMARY KEY)", "INSERT INTO u VALUES (1)")
    setup = make_setup(f"{db}.t, {db}.u", copy__chunk_rows=20)
    run = setup.daemon("run").start()
    wait_until("the first chunk", lambda: any(c["seq"] > 0 for c in setup.commits()) if f"{setup.name}.commits" in setup.reader.topics() else False)
    run_sql(connection, "DROP TABLE t")
    setup.wait_delivered(source_position(connection), run)
    assert fold(setup.reader.records(setup.topic(f"{db}.t")), ["id"]) == {}
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, w VARCHAR(3))", "INSERT INTO t VALUES (1, 'new'), (15000, 'old')")
    setup.wait_delivered(source_position(connection), run)
    assert compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"]) == 2
    compare(setup.reader.records(setup.topic(f"{db}.u")), connection, db, "u", ["id"])
    check_seq(setup)
    run.stop()
