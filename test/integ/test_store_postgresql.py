"""Views in PostgreSQL: built, live, replayed, swapped under readers that never stop, rolled back, removed, verified."""
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import psycopg
import pytest

import harness
import postgresql
from harness import run_sql, source_position, wait_until

pytestmark = pytest.mark.skipif(bool(postgresql.missing()), reason=postgresql.missing())


@pytest.fixture(scope="module")
def cluster():
    with postgresql.postgresql() as made:
        yield made


@pytest.fixture
def pg(cluster):
    """Its database is empty: tests use the same names."""
    cluster.new_database()
    return cluster


def write_view(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def param(column):
    return f":value_{column}" if column in ("at", "seq", "gtid") else f":{column}"


def upsert(table, key, *columns):
    rest = ", ".join(f"{c} = excluded.{c}" for c in columns)
    every = ", ".join([key, *columns])
    return f"INSERT INTO {table} ({every}) VALUES ({', '.join(param(c) for c in [key, *columns])}) ON CONFLICT ({key}) DO UPDATE SET {rest};\n"


def live(setup, *views):
    out = setup.millrace("lag", "--json")
    if out.returncode != 0:
        return False
    states = {p["name"]: p["state"] for p in json.loads(out.stdout)["processes"] if p["kind"] == "view"}
    return all(states.get(v) == "live" for v in views)


def verify(setup, view, *words):
    """Its exit code and what it said; tried again while the view is not ready for it."""
    for _ in range(40):
        out = setup.millrace("verify", view, *words)
        if out.returncode in (0, 1):
            break
        time.sleep(1)
    return out.returncode, out.stdout + out.stderr


ALL_TYPES = """CREATE TABLE t (id BIGINT PRIMARY KEY, small SMALLINT, n BIGINT, big BIGINT UNSIGNED, d DECIMAL(20,6), f FLOAT, g DOUBLE,
    s VARCHAR(60), c CHAR(10), b VARBINARY(40), day DATE, at DATETIME(6), ts TIMESTAMP(6) NULL, tm TIME(6), flag BIT(1), e ENUM('a','b c'),
    j JSON)"""
ROWS = [
    "(1, -32768, -9223372036854775808, 18446744073709551615, -12345678901234.567891, 0.1, 1e300, 'grüß', 'x', x'00ff10', '1000-01-01',"
    " '9999-12-31 23:59:59.999999', '2038-01-01 00:00:00.5', '23:59:59.999999', b'1', 'b c', '{\"a\": [1, 2.50, null]}')",
    "(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "(3, 0, 0, 0, 0, 0, -0.0, '', '', '', '1970-01-01', '1970-01-01 00:00:00', '1970-01-01 00:00:01', '00:00:00', b'0', 'a', '[]')",
    "(4, 1, 2, 9223372036854775808, 0.000001, -3.5, 2.5, 'O''Reilly \\\\ \"q\" :x $1', 'pad', x'27', '2024-02-29', '2024-02-29 12:00:00.000001',"
    " '2024-02-29 12:00:00', '12:34:56', b'1', 'a', '\"x\"')",
]
VIEW_TYPES = {
    "tables.sql": """CREATE TABLE t (id bigint PRIMARY KEY, small smallint, n bigint, big numeric(20), d numeric(20,6), f real,
  g double precision, s text, c char(10), b bytea, day date, at timestamp, ts timestamptz, tm time, flag boolean, e varchar(10), j json);
-- after build
CREATE INDEX t_day ON t (day);
""",
}


def test_types_there_and_back(servers, database, make_setup, pg):
    db, c = database
    run_sql(c, ALL_TYPES, f"INSERT INTO t VALUES {', '.join(ROWS)}")
    setup = make_setup(f"{db}.t", **pg.settings())
    columns = "small n big d f g s c b day at ts tm flag e j".split()
    write_view(setup.folder / "views" / "types", {
        **VIEW_TYPES, "source.sql": f"-- table: t\nSELECT * FROM {db}.t\n", "view.conf": f"owner = tests\nstore = postgresql\ninputs = {setup.topic(db + '.t')}\n",
        f"on/{db}.t.insert.sql": upsert("t", "id", *columns), f"on/{db}.t.update.sql": upsert("t", "id", *columns),
        f"on/{db}.t.delete.sql": "DELETE FROM t WHERE id = :before_id", f"on/{db}.t.truncate.sql": "DELETE FROM t"})
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the view", lambda: live(setup, "types"), 180, every=0.5)
    said = verify(setup, "types")
    assert said[0] == 0, said[1]
    rows = pg.ask("SELECT id, small, n, big::text, d::text, s, c, encode(b, 'hex'), day::text, at::text, ts::text, tm::text, flag, e FROM types.t ORDER BY id")
    assert rows[0] == (1, -32768, -9223372036854775808, "18446744073709551615", "-12345678901234.567891", "grüß", "x         ", "00ff10",
                       "1000-01-01", "9999-12-31 23:59:59.999999", "2038-01-01 00:00:00.5+00", "23:59:59.999999", True, "b c")
    assert rows[1][1:] == (None,) * 13
    run_sql(c, "UPDATE t SET n = 5, s = 'new' WHERE id = 2", "DELETE FROM t WHERE id = 3", "UPDATE t SET id = 30 WHERE id = 4")
    setup.wait_delivered(source_position(c), run)
    said = verify(setup, "types")
    assert said[0] == 0, said[1]
    assert pg.ask("SELECT id FROM types.t ORDER BY id") == [(1,), (2,), (30,)]
    project.stop()
    run.stop()


VIEW_KEYED = {"tables.sql": "CREATE TABLE a (id bigint PRIMARY KEY, v text NOT NULL, n numeric(12,2));\n"
                            "CREATE TABLE b (id bigint PRIMARY KEY, v text NOT NULL);\n"
                            "-- after build\nCREATE INDEX a_v ON a (v);\n"}


def keyed_view(setup, db, name="pair", mark="one", tables=None, more=""):
    """Two tables of one source table: what a reader sees of both must be of one version, and of one moment."""
    put = (f"INSERT INTO a (id, v, n) VALUES (:id, '{mark}', :n) ON CONFLICT (id) DO UPDATE SET v = excluded.v, n = excluded.n;\n"
           + upsert("b", "id", "v").replace(":v", f"'{mark}'"))
    write_view(setup.folder / "views" / name, {
        "tables.sql": tables or VIEW_KEYED["tables.sql"],
        "source.sql": f"-- table: a\nSELECT id, '{mark}' AS v, n FROM {db}.t\n-- table: b\nSELECT id, '{mark}' AS v FROM {db}.t\n",
        "view.conf": f"owner = tests\nstore = postgresql\ninputs = {setup.topic(db + '.t')}\n{more}",
        f"on/{db}.t.insert.sql": put, f"on/{db}.t.update.sql": put,
        f"on/{db}.t.delete.sql": "DELETE FROM a WHERE id = :before_id;\nDELETE FROM b WHERE id = :before_id",
        f"on/{db}.t.truncate.sql": "DELETE FROM a; DELETE FROM b"})


def test_cases_and_check_in_the_store(servers, database, make_setup, pg):
    db, c = database
    run_sql(c, "CREATE TABLE t (id BIGINT PRIMARY KEY, n DECIMAL(12,2))", "INSERT INTO t VALUES (1, 1.5)")
    setup = make_setup(f"{db}.t", **pg.settings())
    keyed_view(setup, db)
    cases = setup.folder / "views" / "pair" / "cases" / "x.jsonl"
    cases.parent.mkdir()
    cases.write_text('{"case": "good"}\n' + json.dumps({"row": f"{db}.t", "op": "c", "after": {"id": 1, "n": "12.50"}}) + "\n"
                     '{"expect": "a", "rows": [{"id": 1, "v": "one", "n": 12.5}]}\n{"case": "empty again"}\n{"expect": "a", "rows": []}\n'
                     '{"case": "refused"}\n' + json.dumps({"row": f"{db}.t", "op": "c", "after": {"id": 1, "n": "much"}}) + "\n"
                     '{"expect": "b", "rows": []}\n')
    out = setup.millrace("view", "test", "views/pair")
    assert out.returncode == 1 and "2 passed, 1 failed" in out.stdout, out.stdout + out.stderr
    assert "on/" in out.stdout and "22P02" in out.stdout and "much" not in out.stdout
    out = setup.millrace("check", "project")
    assert "pair: its SQL was tried where it will live" in out.stdout, out.stdout
    assert pg.ask("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pair%'") == []

    for text, said in (("INSERT INTO a (id, v) VALUES (:id, 'x') ON CONFLICT (nid) DO NOTHING", "insert.sql:1: column \"nid\" does not exist"),
                       ("INSERT INTO a (id, v) VALUES (:id, 'x');\n\nINSERT INTO a (id, v) VALUES (:id, 'x') ON CONFLICT (v) DO NOTHING",
                        "insert.sql:3: there is no unique or exclusion constraint matching the ON CONFLICT specification"),
                       ("\n\nINSERT INTO nowhere VALUES (:id)", "insert.sql:3: relation \"nowhere\" does not exist"),
                       ("COMMIT", "may not use"), ("SELECT 1", "only reads"), ("TRUNCATE a", "DELETE FROM"), ("DROP TABLE a", "changes rows"),
                       ("DELETE FROM millrace_position", "Millrace's own"), ('DELETE FROM "MILLRACE_view"', "Millrace's own"),
                       ("DELETE FROM a WHERE id = :id AND v = '", "never ends"), ("INSERT INTO a (id, v) VALUES (:nope, 'x')", ":nope")):
        (setup.folder / "views" / "pair" / "on" / f"{db}.t.insert.sql").write_text(text)
        out = setup.millrace("view", "test", "views/pair")
        assert said in out.stdout + out.stderr, (text, out.stdout + out.stderr)
    setup.settings["postgresql.user"] = "reader"
    setup.write()
    out = setup.millrace("check", "project")
    assert "GRANT CREATE" in out.stdout, out.stdout
    setup.settings.update({"postgresql.user": "millrace", "postgresql.password_file": ""})
    setup.write()
    out = setup.millrace("check", "project")
    assert "postgresql.password_file" in out.stdout, out.stdout


class Reader(threading.Thread):
    """Reads both tables of the public name again and again in one manner; both must always be whole, and of one version."""

    def __init__(self, pg, manner, view="pair"):
        super().__init__(daemon=True)
        self.pg, self.manner, self.view, self.ending, self.reads, self.failure, self.marks = pg, manner, view, False, 0, None, set()

    def check(self, a, b):
        marks = {v for _, v in a} | {v for _, v in b}
        assert len(marks) == 1, f"a mixture: {marks}"
        assert len(a) >= 1000, f"{len(a)} rows of a"
        assert [i for i, _ in a] == [i for i, _ in b], f"{len(a)} rows of a, {len(b)} of b"
        self.marks |= marks
        self.reads += 1

    def both(self, c, pause=0.0, **more):
        a = c.execute(f"SELECT id, v FROM {self.view}.a ORDER BY id", **more).fetchall()
        time.sleep(pause)
        return a, c.execute(f"SELECT id, v FROM {self.view}.b ORDER BY id", **more).fetchall()

    def joined(self, c):
        rows = c.execute(f"SELECT a.id, a.v, b.id, b.v FROM {self.view}.a FULL JOIN {self.view}.b ON a.id = b.id ORDER BY 1").fetchall()
        return [r[:2] for r in rows], [r[2:] for r in rows]

    def anew(self):
        with self.pg.connect("reader") as c:
            self.check(*self.joined(c))

    def loop(self):
        if self.manner == "anew":
            while not self.ending:
                self.anew()
            return
        with self.pg.connect("reader") as c:
            while not self.ending:
                if self.manner == "held":
                    self.check(*self.joined(c))
                elif self.manner == "prepared":      # two statements, two moments: only each of them is whole
                    a, b = self.both(c, prepare=True)
                    assert len({v for _, v in a}) == 1 and len({v for _, v in b}) == 1 and len(a) >= 1000 and len(b) >= 1000
                    self.reads += 1
                else:
                    how = "REPEATABLE READ" if self.manner == "repeatable" else "READ COMMITTED"
                    with c.transaction():
                        c.execute(f"SET TRANSACTION ISOLATION LEVEL {how}")
                        if self.manner == "repeatable":
                            c.execute("SELECT count(*) FROM pg_class").fetchone()      # the snapshot is taken here
                            time.sleep(0.2)
                            self.check(*self.both(c, 0.02))
                        else:
                            a, b = self.both(c, 0.02)
                            assert {v for _, v in a} == {v for _, v in b} and len(a) >= 1000 and len(b) >= 1000
                            self.reads += 1

    def run(self):
        try:
            self.loop()
        except Exception as failure:
            self.failure = failure

    def stop(self):
        self.ending = True
        self.join(60)
        assert not self.failure, f"{self.manner}: {self.failure!r}"
        assert self.reads > 0


def swap_to(setup, *words):
    out = setup.millrace("replay", "pair", *words, timeout=240)
    assert out.returncode == 0, out.stdout + out.stderr


def test_readers_never_see_a_swap(servers, database, make_setup, pg):
    db, c = database
    run_sql(c, "CREATE TABLE t (id BIGINT PRIMARY KEY, n DECIMAL(12,2))", "INSERT INTO t SELECT seq, seq / 4 FROM seq_1_to_1000")
    setup = make_setup(f"{db}.t", project__keep_applied="3s", **pg.settings())
    keyed_view(setup, db)
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the view", lambda: live(setup, "pair"), 180, every=0.5)
    with pg.connect("millrace") as m:
        m.execute("GRANT USAGE ON SCHEMA pair TO reader")
        m.execute("GRANT SELECT ON ALL TABLES IN SCHEMA pair TO reader")
    readers = [Reader(pg, manner) for manner in ("anew", "held", "prepared", "repeatable", "committed")]
    for reader in readers:
        reader.start()
    ending = threading.Event()

    def write():
        with servers.connect(database=db) as own:
            for i in itertools.count(2000):
                if ending.wait(0.02):
                    return
                run_sql(own, f"INSERT INTO t VALUES ({i}, 1)", f"UPDATE t SET n = {i} WHERE id = {i % 1000 + 1}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wider = "CREATE TABLE a (id bigint PRIMARY KEY, v text NOT NULL, n numeric(12,2), more integer DEFAULT 1);\n"
        other = "CREATE TABLE a (id bigint PRIMARY KEY, extra text, n numeric(14,2), v text NOT NULL);\n"
        b = "CREATE TABLE b (id bigint PRIMARY KEY, v text NOT NULL);\n"
        for mark, tables in (("two", None), ("three", wider + b), ("four", other + b), ("five", None)):
            keyed_view(setup, db, mark=mark, tables=tables)
            (setup.folder / "views" / "pair" / "source.sql").unlink()
            swap_to(setup)
            assert pg.ask("SELECT DISTINCT v FROM pair.a", user="reader") == [(mark,)]
        swap_to(setup, "--rollback")
        assert pg.ask("SELECT DISTINCT v FROM pair.a", user="reader") == [("four",)]
        assert pg.ask("SELECT version, state FROM pair.millrace_view") == [(4, "live")]
        assert pg.ask("SELECT state FROM pair_v5.millrace_view") == [("superseded",)]
        swap_to(setup, "--rollback")
        for reader in readers:
            assert not reader.failure, f"{reader.manner}: {reader.failure!r}"
    finally:
        ending.set()
        writer.join()
    for reader in readers:
        reader.stop()
    print({r.manner: (r.reads, sorted(r.marks)) for r in readers})
    wait_until("the old versions to go", lambda: pg.ask("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pair%'") == [(2,)])
    keyed_view(setup, db, mark="six")
    swap_to(setup)
    code, said = verify(setup, "pair")
    assert code == 0, said
    project.stop()
    run.stop()


def whole(pg, view="pair"):
    """What the public name gives right now: (mark, rows), never a mixture; None: it isn't there yet."""
    try:
        with pg.connect("millrace") as c, c.transaction():
            c.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            rows = c.execute(f"SELECT a.id, a.v, b.id, b.v FROM {view}.a FULL JOIN {view}.b ON a.id = b.id").fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    assert all(r[0] == r[2] for r in rows) and len({r[1] for r in rows} | {r[3] for r in rows}) <= 1
    assert rows
    return rows[0][1], len(rows)


def test_killed_at_random_moments(servers, database, make_setup, pg):
    """Of build, diff, swap and drop; what is public stays whole, and in the end it equals the source."""
    db, c = database
    seed = int(time.time())
    print("seed", seed)
    chance = random.Random(seed)
    run_sql(c, "CREATE TABLE t (id BIGINT PRIMARY KEY, n DECIMAL(12,2))", "INSERT INTO t SELECT seq, seq / 4 FROM seq_1_to_4000")
    setup = make_setup(f"{db}.t", project__keep_applied="1s", **pg.settings())
    keyed_view(setup, db, mark="m0")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(c), run)
    seen, last, asked = set(), None, []
    for turn in range(1, 13):
        project = setup.daemon("project").start()
        if last:
            keyed_view(setup, db, mark=f"m{turn}")
            asked.append(subprocess.Popen([str(harness.MILLRACE), "replay", "-c", str(setup.conf), "pair", "--force"], cwd=setup.folder,
                                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                          env={**os.environ, **setup.env}))
        end = time.monotonic() + chance.uniform(0.1, 2.5)
        while time.monotonic() < end:
            now = whole(pg)
            assert now or not last, "the public name is gone"
            if now:
                assert now[1] >= 4000 or not last, now
                last = now
                seen.add(now[0])
        run_sql(c, f"UPDATE t SET n = {turn} WHERE id % 10 = {turn % 10}", f"INSERT INTO t VALUES ({10000 + turn}, 1)")
        project.kill()
        while asked:        # it ends, because its daemon has; or has become the view's owner itself
            asked.pop().kill()
        now = whole(pg)
        assert now or not last
    project = setup.daemon("project").start()
    wait_until("the view", lambda: live(setup, "pair"), 180, every=0.5)
    keyed_view(setup, db, mark="end")
    # a replay that was killed goes on by itself first
    wait_until("a replay", lambda: setup.millrace("replay", "pair", "--force", timeout=240).returncode == 0, 240, every=1)
    code, said = verify(setup, "pair")
    assert code == 0, said
    assert whole(pg) == ("end", 4012)
    print("marks seen", sorted(seen))
    # what a killed process was trying stays for an hour: it may belong to one that lives
    names = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pair%' AND nspname NOT LIKE 'pair\\_try\\_%'"
    try:
        wait_until("old versions to go", lambda: len(pg.ask(names)) == 2)
    except AssertionError as e:
        raise AssertionError(f"{e}: {pg.ask(names)}") from e
    project.stop()
    run.stop()


def test_a_second_writer_fences_the_first(servers, database, make_setup, pg):
    """Also one that was stopped in the midst of its transaction, and wakes up later."""
    db, c = database
    run_sql(c, "CREATE TABLE t (id BIGINT PRIMARY KEY, n DECIMAL(12,2))", "INSERT INTO t SELECT seq, seq / 4 FROM seq_1_to_100")
    setup = make_setup(f"{db}.t", **pg.settings())
    keyed_view(setup, db)
    run, first = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the view", lambda: live(setup, "pair"), 180, every=0.5)
    first.process.send_signal(signal.SIGSTOP)
    run_sql(c, "INSERT INTO t VALUES (500, 1)")
    setup.settings["millrace.state"] = "elsewhere"      # another machine, with a lease of its own
    setup.write()
    (setup.folder / "elsewhere" / "views" / "pair").mkdir(parents=True)
    (setup.folder / "elsewhere" / "views" / "pair" / "store").write_text("postgresql\n")
    second = harness.Daemon("project", setup, "--http.listen=off")
    setup.started.append(second)
    second.log_path = setup.folder / "second.log"
    second.start()
    wait_until("the second", lambda: pg.ask("SELECT count(*) FROM pair.a") == [(101,)])
    first.process.send_signal(signal.SIGCONT)
    assert first.ended(60) == 7, first.log_tail()
    assert "another process writes this version" in first.log()
    run_sql(c, "INSERT INTO t VALUES (501, 1)")
    wait_until("the second goes on", lambda: pg.ask("SELECT count(*) FROM pair.b") == [(102,)])
    second.stop()
    run.stop()


def test_troubles_have_hints(servers, database, make_setup, pg):
    db, c = database
    run_sql(c, "CREATE TABLE t (id BIGINT PRIMARY KEY, n DECIMAL(12,2))", "INSERT INTO t VALUES (1, 1)")
    setup = make_setup(f"{db}.t", **pg.settings())
    keyed_view(setup, db)
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the view", lambda: live(setup, "pair"), 180, every=0.5)

    # the server goes away and comes back: tried again, nothing lost, nothing twice
    pg.stop(signal.SIGQUIT)
    run_sql(c, "INSERT INTO t VALUES (2, 2)")
    wait_until("a warning", lambda: "postgresql 127.0.0.1" in project.log())
    assert setup.millrace("check", "project").returncode == 5
    pg.start()
    wait_until("what was missed", lambda: pg.ask("SELECT count(*) FROM pair.a") == [(2,)], 120)

    # another capture's view of that name
    other = make_setup(f"{db}.t", **pg.settings())
    keyed_view(other, db)
    out = other.millrace("project")
    assert out.returncode == 3 and "was made by the capture" in out.stderr and setup.name in out.stderr, out.stderr

    # a schema that isn't Millrace's
    pg.ask("CREATE SCHEMA stranger")
    pg.ask("CREATE TABLE stranger.x (i int)")
    keyed_view(other, db, name="stranger")
    shutil.rmtree(other.folder / "views" / "pair")
    (other.folder / "views" / "stranger" / "view.conf").write_text(f"owner = tests\nstore = postgresql\ninputs = {setup.topic(db + '.t')}\n")
    other.settings["millrace.name"] = setup.name
    other.write()
    out = other.millrace("project")
    assert "holds something that Millrace didn't make" in out.stderr, out.stderr
    assert pg.ask("SELECT count(*) FROM stranger.x") == [(0,)]

    # something of the user's that depends on a public view whose columns change
    pg.ask("CREATE VIEW public.mine AS SELECT n FROM pair.a")
    keyed_view(setup, db, mark="two", tables="CREATE TABLE a (id bigint PRIMARY KEY, v text NOT NULL, n double precision);\n"
                                             "CREATE TABLE b (id bigint PRIMARY KEY, v text NOT NULL);\n")
    out = setup.millrace("replay", "pair")
    assert out.returncode == 3 and "other objects depend on it" in out.stderr, out.stdout + out.stderr
    assert pg.ask("SELECT DISTINCT v FROM pair.a") == [("one",)]
    pg.ask("DROP VIEW public.mine")

    # a swap waits for those who read, and says for whom
    with pg.connect("admin") as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM pair.a").fetchone()
        swapping = threading.Thread(target=lambda: swap_to(setup, "--force"))
        swapping.start()
        wait_until("a swap", lambda: "swapping" in project.log().rsplit("replay of version", 2)[-1])
        time.sleep(2)
        with pg.connect("admin") as others:     # nobody queues behind it
            for _ in range(20):
                begin = time.monotonic()
                others.execute("SELECT count(*) FROM pair.a").fetchone()
                assert time.monotonic() - begin < 1
        assert reader.execute("SELECT DISTINCT v FROM pair.b").fetchall() == [("one",)]
    swapping.join()
    assert pg.ask("SELECT DISTINCT v FROM pair.a") == [("two",)]

    project.stop()
    run.stop()


def test_mirror_and_query(servers, database, make_setup, pg):
    """Kinds that write their own SQL; a new column at the source appears in the public view."""
    db, c = database
    run_sql(c, "CREATE TABLE t (id BIGINT PRIMARY KEY, g INT, n DECIMAL(12,2), day DATE, at DATETIME(6), tm TIME, b VARBINARY(10))",
            "INSERT INTO t SELECT seq, seq % 7, seq / 4, '2024-02-29', '2024-02-29 01:02:03.5', '-25:00:01', x'00ff' FROM seq_1_to_3000")
    setup = make_setup(f"{db}.t", **pg.settings())
    inputs = f"owner = tests\nstore = postgresql\ninputs = {setup.topic(db + '.t')}\n"
    write_view(setup.folder / "views" / "copy", {"view.conf": inputs + "kind = mirror\n"})
    write_view(setup.folder / "views" / "sums", {
        "view.conf": inputs + "kind = query\nkey.sums = g\n", "query.sql": f"-- table: sums\nSELECT g, count(*) AS many, sum(n) AS n FROM t GROUP BY g\n",
        "keys/t.sql": "SELECT :g AS g\n"})
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "copy", "sums"), 180, every=0.5)
    run_sql(c, "UPDATE t SET g = 99, n = NULL WHERE id < 10", "DELETE FROM t WHERE id > 2990", "UPDATE t SET id = 9000 WHERE id = 50")
    for view in ("copy", "sums"):
        code, said = verify(setup, view)
        assert code == 0, said
    run_sql(c, "ALTER TABLE t ADD COLUMN extra VARCHAR(20)", "INSERT INTO t (id, g, extra) VALUES (9001, 99, 'new')")
    wait_until("the new column", lambda: pg.ask("SELECT count(*) FROM information_schema.columns WHERE table_schema = 'copy' AND column_name = 'extra'") == [(1,)])
    code, said = verify(setup, "copy")
    assert code == 0, said
    project.stop()
    run.stop()
