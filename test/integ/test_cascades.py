"""Foreign keys that delete, update or set to NULL below the binlog: their children are compared, and right afterwards."""
import random
import threading
import time

import pytest

from fold import check_seq, compare
from harness import run_sql, source_position, wait_until
from test_reconcile import started


@pytest.fixture(autouse=True)
def children_are_not_in_the_binlog(servers):
    if servers.at_least("mysql", 9, 6):
        pytest.skip("it writes the rows of children itself: test_mysql_newest.py")


def settled(setup, connection, run):
    """Until everything is delivered and nothing is left to compare."""
    setup.wait_delivered(source_position(connection), run)
    wait_until("the end of all reconciling copies", lambda: not setup.commits()[-1]["reconciling"], 90, 0.3)


def healed(setup, table):
    return [v for *_, v in setup.reader.records(setup.topic(table)) if v["source"]["gtid"].startswith("reconcile:")]


def test_every_action_and_two_levels(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE p (id INT PRIMARY KEY, code VARCHAR(9) UNIQUE)",
            "CREATE TABLE del (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)",
            "CREATE TABLE nil (id INT PRIMARY KEY, p VARCHAR(9), FOREIGN KEY (p) REFERENCES p (code) ON DELETE SET NULL ON UPDATE SET NULL)",
            "CREATE TABLE grand (id INT PRIMARY KEY, d INT, FOREIGN KEY (d) REFERENCES del (id) ON DELETE CASCADE ON UPDATE CASCADE)",
            "CREATE TABLE other (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id))",
            "INSERT INTO p SELECT seq, concat('c', seq) FROM seq_1_to_20", "INSERT INTO del SELECT seq, 1 + seq % 20 FROM seq_1_to_60",
            "INSERT INTO nil SELECT seq, concat('c', 1 + seq % 20) FROM seq_1_to_60", "INSERT INTO grand SELECT seq, 1 + seq % 60 FROM seq_1_to_100")
    setup = make_setup(f"{db}.*", copy__chunk_rows=25)
    run = started(setup, connection)
    tables = ("p", "del", "nil", "grand", "other")
    run_sql(connection, "DELETE FROM p WHERE id = 3", "UPDATE p SET id = 100 WHERE id = 4", "UPDATE p SET code = 'other' WHERE id = 5",
            "SET foreign_key_checks = 0", "DELETE FROM p WHERE id = 6", "SET foreign_key_checks = 1")
    settled(setup, connection, run)
    for table in tables:
        compare(setup.reader.records(setup.topic(f"{db}.{table}")), connection, db, table, ["id"])
    assert {v["op"] for v in healed(setup, f"{db}.del")} == {"d", "u"}
    assert [v["op"] for v in healed(setup, f"{db}.nil")] == ["u"] * len(healed(setup, f"{db}.nil"))
    assert {v["op"] for v in healed(setup, f"{db}.grand")} == {"d"}
    assert not healed(setup, f"{db}.other") and not healed(setup, f"{db}.p")
    gone = [v for v in healed(setup, f"{db}.del") if v["op"] == "d"]
    assert all(v["before"]["p"] == 3 for v in gone) and len(gone) == 3
    assert any(f"{db}.del" in c["reconciling"] for c in setup.commits())
    before = setup.commits()[-1]["seq"]
    run_sql(connection, "UPDATE p SET code = concat(code, '') WHERE id < 10", "INSERT INTO other VALUES (1, 1)")
    settled(setup, connection, run)
    assert setup.commits()[-1]["seq"] == before + 1  # nothing that children refer to was changed
    check_seq(setup)
    run.stop()


def test_a_parent_with_columns_that_are_not_supported(servers, database, make_setup):
    """Of a parent that is not captured only its key is looked at: whatever types its other columns have."""
    db, connection = database
    own = {"mariadb": "mark UUID, host INET6, note TEXT COMPRESSED, few VARCHAR(99) COMPRESSED",
           "mysql": "mark CHAR(36), host VARCHAR(40), note TEXT, few VARCHAR(99)"}[servers.engine]
    run_sql(connection, f"CREATE TABLE shop (id INT PRIMARY KEY, place POINT, {own},"
                        " word VARCHAR(20) CHARACTER SET ucs2, kind ENUM('a', 'b') CHARACTER SET ucs2, many MULTIPOLYGON, code VARCHAR(9) UNIQUE)",
            "CREATE TABLE article (id INT PRIMARY KEY, shop INT, FOREIGN KEY (shop) REFERENCES shop (id) ON DELETE CASCADE)",
            "CREATE TABLE label (id INT PRIMARY KEY, code VARCHAR(9), FOREIGN KEY (code) REFERENCES shop (code) ON UPDATE CASCADE ON DELETE SET NULL)",
            "INSERT INTO shop SELECT seq, POINT(seq, 1), UUID(), '::1', repeat('n', 200), repeat('f', 90), 'w', 'a', NULL, concat('c', seq) FROM seq_1_to_9",
            "INSERT INTO article SELECT seq, 1 + seq % 9 FROM seq_1_to_90", "INSERT INTO label SELECT seq, concat('c', 1 + seq % 9) FROM seq_1_to_90")
    setup = make_setup(f"{db}.article, {db}.label")
    run = started(setup, connection)
    run_sql(connection, "UPDATE shop SET note = 'x', place = POINT(3, 4), host = '::2', kind = 'b' WHERE id < 5")
    settled(setup, connection, run)
    assert not healed(setup, f"{db}.article") and not healed(setup, f"{db}.label"), "no key was changed"
    run_sql(connection, "DELETE FROM shop WHERE id = 3", "UPDATE shop SET code = 'other' WHERE id = 4", "INSERT INTO article VALUES (1000, 1)")
    settled(setup, connection, run)
    compare(setup.reader.records(setup.topic(f"{db}.article")), connection, db, "article", ["id"])
    compare(setup.reader.records(setup.topic(f"{db}.label")), connection, db, "label", ["id"])
    assert {v["op"] for v in healed(setup, f"{db}.article")} == {"d"} and {v["op"] for v in healed(setup, f"{db}.label")} >= {"u"}
    run_sql(connection, "ALTER TABLE shop MODIFY place GEOMETRY NULL, ADD old DATETIME", "DELETE FROM shop WHERE id = 7")
    settled(setup, connection, run)
    compare(setup.reader.records(setup.topic(f"{db}.article")), connection, db, "article", ["id"])
    check_seq(setup)
    run.stop()


def test_parents_that_are_not_captured(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE top (id INT PRIMARY KEY)",
            "CREATE TABLE middle (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES top (id) ON DELETE CASCADE)",
            "CREATE TABLE leaf (id INT PRIMARY KEY, m INT, FOREIGN KEY (m) REFERENCES middle (id) ON DELETE SET NULL)",
            "CREATE TABLE tree (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE)",
            "INSERT INTO top SELECT seq FROM seq_1_to_5", "INSERT INTO middle SELECT seq, 1 + seq % 5 FROM seq_1_to_20",
            "INSERT INTO leaf SELECT seq, 1 + seq % 20 FROM seq_1_to_40", "INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 3), (5, 4), (6, NULL)")
    setup = make_setup(f"{db}.leaf, {db}.tree")
    run = started(setup, connection)
    run_sql(connection, "DELETE FROM top WHERE id = 2")
    settled(setup, connection, run)
    compare(setup.reader.records(setup.topic(f"{db}.leaf")), connection, db, "leaf", ["id"])
    assert {v["after"]["m"] for v in healed(setup, f"{db}.leaf")} == {None}
    run_sql(connection, "DELETE FROM tree WHERE id = 2")
    settled(setup, connection, run)
    assert compare(setup.reader.records(setup.topic(f"{db}.tree")), connection, db, "tree", ["id"]) == 2
    assert setup.topic(f"{db}.top") not in setup.reader.topics(setup.name)
    run.stop()
    # also while capture was away, and by a key that came later
    run_sql(connection, "DELETE FROM middle WHERE id = 4", "CREATE TABLE late (id INT PRIMARY KEY)", "INSERT INTO late VALUES (1), (2)",
            "ALTER TABLE leaf ADD COLUMN l INT NULL, ADD FOREIGN KEY (l) REFERENCES late (id) ON DELETE CASCADE", "UPDATE leaf SET l = 1 WHERE id < 10 AND m IS NOT NULL")
    run.start()
    settled(setup, connection, run)
    run_sql(connection, "DELETE FROM late WHERE id = 1")
    settled(setup, connection, run)
    assert compare(setup.reader.records(setup.topic(f"{db}.leaf")), connection, db, "leaf", ["id"]) < 40
    check_seq(setup)
    run.stop()


def test_under_writes_and_kills(servers, database, make_setup):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, "CREATE TABLE p (id INT PRIMARY KEY, v INT)",
            "CREATE TABLE c (id INT PRIMARY KEY, p INT, v INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)",
            "INSERT INTO p SELECT seq, 0 FROM seq_1_to_50", "INSERT INTO c SELECT seq, 1 + seq % 50, 0 FROM seq_1_to_300")
    setup = make_setup(f"{db}.*", copy__chunk_rows=100)
    run = started(setup, connection)
    writer = servers.connect(database=db)
    stopping, failures = [], []

    def write():
        try:
            while not stopping:
                verb, a, b = r.randrange(5), r.randrange(1, 60), r.randrange(1, 500)
                run_sql(writer, [f"DELETE FROM p WHERE id = {a}", f"INSERT IGNORE INTO p VALUES ({a}, {b})",
                                 f"UPDATE IGNORE p SET id = {r.randrange(1, 60)} WHERE id = {a}", f"UPDATE c SET v = v + 1 WHERE id = {b}",
                                 f"INSERT IGNORE INTO c SELECT {b}, id, {a} FROM p WHERE id = {a}"][verb])
                time.sleep(0.005)
        except Exception as failure:  # shown below
            failures.append(failure)

    load = threading.Thread(target=write)
    load.start()
    try:
        for _ in range(3):
            time.sleep(r.uniform(1, 3))
            run.kill()
            run.start()
        time.sleep(3)
    finally:
        stopping.append(True)
        load.join()
    assert not failures
    settled(setup, connection, run)
    for table in ("p", "c"):
        compare(setup.reader.records(setup.topic(f"{db}.{table}")), connection, db, table, ["id"], chained=table == "p")
    run.stop()
