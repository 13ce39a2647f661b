"""Reconciling copies: what the binlog never said is found, and healed with true before-images."""
import json
import random
import threading
import time

from fold import check_seq, compare
from harness import contains, gtid_set, run_sql, source_position, wait_until
from test_rows import ALL_TYPES, traffic
from test_views import start, verify


def snapshot(setup, *words, code=0):
    out = setup.millrace("snapshot", *words)
    assert out.returncode == code, f"snapshot {words} ended with {out.returncode}: {out.stdout}{out.stderr}"
    return out.stdout + out.stderr


def outcome(setup, *words):
    """{table: what the command said of it}"""
    return {one["table"]: one for one in json.loads(setup.millrace("snapshot", "--json", *words).stdout)}


def silently(connection, *statements):
    run_sql(connection, "SET sql_log_bin = 0")
    try:
        run_sql(connection, *statements)
    finally:
        run_sql(connection, "SET sql_log_bin = 1")


def started(setup, connection):
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    return run


def test_unchanged_tables_have_no_differences(database, make_setup):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, ALL_TYPES.format("t"), "SET sql_mode = 'ALLOW_INVALID_DATES'",
            "CREATE TABLE z (id INT PRIMARY KEY, d DATE, t DATETIME(2), s TIMESTAMP(3) NULL, e ENUM('a','b'), c CHAR(9) CHARACTER SET latin1, "
            "u VARCHAR(9) CHARACTER SET utf16, f FLOAT, b BIT(1))",
            "INSERT INTO z VALUES (1, '0000-00-00', '0000-00-00', 0, 'nothing', 'é  ', 'é😀', -0.0, 1), "
            "(2, '2024-02-31', '2023-02-29 01:02:03.45', NULL, 'b', '', '', 0.1, 0), (3, '2024-00-00', '2024-13-01', NULL, NULL, NULL, NULL, 16777217, NULL)",
            "CREATE TABLE names (name VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)",
            "INSERT INTO names VALUES ('Ärger', 1), ('b', 2), ('C', 3), ('', 4)")
    live, next_id = set(), [1]
    traffic(r, connection, "t", 150, live, next_id)
    setup = make_setup(f"{db}.*", copy__chunk_rows=50)
    run = started(setup, connection)
    traffic(r, connection, "t", 150, live, next_id)
    run_sql(connection, "UPDATE names SET name = 'c' WHERE name = 'C'", "UPDATE z SET d = NULL WHERE id = 2")
    setup.wait_delivered(source_position(connection), run)
    before = len(setup.reader.records(setup.topic(f"{db}.t")))
    found = outcome(setup, f"{db}.t", f"{db}.z", f"{db}.names")
    for table, rows in (("t", len(live)), ("z", 3), ("names", 4)):
        one = found[f"{db}.{table}"]
        assert (one["rows"], one["created"], one["updated"], one["deleted"], one["unknown"]) == (rows, 0, 0, 0, 0), one
    assert len(setup.reader.records(setup.topic(f"{db}.t"))) == before
    check_seq(setup)
    run.stop()


def test_rows_changed_without_the_binlog(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), f FLOAT)",
            "INSERT INTO t SELECT seq, concat('v', seq), seq / 3 FROM seq_1_to_200")
    setup = make_setup(f"{db}.t", copy__chunk_rows=20)
    run = started(setup, connection)
    silently(connection, "UPDATE t SET v = 'changed' WHERE id % 10 = 3", "DELETE FROM t WHERE id % 10 = 4",
             "INSERT INTO t SELECT seq, 'new', NULL FROM seq_300_to_304", "UPDATE t SET id = 1000 WHERE id = 5")
    said = snapshot(setup, f"{db}.t")
    assert f"{db}.t: 185 rows compared, 6 created, 20 updated, 21 deleted" in said, said
    records = setup.reader.records(setup.topic(f"{db}.t"))
    assert compare(records, connection, db, "t", ["id"]) == 185
    healed = [v for *_, v in records if v["source"]["gtid"].startswith(f"reconcile:{db}.t:1.")]
    assert sorted(v["op"] for v in healed) == ["c"] * 6 + ["d"] * 21 + ["u"] * 20
    assert {"0 created, 0 updated, 0 deleted" in snapshot(setup, f"{db}.t")} == {True}
    silently(connection, "DELETE FROM t")
    assert "185 deleted" in snapshot(setup, f"{db}.t")
    assert compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"]) == 0
    check_seq(setup)
    run.stop()


def test_columns_added_with_a_default(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT, gone INT)", "INSERT INTO t SELECT seq, seq, seq FROM seq_1_to_50")
    setup = make_setup(f"{db}.t", copy__chunk_rows=20)
    run = started(setup, connection)
    run_sql(connection, "ALTER TABLE t ADD COLUMN word VARCHAR(9) NOT NULL DEFAULT 'none', DROP COLUMN gone, ADD COLUMN `empty` INT NULL FIRST")
    setup.wait_delivered(source_position(connection), run)
    snapshot(setup, f"{db}.t")
    records = setup.reader.records(setup.topic(f"{db}.t"))
    assert compare(records, connection, db, "t", ["id"]) == 50
    last = records[-1][-1]
    assert last["before"] == {"empty": None, "id": last["after"]["id"], "v": last["after"]["v"], "word": None}
    assert last["after"]["word"] == "none"
    assert "0 updated" in snapshot(setup, f"{db}.t")
    check_seq(setup)
    run.stop()


def test_under_heavy_writes_and_kills(servers, database, make_setup):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, ALL_TYPES.format("t"), "SET sql_mode = ''")
    live, next_id = set(), [1]
    traffic(r, connection, "t", 300, live, next_id)
    setup = make_setup(f"{db}.t", copy__chunk_rows=100)
    run = started(setup, connection)
    kept = sorted(live)
    # rows that the writer below leaves alone: what is silently wrong with them can only be healed
    silent = [k for k in kept if k[0] % 2 == 0]
    for key in silent[:40]:
        silently(connection, f"UPDATE t SET vc = 'silent', tu = 7 WHERE id = {key[0]} AND part = x'{key[1].hex()}'")
    for key in silent[40:60]:
        silently(connection, f"DELETE FROM t WHERE id = {key[0]} AND part = x'{key[1].hex()}'")
    silently(connection, "INSERT INTO t (id, part, vc) SELECT 1000000 + 2 * seq, x'0102', 'silent' FROM seq_1_to_30")
    writer = servers.connect(database=db)
    run_sql(writer, "SET sql_mode = ''")
    stopping, failures = [], []

    def write():
        others, counter = {k for k in kept if k[0] % 2 == 1}, [5001]
        try:
            while not stopping:
                traffic(r, writer, "t", 1, others, counter)
                time.sleep(0.02)  # else the rows that it appends can outrun chunks as small as these
        except Exception as failure:  # shown below
            failures.append(failure)

    load = threading.Thread(target=write)
    load.start()
    try:
        snapshot(setup, "--detach", f"{db}.t")
        for _ in range(4):
            time.sleep(random.uniform(0.2, 1.0))
            run.kill()
            run.start()
        setup.wait_delivered(source_position(connection), run)
        wait_until("the end of the reconciling copy", lambda: not setup.commits()[-1]["reconciling"], 120, 0.5)
    finally:
        stopping.append(True)
        load.join()
    assert not failures
    setup.wait_delivered(source_position(connection), run)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id", "part"])
    one = outcome(setup, f"{db}.t")[f"{db}.t"]
    assert (one["created"], one["updated"], one["deleted"]) == (0, 0, 0), one
    check_seq(setup)
    run.stop()


def test_what_may_be_asked(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "CREATE TABLE other (id INT PRIMARY KEY)")
    setup = make_setup(f"{db}.t")
    out = setup.millrace("snapshot", f"{db}.t")
    assert out.returncode in (3, 5) and "millrace run" in out.stderr, out.stderr
    run = started(setup, connection)
    out = setup.millrace("snapshot", f"{db}.other")
    assert out.returncode == 3 and "not captured" in out.stderr
    for where, why in (("v = = 1", "syntax"), ("nothing = 1", "nothing"), ("1) OR (1", "bracket"), ("1 -- x", "comment"),
                       ("v = 'a", "quotes"), ("1; DROP TABLE t", ";")):
        out = setup.millrace("snapshot", f"{db}.t", "--where", where)
        assert out.returncode == 3 and why in out.stderr, (where, out.returncode, out.stderr)
    assert setup.millrace("snapshot").returncode == 2
    assert setup.millrace("snapshot", f"{db}.t", "--pause", "--stop").returncode == 2
    run.kill()      # the status topic still says that it runs
    out = setup.millrace("snapshot", f"{db}.t")
    assert out.returncode == 5 and "millrace run" in out.stderr, out.stderr
    run = started(setup, connection)
    run.stop()
    out = setup.millrace("snapshot", f"{db}.t")
    assert out.returncode == 5 and "millrace run" in out.stderr, out.stderr


def test_a_condition_limits_the_rows(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, seq FROM seq_1_to_100")
    setup = make_setup(f"{db}.t", copy__chunk_rows=10)
    run = started(setup, connection)
    silently(connection, "UPDATE t SET v = v + 1000 WHERE id % 2 = 0", "INSERT INTO t VALUES (1001, 1), (1002, 2)")
    one = outcome(setup, f"{db}.t", "--where", "id % 4 = 0 OR id = 1001")[f"{db}.t"]
    assert (one["rows"], one["created"], one["updated"], one["deleted"]) == (26, 1, 25, 0), one
    # what is gone is found by its key, whether it met the condition or not; what is there and doesn't meet it is left alone
    silently(connection, "DELETE FROM t WHERE id IN (3, 4, 44, 99, 100)", "DELETE FROM t WHERE id BETWEEN 60 AND 79", "INSERT INTO t VALUES (60, 1)")
    one = outcome(setup, f"{db}.t", "--where", "id % 4 = 0")[f"{db}.t"]
    assert (one["created"], one["updated"], one["deleted"]) == (0, 1, 24), one
    one = outcome(setup, f"{db}.t")[f"{db}.t"]
    assert (one["rows"], one["created"], one["updated"], one["deleted"]) == (78, 1, 20, 0), one
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    run.stop()


def test_pause_resume_stop(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, seq FROM seq_1_to_200")
    setup = make_setup(f"{db}.t", copy__chunk_rows=10, copy__rate=40)    # it is still under way when it is told to pause
    run = started(setup, connection)
    silently(connection, "UPDATE t SET v = -1")
    assert "queued" in snapshot(setup, f"{db}.t", "--detach")
    assert "paused" in snapshot(setup, f"{db}.t", "--pause")
    assert setup.commits()[-1]["reconciling"] == [f"{db}.t"]
    run.kill()
    run.start()
    setup.wait_delivered(source_position(connection), run)
    run_sql(connection, "INSERT INTO t VALUES (5000, 1)")
    setup.wait_delivered(source_position(connection), run)
    assert setup.commits()[-1]["reconciling"] == [f"{db}.t"]  # it rests, also after a restart
    assert "goes on" in snapshot(setup, f"{db}.t", "--resume")
    wait_until("the end", lambda: not setup.commits()[-1]["reconciling"], 90, 0.5)
    assert compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"]) == 201
    silently(connection, "UPDATE t SET v = -2")
    snapshot(setup, f"{db}.t", "--detach")
    assert "stopped" in snapshot(setup, f"{db}.t", "--stop")
    assert not setup.commits()[-1]["reconciling"]
    assert "no copy" in snapshot(setup, f"{db}.t", "--resume")
    run.stop()


def test_a_copy_that_fails_pauses(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, seq FROM seq_1_to_200")
    setup = make_setup(f"{db}.t", copy__chunk_rows=10, copy__rate=40)    # it is still under way when it is told to pause
    run = started(setup, connection)
    snapshot(setup, f"{db}.t", "--detach", "--where", "v > 0")
    snapshot(setup, f"{db}.t", "--pause")
    run_sql(connection, "ALTER TABLE t DROP COLUMN v")
    snapshot(setup, f"{db}.t", "--resume")
    wait_until("the pause", lambda: "pauses" in run.log(), 60)
    assert "Unknown column 'v'" in run.log()
    run_sql(connection, "INSERT INTO t VALUES (5000)")
    setup.wait_delivered(source_position(connection), run)  # all else flows on
    snapshot(setup, f"{db}.t", "--stop")
    wait_until("nothing to compare", lambda: not setup.commits()[-1]["reconciling"], 90, 0.5)
    silently(connection, "DELETE FROM t WHERE id = 7")
    assert "1 deleted" in snapshot(setup, f"{db}.t")  # and the next one is not held up
    run.stop()


def test_views_and_events_are_healed(site):
    setup, connection = site.setup, site.connection
    run, project = start(site)
    silently(connection, "USE chapstick", "UPDATE group_member SET status = 'left' WHERE member_id % 7 = 1 AND status = 'active'",
             "UPDATE group_member SET status = 'active' WHERE member_id % 7 = 2 AND status <> 'active'",
             "DELETE FROM group_member WHERE member_id % 7 = 3")
    code, _ = verify(site, "group_members")
    assert code == 1
    found = outcome(setup, "chapstick.group_member")["chapstick.group_member"]
    assert found["updated"] > 0 and found["deleted"] > 0
    # the source's position has not moved, so that the view may be asked before it has applied the differences
    wait_until("a view without differences", lambda: verify(site, "group_members")[0] == 0, 60)
    project.stop()
    run.stop()


def test_a_first_copy_rests_and_goes_on(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t SELECT seq, seq FROM seq_1_to_400")
    setup = make_setup(f"{db}.t", copy__chunk_rows=10, copy__connections=1)
    run = setup.daemon("run").start()
    wait_until("the daemon", lambda: setup.millrace("snapshot", f"{db}.t", "--pause").returncode == 0, 60, 0.2)
    if setup.commits()[-1]["copying"]:  # it was faster than we are
        run.kill()
        run.start()
        run_sql(connection, "INSERT INTO t VALUES (1000, 1)")
        wait_until("the transaction", lambda: contains(gtid_set(setup.commits()[-1]["gtid_set"]), source_position(connection)), 60, 0.5)
        assert setup.commits()[-1]["copying"] == [f"{db}.t"]  # it rests, also after a restart
        assert "goes on" in snapshot(setup, f"{db}.t", "--resume")
    setup.wait_delivered(source_position(connection), run)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    check_seq(setup)
    run.stop()
