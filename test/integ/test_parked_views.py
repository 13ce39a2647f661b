"""Records that a view can't apply, in every store: parked, shown, tried again, dropped; and what becomes of them when their table
is emptied."""
import contextlib
import json
import os
import sqlite3
import tempfile
from pathlib import Path

import pytest

import postgresql
from dynamo import View
from harness import run_sql, those_there, wait_until
from test_store_dynamodb import dynamodb  # noqa: F401 - a fixture
from test_store_mysql import RIGHTS, Store
from test_view_troubles import status, verified
from test_view_verbs import refused

SOURCE = "-- table: item\nSELECT id, part FROM {db}.t\n"
UPSERT = {"sqlite": "INSERT INTO item VALUES (:id, :part) ON CONFLICT (id) DO UPDATE SET part = excluded.part",
          "postgresql": "INSERT INTO item VALUES (:id, :part) ON CONFLICT (id) DO UPDATE SET part = excluded.part",
          "mysql": "INSERT INTO item VALUES (:id, :part) ON DUPLICATE KEY UPDATE part = VALUES(part)"}


class Sqlite:
    name, files = "sqlite", "sql"

    def settings(self, setup):
        return {}

    def rows(self, setup):
        path = setup.folder / "state" / "copy.db"
        if not path.exists():
            return None
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as c:
            return dict(c.execute("SELECT id, part FROM item"))


class InPostgresql:
    name, files = "postgresql", "sql"

    def __init__(self, made):
        self.made = made

    def settings(self, setup):
        self.made.new_database()
        return {k.replace("__", "."): str(v) for k, v in self.made.settings().items()}

    def rows(self, setup):
        try:
            return dict(self.made.ask("SELECT id, part FROM copy.item"))
        except postgresql.psycopg.errors.UndefinedTable:
            return None


class InMysql:
    files = "sql"

    def __init__(self, made):
        self.made, self.name = made, made.name

    def settings(self, setup):
        with contextlib.closing(self.made.admin()) as c:
            for (name,) in run_sql(c, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'copy%'"):
                run_sql(c, f"DROP DATABASE `{name}`")
        return self.made.settings()

    def rows(self, setup):
        with contextlib.closing(self.made.admin()) as c:
            if not run_sql(c, "SELECT 1 FROM information_schema.tables WHERE table_schema = 'copy' AND table_name = 'item'"):
                return None
            return dict(run_sql(c, "SELECT id, part FROM copy.item"))


class InDynamodb:
    name, files = "dynamodb", "json"

    def __init__(self, local):
        self.local = local

    def settings(self, setup):
        self.view = View(self.local.service, "copy", f"{setup.name}-")
        return {"dynamodb.prefix": f"{setup.name}-", **self.local.settings(setup.folder)}

    def rows(self, setup):
        try:
            return {int(i["id"]): i["part"] for i in self.view.scan("item")}
        except (self.local.service.exceptions.ResourceNotFoundException, TypeError, KeyError):
            return None


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "dynamodb", *those_there("mariadb:11.8", "mysql:8.0")])
def store(request):
    if request.param == "sqlite":
        yield Sqlite()
    elif request.param == "postgresql":
        assert not postgresql.missing(), postgresql.missing()
        with postgresql.postgresql() as made:
            yield InPostgresql(made)
    elif request.param == "dynamodb":
        yield InDynamodb(request.getfixturevalue("dynamodb"))
    else:
        with tempfile.TemporaryDirectory(prefix="millrace-store-") as folder:
            os.chmod(folder, 0o755)
            made = Store(Path(folder) / "servers", request.param)
            with contextlib.closing(made.admin()) as admin:
                run_sql(admin, f"GRANT {RIGHTS} ON `copy`.* TO views@'%'", f"GRANT {RIGHTS} ON `copy\\_%`.* TO views@'%'")
            try:
                yield InMysql(made)
            finally:
                made.servers.stop()


def write_view(setup, db, store):
    """The view `copy` of table t, which refuses a row whose part is empty."""
    folder = setup.folder / "views" / "copy"
    (folder / "on").mkdir(parents=True)
    (folder / "view.conf").write_text(f"owner = tests\nstore = {store.name}\ninputs = {setup.name}.{db}.t\n")
    (folder / "source.sql").write_text(SOURCE.format(db=db))
    if store.files == "json":
        (folder / "tables.json").write_text(json.dumps({"item": {"key": ["id"], "attributes": {"id": "number", "part": "string"},
                                                                 "indexes": {"by_part": ["part", "id"]}}}))
        put = [{"put": "item", "item": {"id": ":id", "part": ":part"}}]
        on = {"insert": put, "update": put, "delete": [{"delete": "item", "key": {"id": ":id"}}], "truncate": [{"clear": "item"}]}
        on = {what: json.dumps(does) for what, does in on.items()}
    else:
        (folder / "tables.sql").write_text("CREATE TABLE item (id INTEGER PRIMARY KEY, part VARCHAR(20) NOT NULL CHECK (part <> ''));\n")
        upsert = UPSERT["mysql" if store.name == "mariadb" else store.name] + ";\n"
        on = {"insert": upsert, "update": upsert, "delete": "DELETE FROM item WHERE id = :id;\n", "truncate": "DELETE FROM item;\n"}
    for what, text in on.items():
        (folder / "on" / f"{db}.t.{what}.{store.files}").write_text(text)
    return folder


@pytest.fixture
def copied(store, database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part VARCHAR(20) NOT NULL)",
            "INSERT INTO t SELECT seq, CONCAT('p', seq) FROM seq_1_to_100")
    setup = make_setup(f"{db}.t", kafka__partitions=3)
    setup.settings.update(store.settings(setup))
    setup.write()
    write_view(setup, db, store)
    run, project = setup.daemon("run").start(), setup.daemon("project").start()

    def built():
        assert project.alive(), project.log_tail()
        return len(store.rows(setup) or ()) == 100

    wait_until("the first build", built, 120)
    yield setup, connection, run, project
    project.stop()
    run.stop()


def listed(setup):
    out = setup.millrace("parked", "list", "--view", "copy", "--json")
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


def wait_parked(setup, project, count):
    def there():
        assert project.alive(), project.log_tail()
        s = status(setup)
        return s["state"] == "live" and s["parked"] == count
    wait_until(f"{count} parked", there, 90)


def test_parked_tried_again_and_dropped(store, copied):
    setup, connection, _, project = copied
    run_sql(connection, "UPDATE t SET part = '' WHERE id = 7")
    wait_parked(setup, project, 1)      # read with the next one, a store may well apply both at once
    run_sql(connection, "UPDATE t SET part = 'seven' WHERE id = 7", "UPDATE t SET part = '' WHERE id = 9", "INSERT INTO t VALUES (200, 'last')")
    wait_until("the row behind them", lambda: store.rows(setup).get(200) == "last", 90)
    assert (store.rows(setup)[7], store.rows(setup)[9]) == ("p7", "p9")      # nothing of them is left
    wait_parked(setup, project, 3)
    first, second, third = listed(setup)
    assert [p["behind"] for p in (first, second, third)] == [False, True, False]
    assert all(p["topic"].endswith(".t") and p["seq"] > 100 and p["reason"] for p in (first, second, third))
    out = setup.millrace("parked", "list", "--view", "copy")
    assert all(p["id"] in out.stdout for p in (first, second, third)), out.stdout
    shown = setup.millrace("parked", "show", second["id"], "--view", "copy")
    assert json.loads(shown.stdout)["after"] == {"id": 7, "part": "seven"}, shown.stderr
    refused(setup.millrace("parked", "retry", second["id"], "--view", "copy"), "waits behind", "HINT")
    refused(setup.millrace("parked", "drop", first["id"] + "0", "--view", "copy"), "is parked")
    out = setup.millrace("parked", "retry", "--all", "--view", "copy")
    assert out.returncode == 0 and "0 applied; 3 still parked" in out.stdout, out.stdout + out.stderr
    project.kill()
    project.start()
    wait_parked(setup, project, 3)
    out = setup.millrace("replay", "copy", "--force")
    assert out.returncode == 4 and "live version is untouched" in out.stderr, out.stderr
    assert first["id"].split(":")[0] in out.stderr, out.stderr
    out = setup.millrace("parked", "drop", first["id"], "--view", "copy")
    assert out.returncode == 0 and "1 still parked" in out.stdout, out.stdout + out.stderr
    assert (store.rows(setup)[7], store.rows(setup)[9]) == ("seven", "p9")
    run_sql(connection, "UPDATE t SET part = 'nine' WHERE id = 9")
    wait_parked(setup, project, 2)
    assert setup.millrace("parked", "drop", "--all", "--view", "copy").returncode == 0
    wait_parked(setup, project, 0)
    assert store.rows(setup)[9] == "p9" and listed(setup) == []


def test_a_table_that_is_emptied_drops_what_is_parked_of_it(store, copied):
    """Tried again later, those records would bring back rows that the source has no more."""
    setup, connection, _, project = copied
    run_sql(connection, "UPDATE t SET part = '' WHERE id = 7")
    wait_parked(setup, project, 1)
    run_sql(connection, "UPDATE t SET part = 'seven' WHERE id = 7", "INSERT INTO t VALUES (200, '')")
    wait_parked(setup, project, 3)
    run_sql(connection, "TRUNCATE t", "INSERT INTO t VALUES (7, 'new')")
    wait_until("the new row", lambda: store.rows(setup) == {7: "new"}, 90)
    wait_parked(setup, project, 0)
    assert listed(setup) == [] and "3 parked records of it are dropped" in project.log()
    out = setup.millrace("parked", "retry", "--all", "--view", "copy")
    assert out.returncode == 0 and store.rows(setup) == {7: "new"}, out.stdout + out.stderr
    run_sql(connection, "INSERT INTO t VALUES (8, '')")
    wait_parked(setup, project, 1)
    project.stop()       # all of the following is read at once, perhaps in one store transaction
    run_sql(connection, "INSERT INTO t VALUES (9, '')", "UPDATE t SET part = 'behind' WHERE id = 9", "DROP TABLE t",
            "CREATE TABLE t (id INT PRIMARY KEY, part VARCHAR(20) NOT NULL)", "INSERT INTO t VALUES (9, 'nine'), (10, '')")
    project.start()
    wait_until("the other new row", lambda: store.rows(setup) == {9: "nine"}, 90)
    wait_parked(setup, project, 1)
    assert [p["behind"] for p in listed(setup)] == [False]
    run_sql(connection, "DELETE FROM t WHERE id = 10")
    assert setup.millrace("parked", "drop", listed(setup)[0]["id"], "--view", "copy").returncode == 0
    verified(setup)


def test_a_table_without_key(database, make_setup):
    """All of its records wait behind one that is parked, but not that it was emptied."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT, part VARCHAR(20))", "INSERT INTO t VALUES (1, 'one')")
    setup, store = make_setup(f"{db}.t"), Sqlite()
    folder = write_view(setup, db, store)
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: store.rows(setup) == {1: "one"})
    run_sql(connection, "INSERT INTO t VALUES (2, '')", "INSERT INTO t VALUES (3, 'three')")
    wait_parked(setup, project, 2)
    run_sql(connection, "TRUNCATE t", "INSERT INTO t VALUES (4, 'four')")
    wait_until("the new row", lambda: store.rows(setup) == {4: "four"})
    wait_parked(setup, project, 0)
    project.stop()
    run.stop()


def test_a_table_that_can_not_be_emptied(database, make_setup):
    """That is not passed over: what follows would be applied to rows that are gone."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part VARCHAR(20))", "INSERT INTO t VALUES (1, 'one')")
    setup, store = make_setup(f"{db}.t"), Sqlite()
    folder = write_view(setup, db, store)
    (folder / "on" / f"{db}.t.truncate.sql").write_text("UPDATE item SET part = '';\n")
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: store.rows(setup) == {1: "one"})
    run_sql(connection, "INSERT INTO t VALUES (5, 'five')", "TRUNCATE t", "INSERT INTO t VALUES (6, 'six')")
    wait_until("the view to stop", lambda: status(setup)["state"] == "failed", 90)
    assert "could not be emptied" in status(setup)["message"] and status(setup)["parked"] == 0
    assert store.rows(setup) == {1: "one", 5: "five"}
    assert project.ended(90) == 4
    (folder / "on" / f"{db}.t.truncate.sql").write_text("DELETE FROM item;\n")
    assert setup.millrace("replay", "copy").returncode == 0
    assert store.rows(setup) == {6: "six"}
    run.stop()
