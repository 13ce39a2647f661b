"""First copies besides those of test_copy_keys.py: tables without a key, without transactions, altered, truncated or emptied
meanwhile; where a capture begins; how it treats a source that has other work."""
import random
import threading
import time

import pymysql
import pytest

from fold import check_seq, compare, compare_multiset
from harness import only_on, run_sql, source_position, wait_until


class Writer:
    """Changes rows in a thread until it is stopped; a failure is shown by stop()."""

    def __init__(self, servers, db, change):
        self.connection = servers.connect(database=db)
        self.change, self.stopping, self.failure = change, False, None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.stopping:
                self.change(self.connection)
        except Exception as failure:
            self.failure = failure

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.connection.close()
        assert self.failure is None, self.failure


def fill(connection, table, rows, width=0):
    """Rows (id, v): 1 .. rows."""
    for first in range(1, rows + 1, 5000):
        values = ",".join(f"({i}, {i % 97}{', REPEAT(CHAR(65 + %d), %d)' % (i % 26, width) if width else ''})"
                          for i in range(first, min(first + 5000, rows + 1)))
        run_sql(connection, f"INSERT INTO {table} VALUES {values}")


def delivered(setup, db, table):
    return setup.reader.records(setup.topic(f"{db}.{table}"))


def newest(setup, db, table):
    """{id: row} as the topic says, of images that may lack what did not change."""
    last = {}
    for _, _, key, _, e in delivered(setup, db, table):
        if e["op"] == "d":
            del last[key["id"]]
            continue
        assert (key["id"] in last) == (e["op"] == "u")
        absent = {a.removeprefix("after.") for a in e["absent"] or [] if a.startswith("after.")}
        row = last.setdefault(key["id"], {})
        row.update({c: v for c, v in e["after"].items() if c not in absent})
    return last


def test_without_a_key(servers, database, make_setup):
    """Equal rows, NULLs, changes all the time, a kill -9 in the middle: the topic holds the same rows as often as the table."""
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, "CREATE TABLE bag (a INT, b VARCHAR(20))", "CREATE TABLE keyed (id INT PRIMARY KEY, v INT)",
            "CREATE TABLE nothing (a INT)")
    run_sql(connection, "INSERT INTO bag VALUES " + ",".join(f"({r.randrange(50)}, {r.choice(['NULL', chr(39) + 'x' + chr(39)])})" for _ in range(20000)))
    fill(connection, "keyed", 3000)

    def change(c):
        run_sql(c, r.choice([f"INSERT INTO bag VALUES ({r.randrange(50)}, 'w'), ({r.randrange(50)}, NULL)",
                             f"DELETE FROM bag WHERE a = {r.randrange(50)} LIMIT 3",
                             f"UPDATE bag SET a = {r.randrange(50)}, b = 'u' WHERE a = {r.randrange(50)} LIMIT 3",
                             f"UPDATE keyed SET v = v + 1 WHERE id = {r.randrange(1, 3001)}"]))

    setup = make_setup(f"{db}.*", copy__chunk_rows=200)
    writer = Writer(servers, db, change)
    run = setup.daemon("run")
    for _ in range(3):
        run.start()
        time.sleep(r.uniform(0.5, 2))
        run.kill()
    run.start()
    time.sleep(2)
    writer.stop()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    records = delivered(setup, db, "bag")
    assert compare_multiset(records, connection, db, "bag") > 0
    assert all(key is None and partition == 0 for partition, _, key, _, _ in records)
    assert compare_multiset(delivered(setup, db, "nothing"), connection, db, "nothing") == 0
    compare(delivered(setup, db, "keyed"), connection, db, "keyed", ["id"])
    snapshots = {e["source"]["gtid"] if "gtid" in e["source"] else None for *_, e in records if e["op"] == "r"}
    assert len(snapshots) == 1, "all rows of the copy are one source transaction"
    check_seq(setup)


@pytest.mark.parametrize("engine", ["MyISAM", "Aria"])
def test_without_transactions(servers, database, make_setup, engine):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, f"CREATE TABLE keyed (id INT PRIMARY KEY, v INT) ENGINE={engine}",
            f"CREATE TABLE bag (a INT, v INT) ENGINE={engine}")
    fill(connection, "keyed", 5000)
    fill(connection, "bag", 5000)

    def change(c):
        run_sql(c, r.choice([f"UPDATE keyed SET v = v + 1 WHERE id % 50 = {r.randrange(50)}",
                             f"DELETE FROM keyed WHERE id = {r.randrange(5000)}",
                             f"REPLACE INTO keyed VALUES ({r.randrange(6000)}, 1)"]))
        if r.randrange(40) == 0:
            run_sql(c, f"UPDATE bag SET v = v + 1 WHERE a % 100 = {r.randrange(100)}")
            time.sleep(0.2)

    setup = make_setup(f"{db}.*", copy__chunk_rows=100)
    writer = Writer(servers, db, change)
    run = setup.daemon("run").start()
    time.sleep(5)
    writer.stop()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    compare(delivered(setup, db, "keyed"), connection, db, "keyed", ["id"])
    compare_multiset(delivered(setup, db, "bag"), connection, db, "bag")
    check_seq(setup)


def test_altered_meanwhile(servers, database, make_setup):
    """Columns come, go and change while the table is copied and written."""
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    fill(connection, "t", 4000)
    setup = make_setup(f"{db}.t", copy__chunk_rows=20, copy__connections=3)
    writer = Writer(servers, db, lambda c: run_sql(c, f"UPDATE t SET v = v + 1 WHERE id = {r.randrange(1, 4001)}",
                                                   f"REPLACE INTO t (id, v) VALUES ({r.randrange(5000)}, 0)"))
    run = setup.daemon("run").start()
    for ddl in ("ADD COLUMN w INT", "ADD COLUMN x VARCHAR(10) FIRST", "DROP COLUMN w", "MODIFY v BIGINT"):
        time.sleep(0.4)
        run_sql(connection, f"ALTER TABLE t {ddl}")
    writer.stop()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    last = {}
    for _, _, key, _, e in delivered(setup, db, "t"):
        assert (key["id"] in last) == (e["op"] in "ud"), f"key {key}: op {e['op']}"
        if e["op"] == "d":
            del last[key["id"]]
        else:
            last[key["id"]] = e["after"]["v"]
    assert last == dict(run_sql(connection, "SELECT id, v FROM t"))
    check_seq(setup)


def test_key_changed_meanwhile(servers, database, make_setup):
    """What was delivered by the old key is taken back by op t; then every row comes by the new one."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    fill(connection, "t", 3000)
    setup = make_setup(f"{db}.t", copy__chunk_rows=20, copy__rate=1000)
    run = setup.daemon("run").start()
    wait_until("some chunks", lambda: f"{db}.t" in str(setup.reader.topics(setup.name)) and len(delivered(setup, db, "t")) > 100)
    run_sql(connection, "ALTER TABLE t DROP PRIMARY KEY, ADD COLUMN n INT NOT NULL AUTO_INCREMENT PRIMARY KEY")
    run_sql(connection, "INSERT INTO t (id, v) VALUES (1, 1)", "UPDATE t SET v = 5 WHERE n = 7")
    setup.settings["copy.rate"] = "0"
    setup.write()
    time.sleep(1)
    run.kill()
    run.start()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    records = delivered(setup, db, "t")
    taken_back = {partition: offset for partition, offset, _, _, e in records if e["op"] == "t"}
    assert len(taken_back) == len({partition for partition, *_ in records}), "op t stands in every partition"
    assert any(offset < taken_back[partition] for partition, offset, *_ in records)
    later = [record for record in records if record[1] > taken_back[record[0]]]
    assert compare(later, connection, db, "t", ["n"]) == 3001
    check_seq(setup)


def test_images_in_part(servers, database, make_setup):
    """Sessions with binlog_row_image = MINIMAL: their rows are read again where they fall into an open chunk."""
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT, w VARCHAR(10))",
            "INSERT INTO t SELECT seq, 0, 'w' FROM seq_1_to_3000")
    setup = make_setup(f"{db}.t", copy__chunk_rows=50)

    def change(c):
        run_sql(c, "SET SESSION binlog_row_image = MINIMAL", f"UPDATE t SET v = v + 1 WHERE id = {r.randrange(1, 3001)}",
                f"DELETE FROM t WHERE id = {r.randrange(1, 3001)}")
        time.sleep(0.02)

    writer = Writer(servers, db, change)
    run = setup.daemon("run").start()
    time.sleep(2)
    writer.stop()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    want = {i: {"id": i, "v": v, "w": w} for i, v, w in run_sql(connection, "SELECT id, v, w FROM t")}
    assert newest(setup, db, "t") == want


def test_an_alter_does_not_wait(servers, database, make_setup):
    """A read of several seconds gives way to an ALTER; the copy goes on behind it:
    the table is wide, so that sending it takes long."""
    db, connection = database
    run_sql(connection, "CREATE TABLE bag (a INT, v INT, b LONGTEXT)")
    run_sql(connection, "INSERT INTO bag SELECT seq, seq, REPEAT('x', 20000) FROM seq_1_to_8000")
    setup = make_setup(f"{db}.bag", kafka__transaction__timeout__ms="300000", copy__read_limit="300s")
    run = setup.daemon("run").start()
    gave_way = "gives way: somebody waits"
    waits = []
    for i in range(6):
        wait_until("a read of the table", lambda: reading(connection, db) or "is copied" in run.log())
        time.sleep(0.25)
        begun = time.monotonic()
        run_sql(connection, f"ALTER TABLE bag ADD COLUMN c{i} INT")
        waits.append(time.monotonic() - begun)
        if gave_way in run.log():
            break
    print("waits", waits)
    assert gave_way in run.log(), run.log_tail()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    assert compare_multiset(delivered(setup, db, "bag"), connection, db, "bag") == 8000


def reading(connection, db):
    return run_sql(connection, f"SELECT 1 FROM information_schema.PROCESSLIST WHERE USER = 'millrace' AND INFO LIKE '%FROM `{db}`.`bag`%' "
                               "AND INFO NOT LIKE '%LIMIT 0%' AND COMMAND = 'Query'")


@pytest.mark.parametrize("statement", ["TRUNCATE t", "DROP TABLE t"])
def test_emptied_meanwhile(servers, database, make_setup, statement):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "CREATE TABLE other (id INT PRIMARY KEY, v INT)")
    fill(connection, "t", 3000)
    fill(connection, "other", 100)
    setup = make_setup(f"{db}.*", copy__chunk_rows=20, copy__rate=1000)
    run = setup.daemon("run").start()
    wait_until("some chunks", lambda: f"{db}.t" in str(setup.reader.topics(setup.name)) and len(delivered(setup, db, "t")) > 100)
    run_sql(connection, statement)
    if "DROP" in statement:
        run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    run_sql(connection, "INSERT INTO t VALUES (1, 5), (100000, 6)", "UPDATE t SET id = 50 WHERE id = 100000")
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    assert compare(delivered(setup, db, "t"), connection, db, "t", ["id"]) == 2
    compare(delivered(setup, db, "other"), connection, db, "other", ["id"])
    check_seq(setup)


def test_rate_and_load(servers, database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    fill(connection, "t", 2000)
    setup = make_setup(f"{db}.t", copy__rate=500)
    begun = time.monotonic()
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    assert time.monotonic() - begun > 2, "2000 rows at 500 a second"
    run.stop()
    compare(delivered(setup, db, "t"), connection, db, "t", ["id"])

    setup = make_setup(f"{db}.t", copy__max_load=2)
    sleepers = [servers.connect() for _ in range(5)]

    def sleep(session):
        try:
            run_sql(session, "SELECT SLEEP(600)")
        except pymysql.err.OperationalError:        # killed below
            pass

    threads = [threading.Thread(target=sleep, args=(s,)) for s in sleepers]
    for t in threads:
        t.start()
    run = setup.daemon("run").start()
    wait_until("the pause", lambda: "paused: " in run.log())
    wait_until("the reason in lag", lambda: "copy.max_load" in setup.millrace("lag").stdout)
    assert setup.commits()[-1]["copying"], run.log_tail()
    for s, t in zip(sleepers, threads):
        run_sql(connection, f"KILL {s.thread_id()}")
        t.join()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    compare(delivered(setup, db, "t"), connection, db, "t", ["id"])


@pytest.mark.parametrize("start", ["now", "earliest", "gtid"])
def test_where_it_begins(servers, database, make_setup, start):
    """Without a first copy; a table that enters later is copied all the same, unless copy.new_tables is off."""
    db, connection = database
    if start == "earliest":      # any server that has lived for a while has purged the first files
        run_sql(connection, "FLUSH BINARY LOGS")
        run_sql(connection, f"PURGE BINARY LOGS TO '{run_sql(connection, 'SHOW MASTER STATUS')[0][0]}'")
    run_sql(connection, "CREATE TABLE a (id INT PRIMARY KEY, v INT)", "CREATE TABLE b (id INT PRIMARY KEY, v INT)",
            "CREATE TABLE c (id INT PRIMARY KEY, v INT)", "INSERT INTO a VALUES (1, 1)", "INSERT INTO b VALUES (1, 1), (2, 2)",
            "INSERT INTO c VALUES (1, 1)")
    position = run_sql(connection, "SELECT @@gtid_binlog_pos")[0][0]
    run_sql(connection, "INSERT INTO a VALUES (2, 2)")
    setup = make_setup(f"{db}.a", source__start=position if start == "gtid" else start)
    run = setup.daemon("run").start()
    wait_until("streaming", lambda: "streaming of" in run.log() or not run.alive())
    run_sql(connection, "INSERT INTO a VALUES (3, 3)")
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    want = {"now": [("c", 3)], "gtid": [("c", 2), ("c", 3)], "earliest": [("c", 1), ("c", 2), ("c", 3)]}[start]
    assert sorted((e["op"], k["id"]) for _, _, k, _, e in delivered(setup, db, "a")) == want
    setup.settings["capture.tables"] = f"{db}.a, {db}.b"
    setup.write()
    run.start()
    wait_until("the copy", lambda: f"{db}.b is copied" in run.log())
    run_sql(connection, "INSERT INTO a VALUES (4, 4)")
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    assert sorted((e["op"], k["id"]) for _, _, k, _, e in delivered(setup, db, "b")) == [("r", 1), ("r", 2)]
    setup.settings.update({"capture.tables": f"{db}.a, {db}.b, {db}.c", "copy.new_tables": "off"})
    setup.write()
    run.start()
    run_sql(connection, "INSERT INTO c VALUES (9, 9)")
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    check_seq(setup)


def test_hot_rows_in_part(servers, database, make_setup):
    """Rows that sessions with binlog_row_image = MINIMAL change all the time, in every chunk, can't be folded; the copy ends
    all the same."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT, n INT, s VARCHAR(40))",
            "INSERT INTO t SELECT seq, 0, 0, REPEAT('s', 40) FROM seq_1_to_3000")
    setup = make_setup(f"{db}.t", copy__chunk_rows=300, copy__connections=2)
    count = iter(range(10**9))

    def change(c):
        n = next(count)
        try:
            run_sql(c, "SET SESSION binlog_row_image = 'MINIMAL'", f"UPDATE t SET v = {n} WHERE id % 10 = {n % 10}")
            if n % 5 == 0:
                run_sql(c, f"DELETE FROM t WHERE id = {1000 + n % 500}", f"INSERT IGNORE INTO t VALUES ({1000 + n % 500}, {n}, 1, 'new')")
        except pymysql.err.OperationalError as failure:
            assert failure.args[0] == 1213, failure  # the two writers locked each other out

    writers = [Writer(servers, db, change) for _ in range(2)]
    run = setup.daemon("run").start()
    try:
        wait_until("the end of the copy", lambda: run.alive() and setup.reader.topics(f"{setup.name}.commits") and setup.commits()
                   and setup.commits()[-1]["seq"] > 0 and not setup.commits()[-1]["copying"], 100, 1)
    finally:
        for writer in writers:
            writer.stop()
    setup.wait_delivered(source_position(connection), run, 120)
    want = {i: {"id": i, "v": v, "n": n, "s": s} for i, v, n, s in run_sql(connection, "SELECT id, v, n, s FROM t")}
    assert newest(setup, db, "t") == want
    check_seq(setup)
    run.stop()


def test_semi_sync(servers, database, make_setup):
    """A source that waits for semi-synchronous replicas does not wait for us: we don't say that we are one."""
    only_on(servers, "mariadb", "there it is built in; MySQL has mysql_marks.py")
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)")
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run_sql(connection, "SET GLOBAL rpl_semi_sync_master_timeout = 20000", "SET GLOBAL rpl_semi_sync_master_enabled = ON")
    try:
        assert run_sql(connection, "SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'")[0][1] == "0"
        run_sql(connection, "SET GLOBAL rpl_semi_sync_master_wait_no_slave = OFF")
        begun = time.monotonic()
        run_sql(connection, "INSERT INTO t VALUES (2, 2)")
        assert time.monotonic() - begun < 15
        setup.wait_delivered(source_position(connection), run)
    finally:
        run_sql(connection, "SET GLOBAL rpl_semi_sync_master_enabled = OFF")
    run.stop()
    compare(delivered(setup, db, "t"), connection, db, "t", ["id"])
