"""Builds in MariaDB and MySQL by LOAD DATA: what it writes is what the handler's statement would have, and where it isn't the statement is run."""
import contextlib
import random
import time

import pytest

from harness import run_sql, source_position
from test_store_mysql import shop, store      # noqa: F401

ROWS = 1500
COLUMNS = "id INT, n BIGINT UNSIGNED, d DECIMAL(20, 4), f FLOAT, x DOUBLE, t VARCHAR(300), da DATE, dt DATETIME(6), ti TIME(6), e ENUM('a', 'b\tc')"
NAMES = ["id", "n", "d", "f", "x", "t", "da", "dt", "ti", "e"]
FORMS = {"da": "DATE'1970-01-01' + INTERVAL :da DAY", "dt": "TIMESTAMP'1970-01-01 00:00:00' + INTERVAL :dt MICROSECOND", "ti": "SEC_TO_TIME(:ti * 0.000001)"}
TABLES = f"""CREATE TABLE loaded ({COLUMNS}, PRIMARY KEY (id));
CREATE TABLE replaced ({COLUMNS}, PRIMARY KEY (id));
CREATE TABLE rounded (id INT PRIMARY KEY, d DECIMAL(20, 1));
CREATE TABLE hexed (id INT PRIMARY KEY, b VARBINARY(300));
CREATE TABLE raw (id INT PRIMARY KEY, b VARBINARY(20));
"""


def put(table, names, how, forms=FORMS):
    values = ", ".join(forms.get(n, ":" + n) for n in names)
    update = " ON DUPLICATE KEY UPDATE " + ", ".join(f"{n} = VALUES({n})" for n in names[1:]) if how == "INSERT" else ""
    return f"{how} INTO {table} ({', '.join(names)}) VALUES ({values}){update};\n"


def random_row(r, i):
    text = "".join(r.choice("aé\U0001F600 \t\n\\\0'\"Nn,;") for _ in range(r.randrange(12)))
    return [i, r.choice((0, 2**64 - 1, r.randrange(10**6))), f"{r.randrange(-10**9, 10**9)}.{r.randrange(10**4):04}", r.choice((0.5, -1e-30, 16777216.0, 3.4e38)),
            r.choice((0.1, -0.0, 5e-324, 1e300, r.random())), r.choice((text, "\\N", "NULL", "")), r.choice(("1000-01-01", "1969-12-31", "9999-12-31", "2024-02-29")),
            r.choice(("1000-01-01 00:00:00.000001", "1969-12-31 23:59:59.999999", "2038-01-19 03:14:07")),
            r.choice(("-838:59:59", "838:59:59", "-00:00:00.000001", "123:04:05.5")), r.choice(("a", "b\tc")), r.randbytes(r.randrange(20))]


class Loaded:
    def __init__(self, made):
        self.shop, self.setup, self.db, self.connection = made, made.setup, made.db, made.connection
        seed = int(time.time())
        print("seed", seed)
        self.random = random.Random(seed)
        run_sql(self.connection, f"CREATE TABLE {self.db}.w ({COLUMNS}, b VARBINARY(20), PRIMARY KEY (id))")
        with contextlib.closing(made.store.admin()) as c:
            run_sql(c, "SET GLOBAL local_infile = 1")
            if made.store.name == "mariadb":    # MySQL's package has no other language
                run_sql(c, "SET GLOBAL lc_messages = 'de_DE'")      # what it reports of a load is read

    def write(self):
        """Rows, and some of them once more: one load has several of a key."""
        r = self.random
        with self.connection.cursor() as cursor:
            cursor.execute("BEGIN")
            for i in [*range(ROWS), *(r.randrange(ROWS) for _ in range(300))]:
                row = [None if n > 0 and r.random() < 0.1 else v for n, v in enumerate(random_row(r, i))]
                cursor.execute(f"REPLACE INTO {self.db}.w VALUES ({', '.join(['%s'] * len(row))})", row)
            cursor.execute("COMMIT")

    def view(self, tables=TABLES):
        folder = self.setup.folder / "views" / "shop"
        (folder / "on").mkdir(parents=True, exist_ok=True)
        (folder / "view.conf").write_text(f"owner = test\nstore = {self.shop.store.name}\ninputs = {self.setup.name}.{self.db}.w\n")
        (folder / "tables.sql").write_text(tables)
        asked = ", ".join({"f": "CAST(f AS DOUBLE) AS f"}.get(n, n) for n in NAMES)
        (folder / "source.sql").write_text(
            f"-- table: loaded\nSELECT {asked} FROM {self.db}.w\n-- table: replaced\nSELECT {asked} FROM {self.db}.w\n"
            f"-- table: rounded\nSELECT id, ROUND(d, 1) AS d FROM {self.db}.w\n-- table: hexed\nSELECT id, CAST(t AS BINARY) AS b FROM {self.db}.w\n"
            f"-- table: raw\nSELECT id, b FROM {self.db}.w\n")
        on = (put("loaded", NAMES, "INSERT") + put("replaced", NAMES, "REPLACE") + put("rounded", ["id", "d"], "INSERT") +
              put("hexed", ["id", "b"], "INSERT", {"b": "CAST(:t AS BINARY)"}) + put("raw", ["id", "b"], "INSERT"))
        for what in ("insert", "update"):
            (folder / "on" / f"{self.db}.w.{what}.sql").write_text(on)
        for what, where in (("delete", " WHERE id = :id"), ("truncate", "")):
            (folder / "on" / f"{self.db}.w.{what}.sql").write_text("".join(f"DELETE FROM {t}{where};\n" for t in ("loaded", "replaced", "rounded", "hexed", "raw")))

    def counted(self, name):
        with contextlib.closing(self.shop.store.admin()) as c:
            return int(run_sql(c, f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1])

    def check(self):
        exact = "id, n, CAST(d AS CHAR), CAST(f AS DOUBLE), x, HEX(t), CAST(da AS CHAR), CAST(dt AS CHAR), CAST(ti AS CHAR), HEX(e)"
        there = run_sql(self.connection, f"SELECT {exact} FROM {self.db}.w ORDER BY id")
        with contextlib.closing(self.shop.store.admin()) as c:
            for table in ("loaded", "replaced"):
                assert run_sql(c, f"SELECT {exact} FROM shop.{table} ORDER BY id") == there
            assert (run_sql(c, "SELECT id, CAST(d AS CHAR) FROM shop.rounded ORDER BY id") ==
                    run_sql(self.connection, f"SELECT id, CAST(ROUND(d, 1) AS CHAR) FROM {self.db}.w ORDER BY id"))
            assert run_sql(c, "SELECT id, HEX(b) FROM shop.raw ORDER BY id") == run_sql(self.connection, f"SELECT id, HEX(b) FROM {self.db}.w ORDER BY id")
            assert run_sql(c, "SELECT id, HEX(b) FROM shop.hexed ORDER BY id") == run_sql(self.connection, f"SELECT id, HEX(t) FROM {self.db}.w ORDER BY id")
        self.shop.verify()


@pytest.fixture
def loaded(shop):      # noqa: F811
    return Loaded(shop)


def test_what_is_loaded_is_what_would_be_inserted(loaded):
    made = loaded.shop
    loaded.write()
    loaded.view()
    loads, taken_back = loaded.counted("Com_load"), loaded.counted("Com_rollback_to_savepoint")
    made.run = made.setup.daemon("run").start()
    made.setup.wait_delivered(source_position(loaded.connection), made.run)
    made.project = made.setup.daemon("project").start()
    made.wait_live()
    loaded.check()
    # a DECIMAL that is cut is a note of the server: that table's first load is taken back, and it goes on with INSERT
    assert loaded.counted("Com_load") >= loads + 3 and loaded.counted("Com_rollback_to_savepoint") == taken_back + 1
    with contextlib.closing(made.store.admin()) as c:
        run_sql(c, "SET GLOBAL local_infile = 0")
    loads = loaded.counted("Com_load")
    made.replay("--force")
    loaded.check()
    assert loaded.counted("Com_load") == loads
    made.stop()


def test_a_mirror_is_loaded(loaded):
    made = loaded.shop
    loaded.write()
    run_sql(loaded.connection, f"CREATE TABLE {loaded.db}.unbytes AS SELECT {', '.join(NAMES)} FROM {loaded.db}.w", f"ALTER TABLE {loaded.db}.unbytes ADD PRIMARY KEY (id)")
    folder = made.setup.folder / "views" / "shop"
    folder.mkdir(parents=True)
    (folder / "view.conf").write_text(f"owner = test\nkind = mirror\nstore = {made.store.name}\ninputs = {made.setup.name}.{loaded.db}.w, {made.setup.name}.{loaded.db}.unbytes\n")
    loads = loaded.counted("Com_load")
    made.run = made.setup.daemon("run").start()
    made.setup.wait_delivered(source_position(loaded.connection), made.run)
    made.project = made.setup.daemon("project").start()
    made.wait_live()
    made.verify()
    assert loaded.counted("Com_load") > loads      # w has a column of bytes, and is inserted
    made.stop()


def test_what_a_table_refuses(loaded):
    """LOAD DATA would cut the text and say so in a warning: a replay ends with the server's reason, and the live version stays."""
    made = loaded.shop
    loaded.write()
    loaded.view()
    made.run, made.project = made.setup.daemon("run").start(), made.setup.daemon("project").start()
    made.wait_live()
    loaded.check()
    loaded.view(TABLES.replace("t VARCHAR(300)", "t VARCHAR(11)"))
    run_sql(loaded.connection, f"UPDATE {loaded.db}.w SET n = id + 1, t = IF(id = {ROWS // 2}, 'twelve bytes', t)")     # among enough rows for a load
    made.setup.wait_delivered(source_position(loaded.connection), made.run)
    made.verify()      # the live version has it: whoever reads now does, so it is of the build, and not behind it (where it would be parked)
    taken_back = loaded.counted("Com_rollback_to_savepoint")
    out = made.setup.millrace("replay", "shop", timeout=180)
    assert out.returncode != 0 and "too long for column 't'" in out.stderr + out.stdout and f"{loaded.db}.w partition" in out.stderr + out.stdout, out
    assert loaded.counted("Com_rollback_to_savepoint") > taken_back
    loaded.check()
    made.stop()
