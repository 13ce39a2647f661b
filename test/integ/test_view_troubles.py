"""Views when something goes wrong around them: emptied tables, records in pieces, a full disk, kills, tables that differ."""
import json
import random
import resource
import shutil
import sqlite3
import time

from harness import run_sql, source_position, wait_until
from test_projection import write_view


def folder_of(setup, db):
    """The view `copy` of table t (id, part), which knows what to do when t is emptied."""
    folder = write_view(setup, db, columns=["id", "part"], key=("id",))
    (folder / "on" / f"{db}.t.truncate.sql").write_text("DELETE FROM rows;\n")
    return folder


def answer(setup, sql):
    path = setup.folder / "state" / "copy.db"
    if not path.exists():
        return None
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    try:
        return connection.execute(sql).fetchone()
    finally:
        connection.close()


def status(setup):
    """The view's line of `lag`."""
    out = json.loads(setup.millrace("lag", "--json").stdout)
    return next((p for p in out["processes"] if p["key"] == "view:copy"), {"state": "", "message": ""})


def verified(setup):
    out = setup.millrace("verify", "copy")
    assert out.returncode == 0, out.stdout + out.stderr


def test_a_table_that_is_emptied(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t SELECT seq, 1 FROM seq_1_to_100")
    setup = make_setup(f"{db}.t")
    handler = folder_of(setup, db) / "on" / f"{db}.t.truncate.sql"
    text = handler.read_text()
    handler.unlink()
    out = setup.millrace("check")
    assert f"Add on/{db}.t.truncate.sql" in out.stdout + out.stderr
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (100,))
    run_sql(connection, "TRUNCATE t", "INSERT INTO t VALUES (7, 7)")
    wait_until("the view to stop", lambda: status(setup)["state"] == "failed")
    assert f"Add on/{db}.t.truncate.sql" in status(setup)["message"]
    assert answer(setup, "SELECT COUNT(*) FROM rows") == (100,)     # it stands before it
    assert project.ended() == 3      # its only view has failed
    handler.write_text(text)
    out = setup.millrace("replay", "copy")
    assert out.returncode == 0, out.stdout + out.stderr
    assert answer(setup, "SELECT id, part FROM rows") == (7, "7")
    project.start()
    run_sql(connection, "INSERT INTO t VALUES (8, 8)", "TRUNCATE t", "INSERT INTO t SELECT seq, 2 FROM seq_1_to_10")
    wait_until("the view to be emptied and filled", lambda: answer(setup, "SELECT COUNT(*), MIN(part) FROM rows") == (10, "2"))
    verified(setup)
    project.stop()
    run.stop()


def test_a_full_disk(servers, database, make_setup):
    """No file of the daemon may grow beyond a limit: the view waits, a replay gives way, and both heal."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part VARCHAR(400))",
            "INSERT INTO t SELECT seq, REPEAT('x', 400) FROM seq_1_to_10000")
    setup = make_setup(f"{db}.t")
    folder_of(setup, db)
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (10000,))
    setup.wait_delivered(source_position(connection), run)
    pid, none = project.process.pid, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
    out = setup.millrace("replay", "copy", "--force")
    assert out.returncode == 6 and "no room" in out.stderr, out.stdout + out.stderr
    assert not (setup.folder / "state" / "views" / "copy" / "v2.db").exists()
    assert answer(setup, "SELECT COUNT(*) FROM rows") == (10000,)
    run_sql(connection, "INSERT INTO t SELECT seq, REPEAT('y', 400) FROM seq_10001_to_30000")
    wait_until("the view to wait", lambda: status(setup)["state"] == "retrying")
    assert "no room" in status(setup)["message"]
    assert answer(setup, "SELECT COUNT(*) FROM rows") == (10000,)   # whole source transactions, or nothing
    resource.prlimit(pid, resource.RLIMIT_FSIZE, none)
    verified(setup)
    assert answer(setup, "SELECT COUNT(*) FROM rows") == (30000,)
    out = setup.millrace("replay", "copy", "--force")
    assert out.returncode == 0, out.stdout + out.stderr
    project.stop()
    run.stop()


def test_killed_within_a_huge_transaction(database, make_setup):
    """A source transaction that comes in pieces is applied as a whole, however often the worker is killed in it."""
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part VARCHAR(200))")
    setup = make_setup(f"{db}.t", source__start="now", kafka__transaction__timeout__ms="1000", kafka__timeout="1s")
    folder_of(setup, db)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    rows, step = 0, 300_000
    while "is cut behind change" not in run.log() and rows < 4 * step:   # as large as this machine needs
        run_sql(connection, f"INSERT INTO t SELECT {rows} + seq, REPEAT('x', 200) FROM seq_1_to_{step}")
        rows += step
        setup.wait_delivered(source_position(connection), run)
    project = setup.daemon("project")
    for _ in range(8):
        project.start()
        time.sleep(r.uniform(0.2, 2))
        project.kill()
        for file in (setup.folder / "state" / "views" / "copy").glob("v1.db"):
            built = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)
            assert built.execute("SELECT COUNT(*) FROM rows").fetchone()[0] % step == 0
            built.close()
    project.start()
    wait_until("the view", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (rows,), 120)
    verified(setup)
    project.stop()
    run.stop()


def test_a_table_that_is_being_reconciled(database, make_setup):
    """Until its reconciling copy has ended, the view says that it may differ from the source, and since when."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t SELECT seq, 1 FROM seq_1_to_100")
    setup = make_setup(f"{db}.t")
    folder_of(setup, db)
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (100,))
    assert status(setup)["message"] == ""
    run_sql(connection, "LOCK TABLES t WRITE", "ALTER TABLE t ADD COLUMN word VARCHAR(9) NOT NULL DEFAULT 'none'")
    wait_until("the notice", lambda: "reconciling since 2" in status(setup)["message"])
    assert status(setup)["state"] == "live" and f"{db}.t" in status(setup)["message"]
    out = setup.millrace("replay", "copy", "--force")
    assert out.returncode == 0 and "may differ from the source" in out.stdout, out.stdout + out.stderr
    project.stop()
    project.start()      # the stored position has kept it
    wait_until("the notice after a restart", lambda: "reconciling since 2" in status(setup)["message"])
    run_sql(connection, "UNLOCK TABLES")
    wait_until("its end", lambda: status(setup)["state"] == "live" and status(setup)["message"] == "", 90)
    verified(setup)
    project.stop()
    run.stop()


def test_the_state_folder_is_gone_or_closed(database, make_setup):
    """Views live there: without a folder that can be written none is served; one that was removed is built anew."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part VARCHAR(400))", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    setup = make_setup(f"{db}.t")
    folder_of(setup, db)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    state = setup.folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.write_text("not a folder, also for root")
    project = setup.daemon("project").start()
    assert project.ended(60) == 3, project.log_tail()
    assert "state" in project.log() and 'hint="' in project.log(), project.log_tail()
    state.unlink()
    live = state / "copy.db"
    project.start()
    wait_until("the view", live.exists)
    verified(setup)
    shutil.rmtree(state)
    run_sql(connection, "INSERT INTO t VALUES (3, 'c')")
    project.kill()
    project.start()
    wait_until("the view, anew", live.exists)
    verified(setup)
    assert answer(setup, "SELECT COUNT(*) FROM rows") == (3,)
    project.stop()
    run.stop()
