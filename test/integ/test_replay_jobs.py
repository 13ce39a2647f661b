"""Replays that are more than a replay: as of a moment, side by side, after kills, nicely."""
import json
import os
import sqlite3
import subprocess
import time

from harness import MILLRACE, run_sql, source_position, wait_until
from test_projection import write_view
from test_view_troubles import answer, status
from test_view_verbs import refused, shown, states


def rows_of(setup, version):
    place = next(v["place"] for v in shown(setup)["versions"] if v["version"] == version)
    connection = sqlite3.connect(f"file:{setup.folder / place}?mode=ro", uri=True, timeout=5)
    try:
        return connection.execute("SELECT id, part FROM rows ORDER BY id").fetchall()
    finally:
        connection.close()


def test_a_view_as_it_was(database, make_setup):
    """By GTID (one, and a set of several domains) and by time: exactly the rows that the source had."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t VALUES (0, 0)")
    setup = make_setup(f"{db}.t")
    write_view(setup, db, columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (1,))
    moments = []
    for i in range(1, 41):
        run_sql(connection, f"SET gtid_domain_id = {i % 2}", f"INSERT INTO t VALUES ({i}, {i})", f"UPDATE t SET part = part + {i} WHERE id < {i}", "COMMIT")
        if i in (10, 25):
            state = [(a, str(b)) for a, b in run_sql(connection, "SELECT id, part FROM t ORDER BY id")]
            moments.append((run_sql(connection, "SELECT @@gtid_binlog_pos")[0][0], run_sql(connection, "SELECT @@last_gtid")[0][0],
                            run_sql(connection, "SELECT UTC_TIMESTAMP(6)")[0][0], state))
            time.sleep(2.2)     # commit times count whole seconds
    setup.wait_delivered(source_position(connection), run)
    wait_until("the end", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (41,))
    (whole, _, _, first), (_, single, at, second) = moments
    for number, when, wanted in ((2, whole, first), (3, single, second), (4, str(at)[:19] + ".999999Z", second)):
        out = setup.millrace("replay", "copy", "--as-of", when)
        assert out.returncode == 0, out.stdout + out.stderr
        assert rows_of(setup, number) == wanted, when
    refused(setup.millrace("replay", "copy", "--as-of", single), "as it was already")
    assert setup.millrace("view", "drop", "copy", "4").returncode == 0
    refused(setup.millrace("replay", "copy", "--as-of", "0-1-99999999"), "not in the history")
    refused(setup.millrace("replay", "copy", "--as-of", "2999-01-01 00:00"), "not in the history")
    out = setup.millrace("replay", "copy", "--as-of", "1999-01-01 00:00")
    assert out.returncode == 3 and "first copy" in out.stderr, out.stderr
    run_sql(connection, "DELETE FROM t")
    wait_until("the rows to go", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (0,))
    project.kill()
    project.start()
    wait_until("the view", lambda: status(setup)["state"] == "live")
    assert rows_of(setup, 2) == first and states(setup)[2] == "as-of" and states(setup)[1] == "live"
    project.stop()
    run.stop()


def test_side_by_side_nicely_and_after_kills(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t SELECT seq, 1 FROM seq_1_to_60000")
    setup = make_setup(f"{db}.t", project__nice_share=10, project__shadow_interval="1s")
    folder = write_view(setup, db, columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (60000,))
    handler = folder / "on" / f"{db}.t.insert.sql"
    handler.write_text(handler.read_text().replace(":part", "CASE WHEN :id <= 40 THEN 9 ELSE :part END"))
    asked = subprocess.Popen([str(MILLRACE), "replay", "-c", str(setup.conf), "copy", "--no-swap", "--nice"], cwd=setup.folder,
                             env={**os.environ, **setup.env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    version = lambda: next((v for v in shown(setup)["versions"] if v["version"] == 2), None)
    for _ in range(3):      # the share is kept, and so is what was built
        wait_until("the build", lambda: version() is not None)
        project.kill()
        project.start()
        wait_until("the view", lambda: shown(setup)["versions"])
    assert version()["share"] == 10
    wait_until("the end of the replay", lambda: states(setup).get(2) == "ready", 120)
    assert asked.wait(60) == 0

    def shadow():
        v = {v["version"]: v for v in status(setup)["versions"]}.get(2)
        return v if v and v["differing"] >= 0 else None
    seen = wait_until("a comparison", shadow, 60)
    assert seen["differing"] == 40 and seen["differs_since_us"] > 0, seen
    run_sql(connection, "DELETE FROM t WHERE id <= 10")
    wait_until("what is gone", lambda: shadow()["differing"] == 30, 60)
    assert shown(setup)["shadow"]["differences"] == 30
    out = setup.millrace("replay", "copy", "--swap")
    assert out.returncode == 0, out.stdout + out.stderr
    assert answer(setup, "SELECT part FROM rows WHERE id = 11") == ("9",)
    out = setup.millrace("replay", "copy", "--rollback", "--json")
    assert out.returncode == 0 and json.loads(out.stdout)["live"] == 1
    project.stop()
    run.stop()


def anonymous_kb(pid):
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def test_what_replays_took_goes_back(database, make_setup):
    """The daemon has no more memory behind six of them than behind the first build, but for some megabytes."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t SELECT seq, 1 FROM seq_1_to_300000")
    setup = make_setup(f"{db}.t")
    setup.settings["project.keep_applied"] = "0ms"
    setup.write()
    write_view(setup, db, columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (300000,), timeout=120)
    time.sleep(1)
    first = anonymous_kb(project.process.pid)
    for _ in range(6):
        out = setup.millrace("replay", "copy", "--force", timeout=120)
        assert out.returncode == 0, out.stdout + out.stderr
    wait_until("the memory", lambda: anonymous_kb(project.process.pid) < first + 8000, 20, every=0.5)
    project.stop()
    run.stop()
