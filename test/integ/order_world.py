"""What the tests of order = partition share: a store, a table that is written at random, processes that keep up a view of it.

What must come out is computed here, from the source's own rows and from the records on the topic: `rows` are the table's, and
`times` counts the records of each key, so that one applied twice or never shows."""
import collections
import contextlib
import json
import os
import random
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import postgresql as pg
from harness import Servers, Setup, run_sql, source_position, wait_until

PARTITIONS = 6


class InPostgresql:
    name = "postgresql"

    def __init__(self, folder):
        self.server = pg.Postgresql(folder)

    def settings(self):
        return self.server.settings()

    def ask(self, sql):
        return self.server.ask(sql)

    @contextlib.contextmanager
    def session(self):
        """Another client of the store: what it is given to run."""
        with self.server.connect() as connection:
            yield connection.execute

    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"

    def end(self):
        self.server.remove()

    @staticmethod
    def upsert(table, columns, values, changes):
        return f"INSERT INTO {table} VALUES ({values}) ON CONFLICT ({columns}) DO UPDATE SET {changes};\n"

    new = "excluded.{}"


class InMariadb:
    """A server of its own: the source's is refused."""
    name, kind = "mariadb", "mariadb:10.11"

    def __init__(self, folder):
        self.server = Servers(folder / "servers", database=self.kind, kafka=False)
        self.password = folder / "password"
        self.password.write_text("s3cret\n")
        self.password.chmod(0o600)
        self.connection = self.server.connect()
        run_sql(self.connection, "CREATE USER views@'%' IDENTIFIED BY 's3cret'", "GRANT ALL ON *.* TO views@'%'")

    def settings(self):
        env = self.server.env
        return {f"{self.name}__host": env["DATABASE_HOST"], f"{self.name}__port": env["DATABASE_PORT"], f"{self.name}__user": "views",
                f"{self.name}__password_file": str(self.password)}

    def ask(self, sql):
        return run_sql(self.connection, sql.replace('"', "`"))

    @contextlib.contextmanager
    def session(self):
        connection = self.server.connect()
        yield lambda sql: run_sql(connection, sql.replace('"', "`"))
        connection.close()

    # asked again within a tenth of a second, InnoDB says what it said before, for as long as that goes on
    waits = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"

    def end(self):
        self.connection.close()
        self.server.stop()

    @staticmethod
    def upsert(table, columns, values, changes):
        return f"INSERT INTO {table} VALUES ({values}) ON DUPLICATE KEY UPDATE {changes};\n"

    new = "VALUES({})"


class InMysql(InMariadb):
    name, kind = "mysql", "mysql:8.0"


# MySQL is MariaDB's code
@pytest.fixture(scope="module", params=[InPostgresql, InMariadb, pytest.param(InMysql, marks=pytest.mark.long)], ids=lambda kind: kind.name)
def store(request):
    if request.param is InPostgresql and pg.missing():
        pytest.fail(pg.missing())
    with tempfile.TemporaryDirectory(prefix="millrace-order-") as folder:
        os.chmod(folder, 0o755)
        made = request.param(Path(folder))
        yield made
        made.end()


def write_view(setup, store, table, name, workers=2, wrong=""):
    folder = setup.folder / "views" / name
    (folder / "on").mkdir(parents=True, exist_ok=True)
    (folder / "view.conf").write_text(f"owner = tests\nstore = {store.name}\norder = partition\nworkers = {workers}\n"
                                      f"inputs = {setup.name}.{table}\n")
    (folder / "tables.sql").write_text("CREATE TABLE item (id bigint PRIMARY KEY, n bigint NOT NULL, v varchar(100));\n"
                                       "CREATE TABLE times (id bigint PRIMARY KEY, times bigint NOT NULL);\n"
                                       "-- after build\nCREATE INDEX item_n ON item (n);\n")
    count = store.upsert("times", "id", ":id, 1", "times = times.times + 1")
    put = store.upsert("item", "id", f":id, :n{wrong}, :v", ", ".join(f"{c} = {store.new.format(c)}" for c in "nv"))
    (folder / "on" / f"{table}.insert.sql").write_text(put + count)
    (folder / "on" / f"{table}.update.sql").write_text(put + count)
    (folder / "on" / f"{table}.delete.sql").write_text("DELETE FROM item WHERE id = :id;\n" + count)
    (folder / "on" / f"{table}.truncate.sql").write_text("DELETE FROM item;\n")
    (folder / "source.sql").write_text(f"-- table: item\nSELECT id, n, v FROM {table}\n")
    return name


class Load(threading.Thread):
    """Writes at random until told to stop."""

    def __init__(self, servers, db, seed, keys=400):
        super().__init__(daemon=True)
        self.connection, self.random, self.keys = servers.connect(database=db), random.Random(seed), keys
        self.stopping, self.failure, self.count = False, None, 0

    def run(self):
        try:
            while not self.stopping:
                statements = []
                for _ in range(self.random.randint(1, 8)):
                    key, n = self.random.randrange(self.keys), self.random.randrange(1000)
                    statements.append(self.random.choice((
                        f"REPLACE INTO t VALUES ({key}, {n}, 'value {n}')", f"UPDATE t SET n = n + 1 WHERE id = {key}",
                        f"UPDATE t SET n = n + 1 WHERE id % 50 = {key % 50}", f"DELETE FROM t WHERE id = {key}")))
                run_sql(self.connection, "BEGIN", *statements, "COMMIT")
                self.count += 1
                time.sleep(0.005)
        except Exception as failure:
            self.failure = failure

    def stop(self):
        self.stopping = True
        self.join()
        if self.failure:
            raise self.failure
        self.connection.close()


class World:
    """A table, its capture, and processes that keep up a view of it."""

    def __init__(self, servers, store, make_setup, database, **settings):
        self.servers, self.store = servers, store
        self.db, self.connection = database
        run_sql(self.connection, "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL, v VARCHAR(100))",
                "INSERT INTO t SELECT seq, seq, 'from the beginning' FROM seq_1_to_300")
        self.setup = make_setup(f"{self.db}.t", kafka__partitions=PARTITIONS, **store.settings(), **settings)
        self.table = f"{self.db}.t"
        self.view = write_view(self.setup, store, self.table, f"{self.db}_rows")
        self.run = self.setup.daemon("run").start()
        self.processes = []

    def start(self, count=1):
        for _ in range(count):
            self.setup.http["project"] = f"127.0.0.1:{next(Setup.ports)}"
            self.processes.append(self.setup.daemon("project").start())
            self.processes[-1].address = self.setup.http["project"]
        return self.processes[-1]

    def live(self):
        for p in self.processes:
            assert p.alive(), p.log_tail()
        return self.version("live") != 0 and bool((self.ask() or {}).get("live"))

    def answers(self):
        """(process, GET /api/views/VIEW) of those that answer."""
        for p in self.processes:
            if p.alive():
                with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{p.address}/api/views/{self.view}", timeout=60) as answer:
                    yield p, json.load(answer)

    def leader(self):
        return next(p for p, state in self.answers() if state["leads"])

    def ask(self):
        """What the one that leads says; None: none does just now."""
        return next((state for _, state in self.answers() if state["leads"]), None)

    def shares(self):
        schema = self.schema()
        return self.store.ask(f'SELECT part, epoch, seq, who, trouble FROM "{schema}".millrace_share ORDER BY part')

    def version(self, *states):
        """The newest version in one of these states; 0: none."""
        found = 0
        for (schema,) in self.store.ask(f"SELECT table_schema FROM information_schema.tables WHERE table_name = 'millrace_view'"):
            number = schema.removeprefix(f"{self.view}_v")
            if number.isdigit() and (self.store.ask(f'SELECT state FROM "{schema}".millrace_view') or [("",)])[0][0] in states:
                found = max(found, int(number))
        return found

    def schema(self):
        return f"{self.view}_v{self.version('live')}"

    def members(self):
        """Those that say something now."""
        return {who for *_, who, _ in self.shares() if who}

    def expected(self):
        self.setup.wait_delivered(source_position(self.connection), self.run)
        rows = {r[0]: (r[1], r[2]) for r in run_sql(self.connection, "SELECT id, n, v FROM t")}
        times = collections.Counter()
        for *_, value in self.setup.reader.records(self.setup.topic(self.table)):
            if value["op"] != "t":
                times[(value["after"] or value["before"])["id"]] += 1
        return rows, times

    def applied(self, schema=None):
        schema = schema or self.schema()
        rows = {r[0]: (r[1], r[2]) for r in self.store.ask(f'SELECT id, n, v FROM "{schema}".item')}
        return rows, collections.Counter(dict(self.store.ask(f'SELECT id, times FROM "{schema}".times')))

    def check(self, schema=None):
        expected = self.expected()

        def same():
            for p in self.processes:
                assert p.alive() or p in self.gone, p.log_tail()
            return self.applied(schema) == expected

        try:
            wait_until("the view to be the source", same, 120, every=0.3)
        except AssertionError:
            rows, times = self.applied(schema)
            wrong = {k for k in rows.keys() | expected[0].keys() if rows.get(k) != expected[0].get(k)}
            twice = {k: (times[k], expected[1][k]) for k in times.keys() | expected[1].keys() if times[k] != expected[1][k]}
            raise AssertionError(f"{len(wrong)} rows differ, applied/delivered {twice}; {self.shares()}") from None

    gone = ()


@pytest.fixture
def world(servers, store, make_setup, database):
    made = World(servers, store, make_setup, database)
    yield made
    made.connection.ping()
