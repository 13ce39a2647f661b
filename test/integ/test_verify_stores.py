"""verify of views in servers: all classes of type, planted differences, pieces."""
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

from harness import ROOT, Servers, run_sql, those_there, wait_until
from test_projection import COLUMNS, ROWS, TYPES
from test_verify import Writers, counts, see_late_rows, verify

for folder in ("views", "fault"):
    sys.path.insert(0, str(ROOT / "test" / folder))
from sql_servers import Postgresql  # noqa: E402


class MysqlStore:
    """A server for views, not the source. {} stands for a parameter where a type has to be made of it."""
    types = {"id": "INT", "part": "VARCHAR(20) COLLATE {bin}", "i": "BIGINT", "u": "BIGINT UNSIGNED", "d": "DECIMAL(10,2)", "f": "FLOAT", "g": "DOUBLE",
             "t": "TIME(3)", "at": "DATETIME(6)", "ts": "DATETIME(6)", "day": "DATE", "b": "VARBINARY(20)", "n": "BINARY(6)", "y": "YEAR", "a": "BIGINT", "fee": "DECIMAL(10,2)",
             "e": "ENUM('a','B')", "bit8": "VARBINARY(1)", "bit1": "TINYINT(1)", "j": "JSON"}
    text = "VARCHAR(40) COLLATE {bin}"
    moment = "TIMESTAMPADD(MICROSECOND, {}, '1970-01-01')"
    made_of = {"t": "SEC_TO_TIME({} * 0.000001)", "at": moment, "ts": moment, "day": "DATE_ADD('1970-01-01', INTERVAL {} DAY)"}
    bins = {"mariadb": "utf8mb4_nopad_bin", "mysql": "utf8mb4_0900_bin"}
    planted = {"i": "-6", "u": "18446744073709551614", "d": "1.51", "f": "0.25", "g": "g * 1.0000000000000002e0", "t": "'-00:00:01.501'",
               "at": "'1969-12-31 23:59:59.999998'", "ts": "'2001-01-01 00:00:00.000001'", "day": "'1969-12-30'", "c": "'ab'", "v": "'text '",
               "x": "'Grösse'", "b": "x'0001ff01'", "n": "x'010000000002'", "y": "2000", "e": "'a'", "s": "'p'", "bit8": "x'04'", "bit1": "0"}

    def __init__(self, folder, database):
        self.name = database.split(":")[0]
        self.server = Servers(folder / "store", database=database, kafka=False)
        self.password = folder / "password"
        self.password.touch(0o600)
        self.password.write_text(self.server.env["DATABASE_SITE_PASSWORD"])
        self.connection = self.server.connect()
        self.run("CREATE DATABASE aside")

    def settings(self):
        env = self.server.env
        return {"host": env["DATABASE_HOST"], "port": env["DATABASE_PORT"], "user": env["DATABASE_SITE_USER"], "password_file": self.password,
                "tls": "on" if self.name == "mysql" else "off"}

    def type_of(self, column):
        return self.types.get(column, self.text).replace("{bin}", self.bins[self.name])

    def run(self, statement):
        """In the version's own tables: what a bug, or a hand, would do."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.rowcount

    def stop(self):
        self.connection.close()
        self.server.stop()


class PostgresqlStore:
    name = "postgresql"
    types = {"id": "integer", "part": 'text COLLATE "C"', "i": "bigint", "u": "numeric(20,0)", "d": "numeric(10,2)", "f": "real", "g": "double precision",
             "t": "interval", "at": "timestamp(6)", "ts": "timestamp(6) with time zone", "day": "date", "c": "char(10)", "b": "bytea", "n": "bytea",
             "y": "smallint", "a": "bigint", "fee": "numeric(10,2)", "bit8": "bytea", "bit1": "boolean", "j": "jsonb"}
    after = " + CAST({} AS bigint) / 86400000000 * INTERVAL '1 day' + CAST({} AS bigint) % 86400000000 * INTERVAL '1 microsecond'"
    made_of = {"t": "CAST({} AS bigint) / 1000000 * INTERVAL '1 second' + CAST({} AS bigint) % 1000000 * INTERVAL '1 microsecond'",
               "at": "TIMESTAMP '1970-01-01'" + after, "ts": "TIMESTAMP WITH TIME ZONE '1970-01-01 00:00:00+00'" + after,
               "day": "DATE '1970-01-01' + CAST({} AS integer)", "bit1": "CAST({} AS integer) <> 0", "j": "CAST({} AS jsonb)"}
    planted = {"i": "-6", "u": "18446744073709551614", "d": "1.51", "f": "0.25", "g": "g * CAST('1.0000000000000002' AS double precision)",
               "t": "t - INTERVAL '1 microsecond'", "at": "at - INTERVAL '1 microsecond'", "ts": "ts + INTERVAL '1 microsecond'", "day": "day - 1",
               "c": "'ab'", "v": "'text '", "x": "'Grösse'", "b": "'\\x0001ff01'", "n": "'\\x010000000002'", "y": "2000", "e": "'a'", "s": "'p'",
               "bit8": "'\\x04'", "bit1": "false"}

    def __init__(self, folder):
        self.server = Postgresql(folder / "postgresql", 7)
        self.connection = self.server.connect("millrace")
        self.run("CREATE SCHEMA aside")

    def settings(self):
        return {"host": "127.0.0.1", "port": self.server.port, "user": "millrace", "password_file": self.server.password_file, "database": "millrace"}

    def type_of(self, column):
        return self.types.get(column, "text")

    def run(self, statement):
        return self.connection.execute(statement).rowcount

    def stop(self):
        self.connection.close()
        self.server.stop()


@pytest.fixture(scope="module", params=["postgresql", *those_there("mariadb:10.11", "mysql:8.0")])
def store(request):
    with tempfile.TemporaryDirectory(prefix="millrace-store-") as folder:
        os.chmod(folder, 0o755)
        made = PostgresqlStore(Path(folder)) if request.param == "postgresql" else MysqlStore(Path(folder), request.param)
        yield made
        made.stop()


def write_view(setup, store, db, view, columns, key):
    """Table `kept`, which has each column of the source's table t, in types of the store's own."""
    folder = setup.folder / "views" / view
    (folder / "on").mkdir(parents=True)
    (folder / "view.conf").write_text(f"owner = tests\nstore = {store.name}\ninputs = {setup.name}.{db}.t\n")
    declared = ", ".join(f"{c} {store.type_of(c)}" for c in columns)
    (folder / "tables.sql").write_text(f"CREATE TABLE kept ({declared}, PRIMARY KEY ({', '.join(key)}));\n")
    values = [store.made_of.get(c, "{}").replace("{}", ":value_at" if c == "at" else f":{c}") for c in columns]
    put = f"INSERT INTO kept ({', '.join(columns)}) VALUES ({', '.join(values)});\n"
    drop = f"DELETE FROM kept WHERE {' AND '.join(f'{k} = :before_{k}' for k in key)};\n"
    for kind, text in (("insert", put), ("update", drop + put), ("delete", drop.replace("before_", ""))):
        (folder / "on" / f"{db}.t.{kind}.sql").write_text(text)
    (folder / "source.sql").write_text(f"-- table: kept\nSELECT {', '.join(columns)} FROM {db}.t\n")


def is_live(setup):
    out = setup.millrace("lag", "--json")
    return out.returncode == 0 and any(p["kind"] == "view" and p["state"] == "live" for p in json.loads(out.stdout)["processes"])


def begin(setup):
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the view", lambda: is_live(setup), 120, 0.5)
    return run, project


def test_planted_in_each_class(database, make_setup, store):
    db, connection = database
    run_sql(connection, "SET sql_mode = ''", TYPES.format("t"), *[f"INSERT INTO t VALUES {r}" for r in ROWS])
    setup = make_setup(f"{db}.t", **{f"{store.name}__{k}": v for k, v in store.settings().items()})
    write_view(setup, store, db, "planted", COLUMNS, ("id", "part"))
    run, project = begin(setup)
    result = verify(setup, code=0, view="planted")
    assert result["rows"] == len(ROWS), result
    t = "planted_v1.kept"
    for column, planted in store.planted.items():
        for value in (planted, "NULL"):
            store.run(f"CREATE TABLE aside.{store.name}_row AS SELECT * FROM {t} WHERE id = 1 AND part = 'a'")
            assert store.run(f"UPDATE {t} SET {column} = {value} WHERE id = 1 AND part = 'a'") == 1, column
            result = verify(setup, code=1, view="planted")
            assert counts(result) == [0, 0, 1] and result["late"] == 0, (column, value, result)
            (table,) = result["compare"]["tables"]
            assert table["changed_columns"] == {column: 1}, (column, table)
            (sample,) = table["samples"]["changed"]
            assert sample["key"] == {"id": "1", "part": "'a'"} and list(sample["columns"]) == [column], sample
            assert store.run(f"DELETE FROM {t} WHERE id = 1 AND part = 'a'") == 1
            assert store.run(f"INSERT INTO {t} SELECT * FROM aside.{store.name}_row") == 1
            store.run(f"DROP TABLE aside.{store.name}_row")
    assert set(store.planted) == set(COLUMNS) - {"id", "part"}
    store.run(f"DELETE FROM {t} WHERE id = 2")
    store.run(f"INSERT INTO {t} (id, part, y) VALUES (3, 'more', 7)")
    store.run(f"UPDATE {t} SET part = 'A ' WHERE id = 1 AND part = 'A'")
    result = verify(setup, code=1, view="planted")
    assert counts(result) == [2, 2, 0], result
    project.stop()
    run.stop()


def test_documents_by_value(database, make_setup, store):
    """What a store does to a document when it takes or prints it is no difference; what it says is one."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, j JSON) CHARACTER SET utf8mb4",
            r"""INSERT INTO t VALUES (1, '{ "name" : "Gr\\u00fc\\u00dfe" ,"b":[1.50, 2e2,{"y":1,"x":null}],"a":"\\/\\"" }'),
 (2, '[9007199254740993, 18446744073709551615, true]'), (3, '{"aa":1,"b":2,"aa":3}'), (4, 'null'), (5, NULL), (6, '"text "')""")
    setup = make_setup(f"{db}.t", **{f"{store.name}__{k}": v for k, v in store.settings().items()})
    write_view(setup, store, db, "documents", ["id", "j"], ["id"])
    run, project = begin(setup)
    result = verify(setup, code=0, view="documents")
    assert result["rows"] == 6, result
    for number, planted in ((1, '{"name": "Grüße", "b": [1.5, 200, {"y": 1}], "a": "/\\""}'), (2, "[9007199254740992, 18446744073709551615, true]"),
                            (3, '{"aa": 1, "b": 2}'), (4, '"null"'), (5, "null"), (6, '"text"')):
        text = planted.replace("\\", "\\\\") if store.name != "postgresql" else planted
        store.run(f"UPDATE documents_v1.kept SET j = '{text}' WHERE id = {number}")
        result = verify(setup, code=1, view="documents")
        assert counts(result) == [0, 0, number] and result["compare"]["tables"][0]["changed_columns"] == {"j": number}, (planted, result)
    project.stop()
    run.stop()


def test_equal_under_heavy_writing(servers, database, make_setup, store):
    """Every piece is exact at its own GTID, in a snapshot of the store's own."""
    db, connection = database
    many = 60_000
    run_sql(connection, f"CREATE TABLE t (id INT PRIMARY KEY, a BIGINT) SELECT seq AS id, seq AS a FROM seq_1_to_{many}")
    setup = make_setup(f"{db}.t", **{f"{store.name}__{k}": v for k, v in store.settings().items()})
    write_view(setup, store, db, "written", ["id", "a"], ["id"])
    run, project = begin(setup)
    places = set()
    with Writers(servers, db, many, column="a") as writers:
        for _ in range(2):
            result = verify(setup, "--rate", str(many // 3), code=0, view="written")
            assert result["late"] == 0 and counts(result) == [0, 0, 0] and many - writers.commits <= result["rows"] <= many, result
            places |= {result["gtid_set"], result["first_gtid_set"]}
            result.pop("compare")
            print(result)
    assert writers.commits > 100 and len(places) == 4, (writers.commits, places)
    project.stop()
    run.stop()


def test_late_rows_heal(database, make_setup, store):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, a BIGINT) SELECT seq AS id, seq AS a FROM seq_1_to_1000")
    setup = make_setup(f"{db}.t", **{f"{store.name}__{k}": v for k, v in store.settings().items()})
    write_view(setup, store, db, "healing", ["id", "a"], ["id"])
    run, project = begin(setup)
    see_late_rows(setup, lambda: store.run("UPDATE healing_v1.kept SET a = -1 WHERE id = 500"),
                  lambda: run_sql(connection, "UPDATE t SET a = a + 1 WHERE id = 500"), view="healing")
    project.stop()
    run.stop()


def test_a_large_one(database, make_setup, store):
    db, connection = database
    count = 400_000
    run_sql(connection, """CREATE TABLE t (a BIGINT NOT NULL, id INT NOT NULL, name VARCHAR(60) NOT NULL, at DATETIME(6) NOT NULL, fee DECIMAL(10,2),
 PRIMARY KEY (a, id)) CHARACTER SET utf8mb4""", f"""INSERT INTO t SELECT seq DIV 100, seq, CONCAT('member ', seq), '2020-01-01' + INTERVAL seq SECOND,
 seq / 100 FROM seq_1_to_{count}""")
    setup = make_setup(f"{db}.t", **{f"{store.name}__{k}": v for k, v in store.settings().items()})
    write_view(setup, store, db, "large", ["a", "id", "name", "at", "fee"], ("a", "id"))
    run, project = begin(setup)
    result = verify(setup, code=0, view="large")
    print(store.name, result["rows_per_second"], "rows/s, pieces", result["pieces"])
    assert result["rows"] == count and result["pieces"] > 2
    t = "large_v1.kept"
    store.run(f"DELETE FROM {t} WHERE id = 123456")
    store.run(f"UPDATE {t} SET fee = fee + 0.01 WHERE id IN (100, {count})")
    assert counts(verify(setup, code=1, view="large")) == [1, 0, 2]
    project.stop()
    run.stop()
