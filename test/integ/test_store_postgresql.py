"""Views in PostgreSQL: built, live, replayed, swapped under readers that never stop, rolled back, removed, verified."""
import json
import time

import pytest

import postgresql
from harness import run_sql, source_position, wait_until

pytestmark = pytest.mark.skipif(bool(postgresql.missing()), reason=postgresql.missing())


@pytest.fixture(scope="module")
def pg():
    with postgresql.postgresql() as made:
        yield made


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
    wait_until("the view", lambda: live(setup, "types"), every=0.5)
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
