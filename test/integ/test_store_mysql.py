"""Views that live in MariaDB and MySQL: built, replayed, swapped and read by the clients that stay connected all the time."""
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pymysql
import pytest

from harness import ROOT, Servers, run_sql, source_position, those_there, wait_until, with_fault_points

RIGHTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, LOCK TABLES, CREATE TEMPORARY TABLES, CREATE VIEW, SHOW VIEW"


class Store:
    """A server for views: not the source. Its account has the rights that docs/STORES.md lists, on the view `shop` alone."""

    def __init__(self, folder, database, *options):
        self.servers = Servers(folder, *options, database=database, kafka=False)
        self.env, self.name = self.servers.env, database.split(":")[0]
        self.password = Path(folder) / "store.password"
        self.password.write_text("s3cret\n")
        self.password.chmod(0o600)
        admin = self.admin()
        for sql in (f"CREATE USER views@'%' IDENTIFIED BY '{self.password.read_text().strip()}'", "CREATE USER service@'%' IDENTIFIED BY 'r'",
                    f"GRANT {RIGHTS} ON `shop`.* TO views@'%'", f"GRANT {RIGHTS} ON `shop\\_%`.* TO views@'%'", "GRANT SELECT ON `shop`.* TO service@'%'"):
            run_sql(admin, sql)
        admin.close()

    def admin(self, **more):
        return self.servers.connect(**more)

    def service(self, **more):
        """As a reader of the public name, who has no other right."""
        return self.servers.connect(user="service", password="r", database="shop", **more)

    def settings(self, **more):
        return {f"{self.name}.host": self.env["DATABASE_HOST"], f"{self.name}.port": self.env["DATABASE_PORT"], f"{self.name}.user": "views",
                f"{self.name}.password_file": str(self.password), f"{self.name}.tls": "off", **more}

    def clean(self):
        admin = self.admin()
        for (name,) in run_sql(admin, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'shop%'"):
            run_sql(admin, f"DROP DATABASE `{name}`")
        admin.close()


@pytest.fixture(scope="module", params=those_there("mariadb:11.8", "mysql:8.0", "mysql:9.7"))
def store(request):
    with tempfile.TemporaryDirectory(prefix="millrace-store-") as folder:
        os.chmod(folder, 0o755)
        made = Store(Path(folder) / "servers", request.param)
        try:
            yield made
        finally:
            made.servers.stop()


TABLES = """CREATE TABLE item (id BIGINT PRIMARY KEY, name VARCHAR(80) NOT NULL, mark INT NOT NULL);
CREATE TABLE amount (id BIGINT PRIMARY KEY, n INT, mark INT NOT NULL);
-- after build
CREATE INDEX item_name ON item (name);
"""


def handlers(db, mark, factor):
    upsert = (f"INSERT INTO item (id, name, mark) VALUES (:id, :name, {mark}) ON DUPLICATE KEY UPDATE name = :name, mark = {mark};\n"
              f"INSERT INTO amount VALUES (:id, :n * {factor}, {mark}) ON DUPLICATE KEY UPDATE n = VALUES(n), mark = VALUES(mark);\n")
    return {f"{db}.item.insert.sql": upsert, f"{db}.item.update.sql": upsert,
            f"{db}.item.delete.sql": "DELETE FROM item WHERE id = :id; DELETE FROM amount WHERE id = :id;\n",
            f"{db}.item.truncate.sql": "DELETE FROM item; DELETE FROM amount;\n"}


def write_view(setup, db, store, mark, factor=1, tables=TABLES, more=()):
    folder = setup.folder / "views" / "shop"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "on").mkdir(parents=True)
    (folder / "view.conf").write_text(f"owner = test\nstore = {store.name}\ninputs = {setup.name}.{db}.item\n")
    (folder / "tables.sql").write_text(tables)
    (folder / "source.sql").write_text(f"-- table: item\nSELECT id, name, {mark} AS mark FROM {db}.item\n"
                                       f"-- table: amount\nSELECT id, n * {factor} AS n, {mark} AS mark FROM {db}.item\n")
    for name, text in {**handlers(db, mark, factor), **dict(more)}.items():
        (folder / "on" / name).write_text(text)


class Shop:
    """A source table, its capture, and the view of it."""

    def __init__(self, setup, db, connection, store):
        self.setup, self.db, self.connection, self.store = setup, db, connection, store
        self.run = self.project = None
        self.random = random.Random(int(time.time()))

    def start(self, mark=1):
        write_view(self.setup, self.db, self.store, mark)
        self.run, self.project = self.setup.daemon("run").start(), self.setup.daemon("project").start()
        self.wait_live()

    def wait_live(self, timeout=120):
        def there():
            assert self.project.alive(), self.project.log_tail()
            return self.version() > 0
        wait_until("the view", there, timeout, every=0.2)

    def version(self):
        try:
            with contextlib.closing(self.store.service()) as c:
                return run_sql(c, "SELECT version FROM millrace_view")[0][0]
        except pymysql.err.MySQLError:
            return 0

    def change(self, count=50):
        with self.connection.cursor() as cursor:
            for _ in range(count):
                i, dice = self.random.randrange(400), self.random.random()
                if dice < 0.2:
                    cursor.execute(f"DELETE FROM {self.db}.item WHERE id = %s", (i,))
                else:
                    cursor.execute(f"REPLACE INTO {self.db}.item VALUES (%s, %s, %s)", (i, f"näme '{dice}\\", self.random.choice([None, i])))

    def building(self):
        with contextlib.closing(self.store.admin()) as c:
            names = [n for (n,) in run_sql(c, "SELECT table_schema FROM information_schema.tables WHERE table_schema LIKE 'shop\\_v%' AND table_name = 'millrace_view'")]
            return any(run_sql(c, f"SELECT 1 FROM {n}.millrace_view WHERE whole = 1 AND (state IN ('building', 'ready') OR swap = 1)") for n in names)

    def view_rows(self, database="shop"):
        with contextlib.closing(self.store.admin(database=database)) as c:
            return (sorted(run_sql(c, "SELECT id, name, mark FROM item")), sorted(run_sql(c, "SELECT id, n, mark FROM amount")))

    def source_rows(self, mark, factor=1):
        rows = sorted(run_sql(self.connection, f"SELECT id, name, n FROM {self.db}.item"))
        return ([(i, name, mark) for i, name, _ in rows], [(i, None if n is None else n * factor, mark) for i, _, n in rows])

    def wait_equal(self, mark, factor=1, database="shop", timeout=90):
        def equal():
            assert self.project.alive(), self.project.log_tail()
            return self.view_rows(database) == self.source_rows(mark, factor)
        wait_until("the view equals the source", equal, timeout, every=0.3)

    def replay(self, *words):
        out = self.setup.millrace("replay", "shop", *words, timeout=180)
        assert out.returncode == 0, out.stdout + out.stderr + self.project.log_tail()
        return out.stdout

    def verify(self):
        out = wait_until("verify", lambda: (lambda o: o if o.returncode in (0, 1) else print(o.stderr))(self.setup.millrace("verify", "shop")), 60, every=1)
        assert out.returncode == 0, out.stdout

    def stop(self):
        self.project.stop()
        self.run.stop()


@pytest.fixture
def shop(database, make_setup, store):
    db, connection = database
    store.clean()
    run_sql(connection, "CREATE TABLE item (id BIGINT PRIMARY KEY, name VARCHAR(80) NOT NULL, n INT)")
    setup = make_setup(f"{db}.*")
    setup.settings.update(store.settings())
    setup.write()
    made = Shop(setup, db, connection, store)
    made.change(300)
    yield made
    setup.kill_all()


def test_build_replay_swap_and_roll_back(shop):
    shop.start()
    shop.wait_equal(1)
    shop.change()
    shop.wait_equal(1)
    shop.verify()
    write_view(shop.setup, shop.db, shop.store, 2, factor=3)
    out = json.loads(shop.replay("--json"))
    count = len(shop.source_rows(1)[0])
    assert {t["table"]: t["changed"] for t in out["diff"]["compare"]["tables"]} == {"item": count, "amount": count}, out["diff"]
    assert shop.version() == 2
    shop.change()
    shop.wait_equal(2, factor=3)
    shop.wait_equal(1, database="shop_v1")      # the old one stays applied
    shop.verify()
    shop.replay("--rollback")
    assert shop.version() == 1
    shop.wait_equal(1)
    with contextlib.closing(shop.store.admin()) as c:
        assert run_sql(c, "SELECT version, state FROM shop.millrace_view") == ((1, "live"),)
        assert run_sql(c, "SELECT state FROM shop_v2.millrace_view") == (("superseded",),)
        assert [t for (t,) in run_sql(c, "SHOW TABLES FROM shop")] == ["!millrace", "amount", "item", "millrace_position", "millrace_view", "~amount", "~item", "~millrace_position", "~millrace_view"]
        assert "item_name" in run_sql(c, "SHOW CREATE TABLE shop_v2.item")[0][1]
    shop.stop()


class PublicReader(threading.Thread):
    """A service that reads the public name all the time: never an error, never an empty view, never two versions in one transaction.

    anew: connects each time; held: one connection; prepared: with a server-side prepared statement; open: one REPEATABLE READ
    transaction over both tables, in either order, with a pause between them."""

    def __init__(self, store, kind):
        super().__init__(daemon=True)
        self.store, self.kind, self.stopping, self.reads, self.failure, self.marks, self.slowest = store, kind, False, 0, None, set(), 0.0
        self.random = random.Random(kind)
        self.connection = self.said = None

    def connect(self):
        self.connection = self.connection or self.store.service()
        return self.connection

    def statements(self):
        tables = ["amount", "item"]
        self.random.shuffle(tables)
        return [f"SELECT COUNT(*), MIN(mark), MAX(mark) FROM {t}" for t in tables]

    def read(self):
        c = self.connect()
        if self.kind == "open":
            run_sql(c, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION")
            rows = []
            for statement in self.statements():
                self.said = (statement, rows, time.time())
                rows += run_sql(c, statement)
                time.sleep(self.random.random() * 0.03)
            run_sql(c, "COMMIT")
            return rows
        if self.kind == "prepared":
            if not self.reads:
                run_sql(c, "PREPARE p FROM 'SELECT COUNT(*), MIN(i.mark), MAX(a.mark) FROM item i JOIN amount a USING (id)'")
            return list(run_sql(c, "EXECUTE p"))
        return [run_sql(c, statement)[0] for statement in self.statements()[:1]]

    def run(self):
        try:
            while not self.stopping:
                begin = time.monotonic()
                rows = self.read()
                self.slowest = max(self.slowest, time.monotonic() - begin)
                assert all(count > 0 for count, _, _ in rows), "an empty view"
                marks = {m for _, low, high in rows for m in (low, high)}
                assert len(marks) == 1, f"a mixture of versions: {rows}"
                self.marks |= marks
                self.reads += 1
                if self.kind == "anew":
                    self.connection.close()
                    self.connection = None
        except Exception as failure:
            failure.add_note(f"{self.kind} reader, after {self.reads} reads: {self.said}")
            self.failure = failure

    def stop(self):
        self.stopping = True
        self.join()
        if self.failure:
            raise self.failure


@contextlib.contextmanager
def readers(store, kinds=("anew", "held", "prepared", "open", "open")):
    made = [PublicReader(store, kind) for kind in kinds]
    for reader in made:
        reader.start()
    try:
        yield made
    finally:
        for reader in made:
            reader.stopping = True
    for reader in made:
        reader.stop()
    print({r.kind: (r.reads, f"{r.slowest:.2f} s") for r in made})


def test_readers_never_see_a_swap(shop):
    shop.start()
    shop.wait_equal(1)
    with readers(shop.store) as made:
        write_view(shop.setup, shop.db, shop.store, 2)
        shop.replay()
        for i in range(24):
            shop.change(3)
            shop.replay("--rollback")
        wait_until("all have read", lambda: all(r.reads > 3 for r in made) or any(r.failure for r in made), 60)
    assert {m for r in made for m in r.marks} == {1, 2}
    shop.wait_equal(2)
    shop.stop()


def test_kill_at_any_moment(shop):
    """kill -9 of the daemon in builds, diffs, swaps and drops: afterwards the view equals the source, and its public names are whole."""
    shop.setup.settings["project.keep_applied"] = "1s"
    shop.setup.write()
    shop.start()
    shop.wait_equal(1)
    mark = 1
    with readers(shop.store, ("held", "open")):
        for round_ in range(5):
            mark += 1
            write_view(shop.setup, shop.db, shop.store, mark, factor=mark)
            asked = subprocess.Popen([str(ROOT / "build" / "millrace"), "replay", "-c", str(shop.setup.conf), "shop"], cwd=shop.setup.folder,
                                     env={**os.environ, **shop.setup.env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(shop.random.random() * (1.5 if round_ % 2 else 3.0))
            shop.project.kill()
            asked.kill()
            asked.wait()
            shop.change(5)
            shop.project.start()
            wait_until("the daemon serves", lambda: "listening" in shop.project.log_tail() or shop.project.alive(), 60)

            def settled():
                assert shop.project.alive(), shop.project.log_tail()
                with contextlib.closing(shop.store.admin()) as c:
                    names = {n for (n,) in run_sql(c, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'")}
                    v = run_sql(c, "SELECT version FROM shop.millrace_view")[0][0]
                    return names == {"!millrace", "amount", "item", "millrace_position", "millrace_view", "~amount", "~item", "~millrace_position",
                                     "~millrace_view"} and run_sql(c, f"SELECT state FROM shop_v{v}.millrace_view") == (("live",),)
            wait_until("a whole public name", settled, 90, every=0.3)
            with contextlib.closing(shop.store.admin()) as c:
                live_mark = run_sql(c, "SELECT MAX(mark) FROM shop.item")[0][0]
            if live_mark != mark:       # the replay wasn't begun, or goes on
                wait_until("the replay, or none", lambda: shop.version() and not shop.building(), 90, every=0.3)
                with contextlib.closing(shop.store.admin()) as c:
                    live_mark = run_sql(c, "SELECT MAX(mark) FROM shop.item")[0][0]
            shop.wait_equal(live_mark, factor=live_mark)
    shop.stop()


class Copier(threading.Thread):
    """Makes and removes a version's database all the time, in the order in which a daemon does."""

    def __init__(self, store, version):
        super().__init__(daemon=True)
        self.store, self.name, self.version, self.ended, self.rounds, self.failure = store, f"shop_v{version}", version, threading.Event(), 0, None

    def run(self):
        try:
            with contextlib.closing(self.store.admin()) as c:
                while not self.ended.is_set():
                    run_sql(c, f"CREATE DATABASE {self.name}")
                    for table in ("millrace_view", "millrace_position", "item"):
                        run_sql(c, f"CREATE TABLE {self.name}.{table} LIKE shop_v1.{table}", f"INSERT INTO {self.name}.{table} SELECT * FROM shop_v1.{table}")
                    run_sql(c, f"UPDATE {self.name}.millrace_view SET version = {self.version}, state = 'superseded', superseded_us = 1", f"DROP DATABASE {self.name}")
                    self.rounds += 1
        except Exception as failure:
            self.failure = failure

    def end(self):
        self.ended.set()
        self.join(60)
        if self.failure:
            raise self.failure


def test_listed_while_versions_come_and_go(shop):
    """A database that goes between being seen and being read is no version, and no error."""
    shop.start()
    copiers = [Copier(shop.store, version) for version in (7, 8, 9)]
    for copier in copiers:
        copier.start()
    end, lists = time.monotonic() + 6, 0
    while time.monotonic() < end or (lists < 40 and time.monotonic() < end + 60):
        out = shop.setup.millrace("parked", "list", "--view", "shop")    # it asks the store for its versions
        lists += 1
        assert out.returncode == 0, out.stdout + out.stderr
    for copier in copiers:
        copier.end()
    print(lists, "lists,", [c.rounds for c in copiers], "rounds")
    assert shop.project.alive(), shop.project.log_tail()
    shop.stop()


def test_kill_within_a_removal(shop):
    """The version is gone for everybody at once; what is left of it goes when a daemon owns the view again."""
    project = shop.setup.daemon("project")
    slots = with_fault_points(shop.setup, project)
    write_view(shop.setup, shop.db, shop.store, 1)
    shop.run, shop.project = shop.setup.daemon("run").start(), project.start()
    shop.wait_live()
    write_view(shop.setup, shop.db, shop.store, 2)
    shop.replay()
    slots.arm("view_dropped", 1)
    asked = subprocess.Popen([str(ROOT / "build" / "millrace"), "view", "drop", "shop", "1", "-c", str(shop.setup.conf)], cwd=shop.setup.folder,
                             env={**os.environ, **shop.setup.env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("the middle of the removal", lambda: slots.stopped_at() == "view_dropped", 60)
    project.kill()
    asked.kill()
    asked.wait()
    with contextlib.closing(shop.store.admin()) as c:
        assert run_sql(c, "SELECT whole FROM shop_v1.millrace_view") == ((0,),)
        slots.disarm("view_dropped")
        project.start()
        wait_until("the end of the removal", lambda: not run_sql(c, "SHOW DATABASES LIKE 'shop\\_v1'"), 60, every=0.2)
    assert shop.version() == 2
    shop.wait_equal(2)
    shop.stop()


def test_a_view_that_is_gone_leaves_nothing(shop):
    """Of it; the public database stays with what the user has in it, and can be the view's again when it is empty."""
    shop.start()
    write_view(shop.setup, shop.db, shop.store, 2)
    shop.replay()
    shop.stop()
    shutil.rmtree(shop.setup.folder / "views" / "shop")
    with contextlib.closing(shop.store.admin()) as c:
        run_sql(c, "CREATE TABLE shop.mine (i INT)")
        out = shop.setup.millrace("view", "drop", "shop", "--all")
        assert out.returncode == 0, out.stdout + out.stderr
        left = run_sql(c, "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema LIKE 'shop%'")
        assert left == (("shop", "mine"),), left
        run_sql(c, "DROP TABLE shop.mine")
    shop.start(mark=3)
    shop.wait_equal(3)
    shop.stop()
    shutil.rmtree(shop.setup.folder / "views" / "shop")
    out = shop.setup.millrace("view", "drop", "shop", "--all")
    assert out.returncode == 0, out.stdout + out.stderr
    with contextlib.closing(shop.store.admin()) as c:
        assert run_sql(c, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'shop%'") == (("shop",),)
        assert run_sql(c, "SHOW TABLES FROM shop") == ()


def test_another_writer_fences_the_first(shop, make_setup):
    """Two daemons of one name on one store: the later one goes on, also when the first was stopped in the middle."""
    shop.start()
    shop.wait_equal(1)
    second = make_setup(f"{shop.db}.*", millrace__name=shop.setup.name)
    second.settings.update({**shop.store.settings(), "millrace.name": shop.setup.name})
    second.name = shop.setup.name
    second.write()
    write_view(second, shop.db, shop.store, 1)
    shop.project.process.send_signal(signal.SIGSTOP)
    shop.change()
    other = second.daemon("project").start()
    wait_until("the second has gone on", lambda: shop.view_rows() == shop.source_rows(1), 60, every=0.3)
    shop.project.process.send_signal(signal.SIGCONT)
    shop.change()
    assert shop.project.ended(60) == 7, shop.project.log_tail()
    assert "another process writes this version" in shop.project.log()
    wait_until("the second goes on", lambda: shop.view_rows() == shop.source_rows(1), 60, every=0.3)
    assert other.alive(), other.log_tail()
    other.stop()
    shop.run.stop()


def refused(shop, *words):
    out = shop.setup.millrace("project", "shop", timeout=60)
    assert out.returncode == 3, out.stderr
    for word in words:
        assert word in out.stderr, out.stderr
    assert "HINT: " in out.stderr


def test_what_is_refused(shop):
    """Each with the reason and what to do, before anything is touched."""
    setup, store = shop.setup, shop.store
    write_view(setup, shop.db, store, 1)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(shop.connection), run)
    run.stop()
    other = "mysql" if store.name == "mariadb" else "mariadb"

    wanted = dict(setup.settings)
    source = {f"{k}.{n}": setup.settings[f"source.{n}"] for k in (store.name,) for n in ("host", "port")}
    if "mariadb" == store.name:
        password = setup.folder / "site.password"
        password.write_text(setup.servers.env["DATABASE_SITE_PASSWORD"])
        setup.settings.update({**source, "mariadb.host": "localhost", "mariadb.user": setup.servers.env["DATABASE_SITE_USER"], "mariadb.password_file": str(password)})
        setup.write()
        refused(shop, "is the source", "never writes there")
    setup.settings = {**wanted, f"{other}.host": wanted[f"{store.name}.host"], f"{other}.port": wanted[f"{store.name}.port"],
                      f"{other}.user": "views", f"{other}.password_file": str(store.password)}
    setup.write()
    conf = setup.folder / "views" / "shop" / "view.conf"
    text = conf.read_text()
    conf.write_text(text.replace(f"store = {store.name}", f"store = {other}"))
    refused(shop, f"is a {'MariaDB' if store.name == 'mariadb' else 'MySQL'} server", f"store = {store.name}")
    conf.write_text(text)
    setup.settings = {**wanted, f"{store.name}.user": "nobody"}
    setup.write()
    refused(shop, "Access denied", f"{store.name}.password_file")
    setup.settings = {k: v for k, v in wanted.items() if k != f"{store.name}.host"}
    setup.write()
    refused(shop, f"{store.name}.host is missing")
    setup.settings = wanted
    setup.write()

    admin = store.admin()
    run_sql(admin, "CREATE DATABASE shop_v1", "CREATE TABLE shop_v1.mine (a INT)")
    refused(shop, "database shop_v1", "there already")
    assert run_sql(admin, "SELECT COUNT(*) FROM shop_v1.mine") == ((0,),)
    run_sql(admin, "DROP DATABASE shop_v1")
    for tables, says in ((TABLES.replace("mark INT NOT NULL);", "mark INT NOT NULL) ENGINE = MyISAM;", 1), "item is in MyISAM"),
                         (TABLES.replace("TABLE item", "TABLE other.item"), "names a database"),
                         (TABLES.replace("name VARCHAR(80)", "name VARCHARR(80)"), "tables.sql:1"),
                         (TABLES + "CREATE INDEX twice ON item (nothing);\n", "nothing")):
        write_view(setup, shop.db, store, 1, tables=tables)
        refused_view(shop, says)
    for name, sql, says in (("insert", "COMMIT", "not allowed here"), ("insert", "DELETE FROM millrace_epoch", "not allowed here"),
                            ("insert", "INSERT INTO item (id, nam) VALUES (:id, 1)", "Unknown column"), ("insert", "SELECT 1", "only reads"),
                            ("insert", "INSERT INTO mysql.user VALUES (:id)", "names a database")):
        write_view(setup, shop.db, store, 1, more={f"{shop.db}.item.{name}.sql": sql + ";\n"})
        refused_view(shop, f"on/{shop.db}.item.{name}.sql:1", says)
    run_sql(admin, "REVOKE ALL PRIVILEGES ON `shop\\_%`.* FROM views@'%'")
    try:
        write_view(setup, shop.db, store, 1)
        refused(shop, "denied", "GRANT SELECT, INSERT")
    finally:
        run_sql(admin, f"GRANT {RIGHTS} ON `shop\\_%`.* TO views@'%'")
    names = {n for (n,) in run_sql(admin, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'shop%'")}
    assert not names, names
    admin.close()


def refused_view(shop, *words):
    out = shop.setup.millrace("project", "shop", timeout=60)
    assert out.returncode == 3, out.stderr
    for word in words:
        assert word in out.stderr, out.stderr


def test_values_stay_out_of_messages(shop):
    """A record that the tables refuse: parked, with the server's reason but not its values."""
    shop.start()
    shop.wait_equal(1)
    run_sql(shop.connection, f"REPLACE INTO {shop.db}.item VALUES (1, 'geheim', 2), (2, 'something else', 2)")
    shop.wait_equal(1)
    with contextlib.closing(shop.store.admin()) as c:
        run_sql(c, "ALTER TABLE shop_v1.item ADD UNIQUE KEY secret (name)")
    # by its own key it is found first; a new row would only change the one that has the name
    run_sql(shop.connection, f"UPDATE {shop.db}.item SET name = 'geheim' WHERE id = 2")
    wait_until("the reason", lambda: "for key" in shop.project.log() or not shop.project.alive(), 60)
    assert "geheim" not in shop.project.log()
    shop.project.kill()
    shop.run.stop()


def test_the_server_goes_away_and_comes_back(shop):
    shop.start()
    shop.wait_equal(1)
    folder, engine = shop.store.servers.folder, shop.store.name
    shop.store.servers.script("kill", folder, engine)
    try:
        shop.change()
        wait_until("it is noticed", lambda: "trying again" in shop.project.log(), 60)
    finally:
        shop.store.servers.script("restart", folder, engine)
    shop.wait_equal(1)
    shop.verify()
    shop.stop()


TYPES = """i TINYINT, u BIGINT UNSIGNED, d DECIMAL(30, 8), f FLOAT, x DOUBLE, t VARCHAR(50), b VARBINARY(40), da DATE, dt DATETIME(6), ts TIMESTAMP(3) NULL,
           ti TIME(6), y YEAR, e ENUM('a', 'b c'), bi BIT(12), k VARCHAR(20)"""


def test_values_there_and_back(shop):
    """Every kind of value, from the source's row to the store's and into verify's normal form; keys of text in the order of their bytes."""
    run_sql(shop.connection, f"CREATE TABLE {shop.db}.v (id INT PRIMARY KEY, {TYPES})")
    rows = ["1, -128, 18446744073709551615, -1234567890123456789012.00000001, 0.1, 1e300, 'ä''\\\\\"\\0\\n', x'00ff27', '1969-12-31', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.999', '-838:59:59', 1901, 'b c', b'101', 'B'",
            "2, 127, 0, 0.5, -3.4e38, -0.0, '', '', '1000-01-01', '1000-01-01 00:00:00.000001', '1970-01-01 00:00:01', '00:00:00.000001', 2155, 'a', b'0', 'a'",
            "3" + ", NULL" * 14 + ", 'a '", "4, 1, 1, 1, 1.17549e-38, 2.2250738585072014e-308, '\U0001F600', x'5c', '2024-02-29', '2024-02-29 12:00:00', NULL, '838:59:59', 2000, 'a', b'111111111111', 'é'"]
    for row in rows:
        run_sql(shop.connection, f"INSERT INTO {shop.db}.v VALUES ({row})")
    columns = ["id"] + [c.split()[0] for c in TYPES.replace("\n", " ").split(",") if c.split()[0].isalpha()]
    columns = [c for c in columns if c not in ("8)",)]
    sql = {"da": "DATE'1970-01-01' + INTERVAL :da DAY", "dt": "TIMESTAMP'1970-01-01 00:00:00' + INTERVAL :dt MICROSECOND",
           "ts": "TIMESTAMP'1970-01-01 00:00:00' + INTERVAL :ts MICROSECOND", "ti": "SEC_TO_TIME(:ti * 0.000001)"}
    put = f"REPLACE INTO v ({', '.join(columns)}) VALUES ({', '.join(sql.get(c, ':' + c) for c in columns)});\n"
    write_view(shop.setup, shop.db, shop.store, 1, tables=TABLES.replace("-- after", f"CREATE TABLE v (id INT, {TYPES}, PRIMARY KEY (k));\n-- after"),
               more={f"{shop.db}.v.insert.sql": put, f"{shop.db}.v.update.sql": put, f"{shop.db}.v.delete.sql": "DELETE FROM v WHERE k = :k;\n",
                     f"{shop.db}.v.truncate.sql": "DELETE FROM v;\n"})
    folder = shop.setup.folder / "views" / "shop"
    (folder / "view.conf").write_text((folder / "view.conf").read_text().replace("inputs = ", f"inputs = {shop.setup.name}.{shop.db}.v, "))
    asked = ", ".join({"f": "CAST(f AS DOUBLE) AS f"}.get(c, c) for c in columns)
    (folder / "source.sql").write_text((folder / "source.sql").read_text() + f"-- table: v\nSELECT {asked} FROM {shop.db}.v\n")
    shop.run, shop.project = shop.setup.daemon("run").start(), shop.setup.daemon("project").start()
    shop.wait_live()
    shop.wait_equal(1)
    with contextlib.closing(shop.store.admin()) as c:
        assert wait_until("rows", lambda: run_sql(c, "SELECT COUNT(*) FROM shop.v")[0][0] == 4, 60)
        exact = "id, i, u, CAST(d AS CHAR), t, HEX(b), CAST(da AS CHAR), CAST(dt AS CHAR), CAST(ts AS CHAR), CAST(ti AS CHAR), y, e, bi + 0, k"
        there = run_sql(c, f"SELECT {exact} FROM shop.v ORDER BY id")
    assert there == run_sql(shop.connection, f"SELECT {exact} FROM {shop.db}.v ORDER BY id")
    shop.verify()
    shop.stop()
