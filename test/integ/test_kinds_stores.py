"""Views of kind mirror and query in servers: kept up, through a kill, and equal to the source."""
import json
import os
import random
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pymysql
import pytest

import postgresql
from harness import run_sql, source_position, those_there, wait_until
from test_kinds import TABLES, change, seed, verified, write_views
from test_store_mysql import RIGHTS, Store
from test_views import live


@pytest.fixture(scope="module", params=["postgresql", *those_there("mariadb:11.8", "mysql:8.0")])
def store(request):
    """(name, settings)"""
    if request.param == "postgresql":
        if postgresql.missing():
            pytest.skip(postgresql.missing())
        with postgresql.postgresql() as made:
            yield request.param, {k.replace("__", "."): str(v) for k, v in made.settings().items()}
        return
    with tempfile.TemporaryDirectory(prefix="millrace-store-") as folder:
        os.chmod(folder, 0o755)
        made = Store(Path(folder) / "servers", request.param)
        admin = made.admin()
        for view in ("copy", "groups", "fresh", "asked"):
            run_sql(admin, f"GRANT {RIGHTS} ON `{view}`.* TO views@'%'", f"GRANT {RIGHTS} ON `{view}\\_%`.* TO views@'%'")
        admin.close()
        try:
            yield made.name, made.settings()
        finally:
            made.servers.stop()


def reader(store, view):
    name, settings = store
    if name == "postgresql":
        return psycopg.connect(host=settings["postgresql.host"], port=settings["postgresql.port"], user=settings["postgresql.user"],
                               password=Path(settings["postgresql.password_file"]).read_text().strip(), dbname=settings["postgresql.database"],
                               options=f"-c search_path={view}")
    return pymysql.connect(host=settings[f"{name}.host"], port=int(settings[f"{name}.port"]), user=settings[f"{name}.user"], database=view,
                           password=Path(settings[f"{name}.password_file"]).read_text().strip(), charset="utf8mb4")


def versions(setup, view):
    out = setup.millrace("view", "show", view, "--json")
    assert out.returncode == 0, out.stderr
    return [v["version"] for v in json.loads(out.stdout)["versions"]]


class Watcher(threading.Thread):
    """Reads the public name all the time, in transactions over all tables that take a while: no error, nothing empty. The columns it saw last."""

    TABLES = ("grp", "membership", "people")

    def __init__(self, connect):
        super().__init__(daemon=True)
        self.connection, self.ended, self.reads, self.failure, self.columns = connect(), threading.Event(), 0, None, set()

    def run(self):
        try:
            cursor = self.connection.cursor()
            while not self.ended.is_set():
                columns = set()
                for table in self.TABLES:
                    cursor.execute(f"SELECT * FROM {table}")
                    assert cursor.fetchall(), f"no rows in {table}"
                    columns |= {c[0] for c in cursor.description}
                    time.sleep(0.01)
                self.connection.commit()
                self.columns, self.reads = columns, self.reads + 1
                time.sleep(0.005)
        except Exception as failure:
            self.failure = failure
            self.columns = set()

    def end(self):
        self.ended.set()
        self.join(60)
        print(self.reads, "reads")
        if self.failure:
            raise self.failure
        self.connection.close()


def test_kept_up_in_another_store(make_setup, database, store):
    (name, settings), (db, connection) = store, database
    number = int(time.time())
    print("seed", number)
    r = random.Random(number)
    run_sql(connection, "SET sql_mode = ''", *TABLES)
    seed(connection, number)
    setup = make_setup(f"{db}.people, {db}.membership, {db}.grp")
    setup.settings.update(settings)
    setup.write()
    write_views(setup, db, name)
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "copy", "groups"), every=0.5, timeout=60)
    for i in range(120):
        change(connection, r)
        if i == 60:
            project.kill()
            project.start()
    setup.wait_delivered(source_position(connection), run)
    print(verified(setup, "copy"), verified(setup, "groups"))
    run_sql(connection, "TRUNCATE membership", f"INSERT INTO membership VALUES (1, {r.randrange(60)}, 5, 'on')")
    setup.wait_delivered(source_position(connection), run)
    print(verified(setup, "copy"), verified(setup, "groups"))
    version, watcher = versions(setup, "copy"), Watcher(lambda: reader(store, "copy"))
    watcher.start()
    run_sql(connection, "ALTER TABLE people ADD COLUMN city VARCHAR(20), ADD COLUMN size INT", "UPDATE people SET city = 'Bonn' WHERE id < 20",
            "ALTER TABLE grp ADD COLUMN hue INT", "UPDATE grp SET hue = id")
    setup.wait_delivered(source_position(connection), run)
    out = wait_until("the new column", lambda: {"city", "size", "hue"} <= watcher.columns and (o := setup.millrace("verify", "copy", "--json")).returncode in (0, 1) and o,
                     every=1, timeout=120)
    assert out.returncode == 0, out.stdout
    watcher.end()
    assert versions(setup, "copy") == version, "a new version instead of new columns in place"
    project.stop()
    run.stop()


def test_a_new_view_runs_as_it_is_in_another_store(make_setup, database, store):
    (name, settings), (db, connection) = store, database
    run_sql(connection, "CREATE TABLE Thing (id BIGINT UNSIGNED, part VARCHAR(9), at DATETIME(6), d DECIMAL(30,20), r DOUBLE, b VARBINARY(9), "
            "`order` INT, PRIMARY KEY (id, part))",
            "INSERT INTO Thing SELECT seq, seq % 3, NOW(6), seq / 7, 1 / seq, UNHEX('00FF'), seq FROM seq_1_to_300")
    setup = make_setup(f"{db}.Thing")
    setup.settings.update(settings)
    setup.write()
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    for view, kind in (("fresh", "sql"), ("asked", "query")):
        out = setup.millrace("view", "new", view, "--table", f"{db}.Thing", "--kind", kind, "--store", name)
        assert out.returncode == 0, out.stderr
        tried = setup.millrace("view", "test", f"views/{view}")
        assert tried.returncode == 0 and "1 passed, 0 failed" in tried.stdout, tried.stdout + tried.stderr
    project = setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "fresh", "asked"), every=0.5, timeout=120)
    run_sql(connection, "UPDATE Thing SET d = 0, `order` = 8 WHERE id < 9", "DELETE FROM Thing WHERE id > 200")
    setup.wait_delivered(source_position(connection), run)
    print(verified(setup, "fresh"), verified(setup, "asked"))
    project.stop()
    run.stop()
