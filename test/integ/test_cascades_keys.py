"""Cascades by key: only the rows that referred to what changed are compared; where that can't be told, the whole child is."""
import re

import pytest

from fold import check_seq, compare
from harness import run_sql, source_position
from test_cascades import healed, settled
from test_reconcile import started


@pytest.fixture(autouse=True)
def children_are_not_in_the_binlog(servers):
    if servers.at_least("mysql", 9, 6):
        pytest.skip("it writes the rows of children itself: test_mysql_newest.py")


def compared(run, table):
    """How many rows of the table reconciling copies have read so far."""
    return sum(int(n) for n in re.findall(rf"{re.escape(table)} is reconciled \(\d+\): (\d+) rows compared", run.log()))


def whole(run):
    return re.findall(r'msg="(\S+) is compared whole: ([^"]*)"', run.log())


def test_only_the_affected_rows(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE p (id INT PRIMARY KEY, code VARCHAR(20) COLLATE utf8mb4_general_ci, day DATE, UNIQUE (code, day)) CHARACTER SET utf8mb4",
            "CREATE TABLE del (id BINARY(4), n DECIMAL(6,2), p INT, PRIMARY KEY (id, n), FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)",
            "CREATE TABLE nil (name VARCHAR(20) COLLATE utf8mb4_general_ci, e ENUM('a','b'), at DATETIME(3), code VARCHAR(20) COLLATE utf8mb4_general_ci, day DATE, "
            "PRIMARY KEY (name, e, at), FOREIGN KEY (code, day) REFERENCES p (code, day) ON DELETE SET NULL ON UPDATE CASCADE) CHARACTER SET utf8mb4",
            "CREATE TABLE inkey (p INT, n INT, PRIMARY KEY (p, n), FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)",
            "CREATE TABLE grand (id BIGINT UNSIGNED PRIMARY KEY, d BINARY(4), n DECIMAL(6,2), FOREIGN KEY (d, n) REFERENCES del (id, n) ON DELETE CASCADE)",
            "CREATE TABLE tree (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE)",
            "INSERT INTO p SELECT seq, concat('Code', seq), '2024-01-01' + INTERVAL seq DAY FROM seq_1_to_200",
            "INSERT INTO del SELECT unhex(lpad(hex(seq), 8, '0')), seq / 4, 1 + seq % 200 FROM seq_1_to_600",
            "INSERT INTO nil SELECT concat('É', seq), 1 + seq % 2, '2024-01-01 00:00:00.5', concat('cODE', 1 + seq % 200), "
            "'2024-01-01' + INTERVAL 1 + seq % 200 DAY FROM seq_1_to_600",
            "INSERT INTO inkey SELECT 1 + seq % 200, seq FROM seq_1_to_600",
            "INSERT INTO grand SELECT 18446744073709500000 + seq, id, n FROM (SELECT id, n, cast(conv(hex(id), 16, 10) AS UNSIGNED) AS seq FROM del) x WHERE seq % 2 = 0",
            "INSERT INTO tree SELECT seq, nullif(seq DIV 2, 0) FROM seq_1_to_1000")
    setup = make_setup(f"{db}.*", copy__chunk_rows=500)
    run = started(setup, connection)
    keys = {"p": ["id"], "del": ["id", "n"], "nil": ["name", "e", "at"], "inkey": ["p", "n"], "grand": ["id"], "tree": ["id"]}

    def right():
        settled(setup, connection, run)
        for table, key in keys.items():
            compare(setup.reader.records(setup.topic(f"{db}.{table}")), connection, db, table, key)

    run_sql(connection, "DELETE FROM p WHERE id = 7", "BEGIN", "DELETE FROM p WHERE id IN (10, 11)", "DELETE FROM p WHERE id = 20", "COMMIT",
            "DELETE FROM tree WHERE id = 100")
    right()
    assert {v["op"] for v in healed(setup, f"{db}.del")} == {"d"} and len(healed(setup, f"{db}.del")) == 12
    assert {v["op"] for v in healed(setup, f"{db}.nil")} == {"u"} and len(healed(setup, f"{db}.nil")) == 12
    assert len(healed(setup, f"{db}.inkey")) == 12 and len(healed(setup, f"{db}.grand")) == 6
    assert len(healed(setup, f"{db}.tree")) == 2 + 4 + 8  # each level in a round of its own
    assert not whole(run), whole(run)
    for table in keys:
        assert compared(run, f"{db}.{table}") < 50, table
    run.kill()  # the links are kept up by what comes after a restart, too
    run.start()
    run_sql(connection, "UPDATE p SET code = 'other' WHERE id = 30", "INSERT INTO del VALUES (x'FFFFFFFF', -1, 31)", "UPDATE del SET p = 31 WHERE p = 32",
            "DELETE FROM p WHERE id = 31")
    right()
    assert sorted(str(v["after"]["code"]) for v in healed(setup, f"{db}.nil")) == ["None"] * 15 + ["other"] * 3
    assert len([v for v in healed(setup, f"{db}.del") if v["before"]["p"] == 31]) == 7
    assert not whole(run), whole(run)
    # where keys can't tell
    run_sql(connection, "UPDATE p SET id = 5000 WHERE id = 40")
    right()
    assert whole(run) == [(f"{db}.inkey", "a cascade has changed primary keys")]
    check_seq(setup)
    run.stop()


def test_many_parents_and_those_that_cannot_be_told(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE p (id INT PRIMARY KEY, v INT UNIQUE)", "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)",
            "CREATE TABLE u (id INT PRIMARY KEY, v INT, FOREIGN KEY (v) REFERENCES p (v) ON DELETE SET NULL)",
            "CREATE TABLE plain (p INT, n INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)",
            "INSERT INTO p SELECT seq, seq FROM seq_1_to_3500", "INSERT INTO c SELECT seq, 1 + seq % 3500 FROM seq_1_to_4000",
            "INSERT INTO u SELECT seq, 1 + seq % 3500 FROM seq_1_to_100", "INSERT INTO plain SELECT 1 + seq % 3500, 1 FROM seq_1_to_100")
    setup = make_setup(f"{db}.p, {db}.c, {db}.u")
    run = started(setup, connection)
    run_sql(connection, "DELETE FROM p WHERE id BETWEEN 101 AND 1100")
    settled(setup, connection, run)
    compare(setup.reader.records(setup.topic(f"{db}.c")), connection, db, "c", ["id"])
    assert not whole(run) and compared(run, f"{db}.c") < 100
    run_sql(connection, "DELETE FROM p WHERE id > 1100", "SET SESSION binlog_row_image = 'MINIMAL'", "DELETE FROM p WHERE id = 5", "SET SESSION binlog_row_image = 'FULL'")
    settled(setup, connection, run)
    for table in ("c", "u"):
        compare(setup.reader.records(setup.topic(f"{db}.{table}")), connection, db, table, ["id"])
    assert (f"{db}.c", "too many rows of its parent have changed") in whole(run)
    assert compared(run, f"{db}.u") >= 100  # MINIMAL: the parent's image lacks the column
    check_seq(setup)
    run.stop()
