"""Views of kind mirror and query in servers: kept up, through a kill, and equal to the source."""
import json
import os
import random
import shutil
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pymysql
import pytest

import postgresql
from harness import run_sql, source_position, stands_at, those_there, wait_until, with_fault_points
from test_kinds import TABLES, change, seed, verified, write_views
from test_store_mysql import RIGHTS, Store
from test_views import live


@pytest.fixture(scope="module", params=["postgresql", *those_there("mariadb:11.8", "mysql:8.0")])
def store(request):
    """(name, settings, what asks it as its administrator)"""
    if request.param == "postgresql":
        if postgresql.missing():
            pytest.skip(postgresql.missing())
        with postgresql.postgresql() as made:
            yield request.param, {k.replace("__", "."): str(v) for k, v in made.settings().items()}, made.ask
        return
    with tempfile.TemporaryDirectory(prefix="millrace-store-") as folder:
        os.chmod(folder, 0o755)
        made = Store(Path(folder) / "servers", request.param)
        admin = made.admin()
        for view in ("copy", "groups", "amended", "fresh", "asked", "large"):
            run_sql(admin, f"GRANT {RIGHTS} ON `{view}`.* TO views@'%'", f"GRANT {RIGHTS} ON `{view}\\_%`.* TO views@'%'")
        try:
            yield made.name, made.settings(), lambda sql: run_sql(admin, sql)
        finally:
            admin.close()
            made.servers.stop()


def reader(store, view):
    """psycopg prepares what is asked often; PostgreSQL then refuses a `*` that has become more (docs/STORES.md)."""
    name, settings, _ = store
    if name == "postgresql":
        return psycopg.connect(host=settings["postgresql.host"], port=settings["postgresql.port"], user=settings["postgresql.user"],
                               password=Path(settings["postgresql.password_file"]).read_text().strip(), dbname=settings["postgresql.database"],
                               options=f"-c search_path={view}", prepare_threshold=None)
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


def prepare(make_setup, database, store, number):
    """The tables with rows by that seed, and views of them in the store."""
    (name, settings, _), (db, connection) = store, database
    print("seed", number)
    run_sql(connection, "SET sql_mode = ''", *TABLES)
    seed(connection, number)
    setup = make_setup(f"{db}.people, {db}.membership, {db}.grp")
    setup.settings.update(settings)
    setup.write()
    write_views(setup, db, name)
    return setup


def test_kept_up_in_another_store(make_setup, database, store):
    (name, _, ask), (_, connection) = store, database
    number = int(time.time())
    r, setup = random.Random(number), prepare(make_setup, database, store, number)
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "copy", "groups"), every=0.5, timeout=240)
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
    # what their types can't hold
    run_sql(connection, "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'", "UPDATE people SET born = '2024-00-00' WHERE id = 7",
            "UPDATE people SET born = '2024-02-31', seen = '0000-00-00' WHERE id = 8", "SET SESSION sql_mode = ''",
            "UPDATE people SET kind = 'none of them' WHERE id = 8")
    setup.wait_delivered(source_position(connection), run)
    print(verified(setup, "copy"))
    table = "copy_v1.people" if name == "postgresql" else "`copy_v1`.people"
    assert [tuple(row) for row in ask(f"SELECT id, born FROM {table} WHERE exact_values IS NOT NULL ORDER BY id")] == [(7, None), (8, None)]
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


@pytest.mark.parametrize("store", those_there("mariadb:11.8", "mysql:8.0"), indirect=True)
def test_killed_while_columns_are_added(make_setup, database, store):
    """Where each ALTER TABLE commits by itself: behind one, and between the last and the definition. Readers see nothing of it, and the
    version is taken up where it stood."""
    _, connection = database
    setup = prepare(make_setup, database, store, 7)
    shutil.rmtree(setup.folder / "views" / "groups")
    (setup.folder / "views" / "copy").rename(setup.folder / "views" / "amended")
    run, project = setup.daemon("run").start(), setup.daemon("project")
    slots = with_fault_points(setup, project, "view_altered", "view_amended")
    project.start()
    wait_until("the view", lambda: live(setup, "amended"), every=0.5, timeout=240)
    watcher = Watcher(lambda: reader(store, "amended"))
    watcher.start()
    for i, point in enumerate(("view_altered", "view_amended")):
        slots.arm(point, 1)
        run_sql(connection, f"ALTER TABLE people ADD COLUMN city{i} VARCHAR(20), ADD COLUMN size{i} INT", f"UPDATE people SET city{i} = 'Bonn' WHERE id < 20")
        wait_until(f"the daemon to come to {point}", lambda: stands_at(slots, point, project.process), 120)
        project.kill()
        slots.disarm(point)
        change(connection, random.Random(i))
        project.start()
        wait_until("the new columns", lambda: {f"city{i}", f"size{i}"} <= watcher.columns or watcher.failure, every=0.5, timeout=120)
        setup.wait_delivered(source_position(connection), run)
        print(verified(setup, "amended"))
    watcher.end()
    assert versions(setup, "amended") == [1], "a new version instead of new columns in place"
    project.stop()
    run.stop()


def test_a_new_view_runs_as_it_is_in_another_store(make_setup, database, store):
    (name, settings, _), (db, connection) = store, database
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


def rows_read(name, ask):
    """By the whole server: it serves nothing but the view."""
    if name == "postgresql":
        return int(ask("SELECT SUM(seq_tup_read + idx_tup_fetch) FROM pg_stat_user_tables")[0][0])
    return sum(int(n) for _, n in ask("SHOW GLOBAL STATUS LIKE 'Handler_read%'"))


def rows_changed(name, ask):
    """PostgreSQL counts a session's rows some seconds later, and in one go: reads are counted when these are. The others count at once."""
    return int(ask("SELECT SUM(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables WHERE relname = 'membership'")[0][0]) if name == "postgresql" else 0


def test_a_change_reads_what_it_touches(make_setup, database, store):
    """The touched keys reach into the SELECT, down to the indexes, in joins, groups and unions: a change costs some rows, not tables. (A hundred
    or so, and what the server reads to answer for itself.)"""
    (name, settings, ask), (db, connection) = store, database
    many, groups, rounds = 20000, 2000, 12
    run_sql(connection, "SET sql_mode = ''", *TABLES, f"INSERT INTO people (id, name) SELECT seq, CONCAT('n', seq) FROM seq_1_to_{many}",
            f"INSERT INTO grp SELECT seq, CONCAT('g', seq) FROM seq_1_to_{groups}",
            f"INSERT INTO membership SELECT 1 + seq % {groups}, seq, 1, 'on' FROM seq_1_to_{many}")
    setup = make_setup(f"{db}.people, {db}.membership, {db}.grp")
    setup.settings.update(settings)
    setup.write()
    write_views(setup, db, name)
    shutil.rmtree(setup.folder / "views" / "copy")
    folder = (setup.folder / "views" / "groups").rename(setup.folder / "views" / "large")
    for path, more in (("view.conf", "key.everyone = kind, id\n"), ("keys/people.sql", "-- table: everyone\nSELECT 'p', :id\n"),
                       ("keys/grp.sql", "-- table: everyone\nSELECT 'g', :id\n"),
                       ("query.sql", ";\n-- table: everyone\nSELECT 'p' AS kind, id, name FROM people UNION ALL SELECT 'g', id, name FROM grp\n")):
        (folder / path).write_text((folder / path).read_text() + more)
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the view", lambda: live(setup, "large"), every=0.5, timeout=180)
    if name == "postgresql":
        ask("VACUUM ANALYZE")
    wait_until("the build is counted", lambda: name != "postgresql" or rows_changed(name, ask) >= many, every=0.5, timeout=60)
    if name == "postgresql":
        time.sleep(11)      # a session that has nothing more to do tells what it read within ten seconds
    before, changed = rows_read(name, ask), rows_changed(name, ask)
    public = "large.sizes" if name == "postgresql" else "`large`.sizes"
    for i in range(1, rounds + 1):      # one at a time: many changes that are settled together would cost no more than one
        run_sql(connection, "BEGIN", f"UPDATE membership SET since = {i + 1} WHERE person = {i * 7}", f"UPDATE people SET name = 'm{i}' WHERE id = {i}",
                f"UPDATE grp SET name = 'h{i}' WHERE id = {i}", "COMMIT")
        wait_until("the change", lambda: ask(f"SELECT name FROM {public} WHERE id = {i}")[0][0] == f"h{i}", every=0.1, timeout=120)
    wait_until("the changes are counted", lambda: name != "postgresql" or rows_changed(name, ask) >= changed + rounds, every=0.5, timeout=60)
    each = (rows_read(name, ask) - before) / rounds
    print(name, each, "rows read for a change")
    assert 0 < each < many / 4, each
    print(verified(setup, "large"))
    project.stop()
    run.stop()
