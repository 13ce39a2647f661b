"""Verbs about views: a skeleton that runs, what there is, versions shown and dropped, records parked."""
import json
import os
import shutil
import subprocess

from harness import MILLRACE, run_sql, source_position, wait_until
from test_projection import write_view
from test_view_troubles import answer, status, verified


def shown(setup, view="copy"):
    out = setup.millrace("view", "show", view, "--json")
    assert out.returncode == 0, out.stdout + out.stderr
    return json.loads(out.stdout)


def states(setup, view="copy"):
    return {v["version"]: v["state"] for v in shown(setup, view)["versions"]}


def refused(out, *words):
    assert out.returncode == 3, out.stdout + out.stderr
    for word in words:
        assert word in out.stderr, out.stderr


def test_a_new_view_runs_as_it_is(database, make_setup):
    """Columns and key as registered; its case passes, and what it shows equals the source."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT, part VARCHAR(9), at DATETIME(6), d DECIMAL(25,2), big BIGINT UNSIGNED, r DOUBLE, spot GEOMETRY, "
            "PRIMARY KEY (part, id))", "INSERT INTO t SELECT seq, seq % 3, NOW(6), 12345678901234567890 + seq / 7, 18446744073709551615 - seq, 1 / seq, "
            "POINT(seq, 1) FROM seq_1_to_500")
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    refused(setup.millrace("view", "new", "copy", "--table", f"{db}.missing"), "no schema is registered")
    kinds = ("sql", "mirror", "query")
    for kind in kinds:
        out = setup.millrace("view", "new", kind, "--table", f"{db}.t", "--kind", kind)
        assert out.returncode == 0, out.stderr
        tried = subprocess.run([str(MILLRACE), "view", "test", f"views/{kind}"], cwd=setup.folder, capture_output=True, text=True)
        assert tried.returncode == 0 and "1 passed, 0 failed" in tried.stdout, tried.stdout + tried.stderr
    refused(setup.millrace("view", "new", "sql", "--table", f"{db}.t"), "is there already")
    refused(setup.millrace("view", "new", "other", "--table", f"{db}.t", "--kind", "query", "--store", "dynamodb"), "no SELECT")
    project = setup.daemon("project").start()
    for kind in kinds:
        out = wait_until(f"verify {kind}", lambda: (lambda o: o if o.returncode in (0, 1) else None)(setup.millrace("verify", kind)), 90)
        assert out.returncode == 0, out.stdout + out.stderr
    run_sql(connection, "UPDATE t SET d = 0 WHERE id < 9", "DELETE FROM t WHERE id > 400")
    assert all(setup.millrace("verify", kind).returncode == 0 for kind in kinds)
    listed = json.loads(setup.millrace("view", "list", "--json").stdout)
    assert [(v["name"], v["store"], v["view_kind"], v["state"]) for v in listed] == [
        ("mirror", "sqlite", "mirror", "live"), ("query", "sqlite", "query", "live"), ("sql", "sqlite", "sql", "live")]
    assert "mirror" in setup.millrace("view", "list").stdout
    project.stop()
    run.stop()


def test_versions_are_shown_and_dropped(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t SELECT seq, 1 FROM seq_1_to_1000")
    setup = make_setup(f"{db}.t")
    folder = write_view(setup, db, columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (1000,))
    # what is deployed changes nothing before a replay, and not by a restart either
    before = shown(setup)["versions"][0]["definition"]
    handler = folder / "on" / f"{db}.t.insert.sql"
    handler.write_text(handler.read_text().replace(":part", ":part + 1"))
    project.stop()
    project.start()
    run_sql(connection, "INSERT INTO t VALUES (2000, 5)")
    wait_until("the row", lambda: answer(setup, "SELECT part FROM rows WHERE id = 2000") is not None)
    assert answer(setup, "SELECT part FROM rows WHERE id = 2000") == ("5",)
    out = setup.millrace("replay", "copy", "--no-swap", "--nice", "--json")
    assert out.returncode == 0, out.stdout + out.stderr
    state = shown(setup)
    assert states(setup) == {1: "live", 2: "ready"}
    assert state["versions"][0]["definition"] == before != state["versions"][1]["definition"]
    assert all(v["bytes"] > 0 and os.path.exists(setup.folder / v["place"]) for v in state["versions"])
    assert state["owner"] == "tests" and state["inputs"] == [f"{setup.name}.{db}.t"] and state["store"] == "sqlite"
    refused(setup.millrace("view", "drop", "copy", "1"), "is live")
    refused(setup.millrace("view", "drop", "copy", "7"), "no version 7")
    refused(setup.millrace("view", "drop", "copy", "--all"), "is not gone")
    out = setup.millrace("view", "drop", "copy", "2")
    assert out.returncode == 0 and states(setup) == {1: "live"}, out.stdout + out.stderr
    out = setup.millrace("replay", "copy")
    assert out.returncode == 0 and states(setup) == {1: "superseded", 3: "live"}, out.stdout + out.stderr   # no number twice
    assert "1" in setup.millrace("view", "show", "copy").stdout
    project.stop()
    shutil.rmtree(folder)
    out = setup.millrace("view", "drop", "copy", "--all")
    assert out.returncode == 0, out.stdout + out.stderr
    assert not (setup.folder / "state" / "copy.db").is_symlink() and not list((setup.folder / "state").glob("views/copy/*.db"))
    run.stop()


def test_what_cannot_be_applied_is_parked(database, make_setup):
    """A row that the view's own schema refuses: the view goes on without it and what follows for its key."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t SELECT seq, 1 FROM seq_1_to_100")
    setup = make_setup(f"{db}.t", kafka__partitions=3)
    folder = write_view(setup, db, columns=["id", "part"], key=("id",))
    tables = folder / "tables.sql"
    tables.write_text(tables.read_text().replace('"part" TEXT', '"part" TEXT CHECK (CAST(part AS INTEGER) < 1000)'))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (100,))
    run_sql(connection, "UPDATE t SET part = 5000 WHERE id = 7", "UPDATE t SET part = 8 WHERE id = 7", "INSERT INTO t VALUES (200, 2)")
    wait_until("the row behind it", lambda: answer(setup, "SELECT part FROM rows WHERE id = 200") == ("2",))
    assert answer(setup, "SELECT part FROM rows WHERE id = 7") == ("1",)       # nothing of the record is left
    wait_until("the status", lambda: status(setup)["state"] == "live" and status(setup)["parked"] == 2)
    listed = json.loads(setup.millrace("parked", "list", "--view", "copy", "--json").stdout)
    assert [p["behind"] for p in listed] == [False, True] and "constraint" in listed[0]["reason"].lower(), listed
    assert "5000" not in json.dumps(listed) and "5000" not in project.log()     # no values where they don't belong
    first, second = (p["id"] for p in listed)
    out = setup.millrace("parked", "show", first, "--view", "copy")
    assert out.returncode == 0 and json.loads(out.stdout)["after"]["part"] == 5000, out.stdout + out.stderr
    refused(setup.millrace("parked", "retry", second, "--view", "copy"), "waits behind")
    out = setup.millrace("parked", "retry", first, "--view", "copy")
    assert out.returncode == 0 and "0 applied; 2 still parked" in out.stdout, out.stdout + out.stderr
    # a poison record stops a replay, with where and why; what is live is untouched
    out = setup.millrace("replay", "copy", "--force")
    assert out.returncode == 4 and first.split(":")[0] in out.stderr and "live version is untouched" in out.stderr, out.stderr
    project.kill()
    project.start()
    wait_until("the status", lambda: status(setup)["state"] == "live" and status(setup)["parked"] == 2)
    out = setup.millrace("parked", "drop", first, "--view", "copy")
    assert out.returncode == 0 and "0 still parked" in out.stdout, out.stdout + out.stderr
    assert answer(setup, "SELECT part FROM rows WHERE id = 7") == ("8",)
    verified(setup)
    project.stop()
    run.stop()
