"""MySQL as the source: what the binlog of each version says arrives, whatever it is wrapped in."""
import os
import time

import pytest

from harness import Setup, purge_binlogs, run_sql, servers_of, source_position, those_there, wait_until
from test_projection import rows as view_rows, write_view


@pytest.fixture(scope="module", params=those_there("mysql:8.0", "mysql:9.7"))
def mysql(request):
    with servers_of(request.param) as made:
        yield made


@pytest.fixture
def make_mysql_setup(mysql, tmp_path, request):
    made = []

    def make(tables, **settings):
        setup = Setup(mysql, tmp_path / f"m{len(made)}", f"my{len(made)}x{os.getpid()}x{abs(hash(request.node.name)) % 99999}",
                      tables, **settings)
        made.append(setup)
        return setup

    yield make
    for setup in made:
        setup.kill_all()


def rows(setup, table):
    """(op, before, after) of every record, in order of seq."""
    records = sorted(((v["source"]["seq"], v) for *_, v in setup.reader.records(setup.topic(table))), key=lambda r: r[0])
    assert [seq for seq, _ in records] == list(range(1, len(records) + 1))
    return [(v["op"], v["before"], v["after"]) for _, v in records]


def shorten(images):
    return [(op, before and (before["id"], before["v"]), after and (after["id"], after["v"])) for op, before, after in images]


def test_every_form_of_a_transaction(mysql, make_mysql_setup):
    """Copied first, then streamed: plain, with savepoints, compressed, XA, tagged, and again behind a restart."""
    c = mysql.connect()
    run_sql(c, "CREATE DATABASE forms CHARACTER SET utf8mb4", "USE forms", "CREATE TABLE a (id INT PRIMARY KEY, v INT)",
            "INSERT INTO a VALUES (1, 1), (2, 2)")
    setup = make_mysql_setup("forms.a", kafka__partitions=1)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(c), run)
    run_sql(c, "BEGIN", "INSERT INTO a VALUES (3, 3)", "SAVEPOINT s", "DELETE FROM a WHERE id = 1", "ROLLBACK TO s",
            "UPDATE a SET v = 30 WHERE id = 3", "COMMIT",
            "SET SESSION binlog_transaction_compression = ON", "BEGIN", "INSERT INTO a VALUES (4, 4)", "SAVEPOINT s",
            "DELETE FROM a", "ROLLBACK TO s", "DELETE FROM a WHERE id = 2", "COMMIT",
            "SET SESSION binlog_transaction_compression = OFF",
            "XA START 'x'", "INSERT INTO a VALUES (5, 5)", "XA END 'x'", "XA PREPARE 'x'")
    c2 = mysql.connect(database="forms")
    run_sql(c2, "INSERT INTO a VALUES (6, 6)")
    setup.wait_delivered(source_position(c2), run)
    run.stop()
    if mysql.at_least("mysql", 8, 3):
        run_sql(c2, "SET gtid_next = 'automatic:billing'")
    run_sql(c2, "INSERT INTO a VALUES (7, 7)", "XA COMMIT 'x'", "XA START 'y'", "INSERT INTO a VALUES (8, 8)", "XA END 'y'",
            "XA PREPARE 'y'", "XA ROLLBACK 'y'", "UPDATE a SET v = 70 WHERE id = 7")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(c2), run)
    assert shorten(rows(setup, "forms.a")) == [
        ("r", None, (1, 1)), ("r", None, (2, 2)), ("c", None, (3, 3)), ("u", (3, 3), (3, 30)), ("c", None, (4, 4)),
        ("d", (2, 2), None), ("c", None, (6, 6)), ("c", None, (7, 7)), ("c", None, (5, 5)), ("u", (7, 7), (7, 70))]
    transactions = [t["gtid"] for commit in setup.commits() for t in commit["transactions"]]
    assert any(":billing:1" in t for t in transactions) == mysql.at_least("mysql", 8, 3)
    run.stop()


def test_json_in_parts(mysql, make_mysql_setup):
    """What a partial update leaves unsaid is taken from the row before it: the text is the server's own."""
    c = mysql.connect()
    run_sql(c, "CREATE DATABASE parts CHARACTER SET utf8mb4", "USE parts", "CREATE TABLE j (id INT PRIMARY KEY, v JSON)")
    setup = make_mysql_setup("parts.j", kafka__partitions=1, source__start="now")
    run = setup.daemon("run").start()
    wait_until("streaming", lambda: "streaming of" in run.log())
    run_sql(c, """INSERT INTO j VALUES (1, '{"a": 1, "list": [1, 2, 3], "text": "long enough that a part of it is less than all"}')""",
            "SET SESSION binlog_row_value_options = PARTIAL_JSON")
    want = []
    for change in ("JSON_SET(v, '$.a', 'zwölf')", "JSON_REMOVE(v, '$.list[1]')", "JSON_ARRAY_INSERT(v, '$.list[0]', 1.50)",
                   "JSON_SET(v, '$.new', CAST('2024-01-02' AS DATE))"):
        run_sql(c, f"UPDATE j SET v = {change}")
        want.append(run_sql(c, "SELECT CAST(v AS CHAR) FROM j")[0][0])
    setup.wait_delivered(source_position(c), run)
    assert [after["v"] for op, _, after in rows(setup, "parts.j") if op == "u"] == want
    run.stop()


def test_statements_are_found(mysql, make_mysql_setup):
    """A change written as text has no rows: the table is compared, and the difference delivered."""
    c = mysql.connect()
    run_sql(c, "CREATE DATABASE texts CHARACTER SET utf8mb4", "USE texts", "CREATE TABLE a (id INT PRIMARY KEY, v INT)",
            "INSERT INTO a VALUES (1, 1), (2, 2)")
    setup = make_mysql_setup("texts.a", kafka__partitions=1)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(c), run)
    run_sql(c, "SET SESSION binlog_format = STATEMENT", "UPDATE a SET v = 20 WHERE id = 2", "FLUSH BINARY LOGS")
    wait_until("the comparison", lambda: "is reconciled" in run.log())
    run_sql(c, "SET SESSION binlog_format = ROW", "TRUNCATE a")
    setup.wait_delivered(source_position(c), run)
    assert shorten(rows(setup, "texts.a"))[:3] == [("r", None, (1, 1)), ("r", None, (2, 2)), ("u", (2, 2), (2, 20))]
    assert rows(setup, "texts.a")[3][0] == "t"
    run.stop()


def test_a_lost_history_is_refused(mysql, make_mysql_setup):
    """Purged behind our position, and begun anew: both stop capture with what is missing."""
    c = mysql.connect()
    run_sql(c, "CREATE DATABASE lost CHARACTER SET utf8mb4", "USE lost", "CREATE TABLE a (id INT PRIMARY KEY, v INT)")
    setup = make_mysql_setup("lost.a", source__start="now")
    run = setup.daemon("run").start()
    wait_until("streaming", lambda: "streaming of" in run.log())
    run_sql(c, "INSERT INTO a VALUES (1, 1)")
    setup.wait_delivered(source_position(c), run)
    run.stop()
    run_sql(c, "INSERT INTO a VALUES (2, 2)")
    purge_binlogs(c)
    out = setup.millrace("run")
    assert out.returncode == 8, out.stderr
    assert "has purged its binlog behind our position" in out.stderr
    run_sql(c, "RESET BINARY LOGS AND GTIDS" if mysql.at_least("mysql", 8, 2) else "RESET MASTER")
    out = setup.millrace("run")
    assert out.returncode == 8, out.stderr
    assert "lacks transactions that were delivered" in out.stderr


def test_begun_anew_and_gone_on(mysql, make_mysql_setup):
    """RESET MASTER, and the new numbers have passed ours in a file of the same name: it was begun at another time."""
    c = mysql.connect()
    run_sql(c, "CREATE DATABASE anew CHARACTER SET utf8mb4", "RESET MASTER", "USE anew", "CREATE TABLE a (id INT PRIMARY KEY, v INT)")
    setup = make_mysql_setup("anew.a")
    run = setup.daemon("run").start()
    run_sql(c, "INSERT INTO a VALUES (1, 1), (2, 2)")
    setup.wait_delivered(source_position(c), run)
    run_sql(c, "INSERT INTO a VALUES (3, 3)")       # a position behind a transaction, not behind a copy
    setup.wait_delivered(source_position(c), run)
    run.stop()
    run = setup.daemon("run").start()       # nothing has happened
    run_sql(c, "INSERT INTO a VALUES (4, 4)")
    setup.wait_delivered(source_position(c), run)
    run.stop()
    time.sleep(1.1)     # the time is in seconds
    run_sql(c, "RESET MASTER", *[f"REPLACE INTO a VALUES ({n}, 0)" for n in range(50)])
    out = setup.millrace("run")
    assert out.returncode == 8, out.stderr
    assert "that file was begun at another time" in out.stderr


def test_without_gtids(make_mysql_setup, mysql):
    """By file and offset: positions are places, and transactions are called by where they end."""
    c = mysql.connect()
    for mode in ("ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"):
        run_sql(c, f"SET GLOBAL gtid_mode = {mode}")
    try:
        run_sql(c, "CREATE DATABASE places CHARACTER SET utf8mb4", "USE places", "CREATE TABLE a (id INT PRIMARY KEY, v INT)")
        setup = make_mysql_setup("places.a", kafka__partitions=1, source__start="now")
        run = setup.daemon("run").start()
        wait_until("streaming", lambda: "streaming of" in run.log())
        run_sql(c, "INSERT INTO a VALUES (1, 1)", "FLUSH BINARY LOGS", "INSERT INTO a VALUES (2, 2)")
        wait_until("two rows", lambda: setup.topic("places.a") in setup.reader.topics(setup.name) and
                   len(list(setup.reader.records(setup.topic("places.a")))) == 2)
        run.kill()
        run_sql(c, "SET SESSION binlog_transaction_compression = ON", "UPDATE a SET v = v + 1")
        run = setup.daemon("run").start()
        wait_until("four rows", lambda: len(list(setup.reader.records(setup.topic("places.a")))) == 4)
        assert shorten(rows(setup, "places.a")) == [("c", None, (1, 1)), ("c", None, (2, 2)), ("u", (1, 1), (1, 2)),
                                                    ("u", (2, 2), (2, 3))]
        run.stop()
        status = "SHOW BINARY LOG STATUS" if mysql.at_least("mysql", 8, 2) else "SHOW MASTER STATUS"
        file, offset = run_sql(c, status)[0][:2]
        assert setup.commits()[-1]["gtid_set"] == f"{file}:{offset}"
    finally:
        for mode in ("OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"):
            run_sql(c, f"SET GLOBAL gtid_mode = {mode}")


def test_a_long_gtid_set(mysql, make_mysql_setup):
    """Gaps of another source: more text than any message or status shows."""
    c = mysql.connect()
    run_sql(c, "CREATE DATABASE gaps", "USE gaps", "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t VALUES (1, 1)")
    for n in range(1, 1400, 2):
        run_sql(c, f"SET gtid_next = '3e11fa47-71ca-11e1-9e33-c80aa9429562:{n}'", "BEGIN", "COMMIT")
    run_sql(c, "SET gtid_next = 'AUTOMATIC'")
    setup = make_mysql_setup("gaps.t")
    write_view(setup, "gaps", columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the public name", lambda: view_rows(setup))
    for n in range(2, 14, 2):   # a gap is closed: the text gets shorter by two, and wherever it were cut, it is cut elsewhere
        run_sql(c, f"SET gtid_next = '3e11fa47-71ca-11e1-9e33-c80aa9429562:{n}'", "BEGIN", f"INSERT INTO t VALUES ({n}, 2)", "COMMIT",
                "SET gtid_next = 'AUTOMATIC'")
        setup.wait_delivered(source_position(c), run)
        out = setup.millrace("verify", "copy")
        assert out.returncode == 0, out.stdout + out.stderr
    project.stop()
    run.stop()
    run_sql(c, "DROP DATABASE gaps")
