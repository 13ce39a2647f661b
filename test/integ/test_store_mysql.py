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

from harness import ROOT, Servers, run_sql, source_position, those_there, wait_until

RIGHTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, LOCK TABLES, CREATE VIEW, SHOW VIEW"


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
