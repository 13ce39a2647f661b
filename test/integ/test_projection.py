"""Views of a row topic: nothing goes live early, verify tells apart what differs, mistakes are named."""
import json
import sqlite3
import threading
import time
import urllib.error
import urllib.request

import pytest

from harness import run_sql, source_position, wait_until

TYPES = """CREATE TABLE {} (id INT NOT NULL, part VARCHAR(20) NOT NULL, i BIGINT, u BIGINT UNSIGNED, d DECIMAL(10,2),
 f FLOAT, g DOUBLE, t TIME(3), at DATETIME(6), ts TIMESTAMP(6) NULL, day DATE, c CHAR(10), v VARCHAR(40), x TEXT, b VARBINARY(20),
 n BINARY(6), y YEAR, e ENUM('a','B'), s SET('p','q','r'), bit8 BIT(8), bit1 BIT(1),
 PRIMARY KEY (id, part)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"""
COLUMNS = "id part i u d f g t at ts day c v x b n y e s bit8 bit1".split()
SQLITE = {"i": "INTEGER", "u": "TEXT", "d": "NUMERIC", "f": "REAL", "g": "REAL", "part": "TEXT", "c": "TEXT", "v": "TEXT", "x": "TEXT",
          "b": "BLOB", "n": "BLOB", "e": "TEXT", "s": "TEXT", "bit8": "BLOB"}
ROWS = ["(1, 'a', -5, 18446744073709551615, 1.50, 0.1, 0.1, '-00:00:01.500', '1969-12-31 23:59:59.999999', '2001-01-01', '1969-12-31',"
        " 'Ab ', 'text  ', 'Größe', x'0001ff00', x'01', 1999, 'B', 'p,r', b'101', b'1')",
        "(1, 'A', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        "(2, '', 0, 0, -0.05, 16777216, -1e300, '-838:59:59', '1000-01-01', NULL, '9999-12-31', '', '', '', '', '', 0, 'a', '', 0, b'0')",
        "(-7, 'é', 9223372036854775807, 1, 99999999.99, 3.14159, 1e-300, '838:59:59', '2024-02-29 12:00:00', '2038-01-01', NULL,"
        " 'AB', 'TEXT', 'x ', x'00', x'000000', 2155, NULL, 'q', 255, NULL)"]


def write_view(setup, db, name="copy", table="t", columns=COLUMNS, key=("id", "part"), source=None):
    folder = setup.folder / "views" / name
    (folder / "on").mkdir(parents=True, exist_ok=True)
    names = [f"value_{c}" if c in ("at", "seq", "gtid") else c for c in columns]
    topic = f"{setup.name}.{db}.{table}"
    (folder / "view.conf").write_text(f"owner = tests\ninputs = {topic}\n")
    declared = ", ".join(f'"{c}" {SQLITE.get(c, "INTEGER")}' for c in columns)
    (folder / "tables.sql").write_text(f"CREATE TABLE rows ({declared}, PRIMARY KEY ({', '.join(key)})) WITHOUT ROWID;\n")
    put = f"INSERT INTO rows VALUES ({', '.join(':' + n for n in names)});\n"
    drop = f"DELETE FROM rows WHERE {' AND '.join(f'{k} = :before_{k}' for k in key)};\n"
    (folder / "on" / f"{db}.{table}.insert.sql").write_text(put)
    (folder / "on" / f"{db}.{table}.update.sql").write_text(drop + put)
    (folder / "on" / f"{db}.{table}.delete.sql").write_text(drop.replace("before_", ""))
    (folder / "source.sql").write_text("-- table: rows\n" + (source or f"SELECT {', '.join(columns)} FROM {db}.{table}") + "\n")
    return folder


def rows(setup, name="copy"):
    path = setup.folder / "state" / f"{name}.db"
    if not path.exists():
        return None
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    try:
        return connection.execute("SELECT COUNT(*) FROM rows").fetchone()[0]
    finally:
        connection.close()


def ask(setup, tmp_path, text):
    file = tmp_path / "question.sql"
    file.write_text("-- table: rows\n" + text + "\n")
    return setup.millrace("verify", "copy", "--source", str(file), "--json")


def test_a_first_build_goes_live_whole(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)",
            "INSERT INTO t SELECT seq, seq % 7 FROM seq_1_to_200000")
    setup = make_setup(f"{db}.t")
    write_view(setup, db, columns=["id", "part"], key=("id",))
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    project = setup.daemon("project").start()
    first = wait_until("the public name", lambda: rows(setup), every=0.01) if rows(setup) is None else 0
    assert first == 200000
    out = setup.millrace("replay", "copy", "--force")
    assert out.returncode == 0, out.stdout + out.stderr
    print(f"peak RSS with two versions {project.peak_rss_mb():.0f} MB")
    assert project.peak_rss_mb() < 128
    project.stop()
    run.stop()


def test_verify_tells_values_apart(database, make_setup, tmp_path):
    db, connection = database
    run_sql(connection, "SET sql_mode = ''", TYPES.format("t"))
    setup = make_setup(f"{db}.t", source__start="now")
    # the server prints a FLOAT with six digits only
    write_view(setup, db, source=f"SELECT {', '.join(COLUMNS)} FROM {db}.t".replace(" f,", " CAST(f AS DOUBLE) AS f,"))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the stream", lambda: "streaming" in run.log())
    run_sql(connection, *[f"INSERT INTO t VALUES {r}" for r in ROWS])
    wait_until("the public name", lambda: rows(setup) is not None)
    out = setup.millrace("verify", "copy", "--json")
    assert out.returncode == 0, out.stdout + out.stderr
    assert json.loads(out.stdout)["compare"]["rows"] == len(ROWS)
    everything = ", ".join(COLUMNS).replace(" f,", " CAST(f AS DOUBLE) AS f,")

    def instead(**values):
        asked = {"f": "CAST(f AS DOUBLE)", **values}
        return f"SELECT {', '.join(f'{asked.get(c, c)} AS {c}' for c in COLUMNS)} FROM {db}.t"

    for column, wrong in (("c", "LOWER(c)"), ("v", "RTRIM(v)"), ("b", "IFNULL(b, '')"), ("d", "d + 0.01"), ("t", "ABS(t)"), ("i", "IFNULL(i, 0)"),
                          ("g", "g * 1.0000000000000002e0"), ("u", "IF(u > 10, u - 1, u)"), ("part", "LOWER(part)")):
        out = ask(setup, tmp_path, instead(**{column: wrong}))
        expected = 3 if column == "part" else 1
        assert out.returncode == expected, (column, out.stdout, out.stderr)
    out = ask(setup, tmp_path, f"SELECT {', '.join(reversed(everything.split(', ')))} FROM {db}.t")
    assert out.returncode == 0, out.stdout + out.stderr
    out = ask(setup, tmp_path, f"SELECT {everything.replace('bit8', 'bit8 AS byte8')} FROM {db}.t")
    assert out.returncode == 3 and "bit8" in out.stderr and "byte8" in out.stderr, out.stdout + out.stderr
    out = ask(setup, tmp_path, f"SELECT {everything} FROM {db}.t UNION ALL SELECT {everything} FROM {db}.t WHERE id = -7")
    assert out.returncode == 3 and "id=-7" in out.stderr and "part='é'" in out.stderr, out.stdout + out.stderr
    out = ask(setup, tmp_path, f"SELECT {everything} FROM {db}.t WHERE id <> 1")
    assert out.returncode == 1 and json.loads(out.stdout)["compare"]["tables"][0]["only_left"] == 2, out.stdout
    run_sql(connection, "DELETE FROM t")
    out = setup.millrace("verify", "copy", "--json")
    assert out.returncode == 0 and json.loads(out.stdout)["compare"]["rows"] == 0, out.stdout + out.stderr
    project.stop()
    run.stop()


def test_verify_beside_tables_that_are_not_captured(database, make_setup):
    """The snapshot's GTID is often one that no commit record names."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "CREATE TABLE other (id INT PRIMARY KEY)", "INSERT INTO t VALUES (0, 0)",
            "CREATE PROCEDURE work() BEGIN DECLARE i INT DEFAULT 1; WHILE i <= 12000 DO INSERT INTO other VALUES (i); INSERT INTO t VALUES (i, i); "
            "SET i = i + 1; END WHILE; END")
    setup = make_setup(f"{db}.t")
    write_view(setup, db, columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the public name", lambda: rows(setup))
    worker = threading.Thread(target=lambda: run_sql(connection, "CALL work()"))
    worker.start()
    verified = 0
    while worker.is_alive():
        out = setup.millrace("verify", "copy")
        assert out.returncode in (0, 5), out.stdout + out.stderr
        verified += out.returncode == 0
    worker.join()
    assert verified > 0
    project.stop()
    run.stop()


def test_an_unknown_parameter_of_a_row_handler_is_found(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t VALUES (1, 1)")
    setup = make_setup(f"{db}.t")
    folder = write_view(setup, db, columns=["id", "part"], key=("id",))
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    out = setup.millrace("check")
    assert out.returncode == 0, out.stdout + out.stderr
    (folder / "on" / f"{db}.t.insert.sql").write_text("\nINSERT INTO rows VALUES (:id, :prat);\n")
    out = setup.millrace("check")
    said = out.stdout + out.stderr
    assert out.returncode == 3 and "t.insert.sql:2" in said and ":prat" in said and "Did you mean :part" in said, said
    run.stop()


def test_lag_after_a_swap_shows_the_new_version(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t VALUES (1, 1)")
    setup = make_setup(f"{db}.t")
    write_view(setup, db, columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the public name", lambda: rows(setup))

    def version():
        (view,) = [p for p in json.loads(setup.millrace("lag", "--json").stdout)["processes"] if p["kind"] == "view"]
        return [v["version"] for v in view["versions"] if v["state"] == "live"]

    for words, expected in ((["--force"], 2), (["--rollback"], 1), (["--rollback"], 2), (["--force"], 3)):
        out = setup.millrace("replay", "copy", *words)
        assert out.returncode == 0, out.stdout + out.stderr
        assert version() == [expected]
    project.stop()
    run.stop()


def test_the_live_file_is_deleted(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t SELECT seq, 1 FROM seq_1_to_50000")
    setup = make_setup(f"{db}.t")
    write_view(setup, db, columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the public name", lambda: rows(setup))
    project.kill()
    for file in (setup.folder / "state" / "views" / "copy").glob("v1.db*"):
        file.unlink()
    project.start()
    seen = wait_until("the public name", lambda: rows(setup), every=0.01)
    assert seen == 50000
    project.stop()
    run.stop()


def post(setup, what):
    address = setup.http["project"]
    request = urllib.request.Request(f"http://{address}/api/views/copy/{what}", method="POST", headers={"X-Millrace": "1"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_a_forgotten_hold_expires(database, make_setup):
    """As when `millrace verify` is killed while it holds the view."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t VALUES (1, 1)")
    setup = make_setup(f"{db}.t")
    write_view(setup, db, columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the public name", lambda: rows(setup))
    wait_until("the end of the build", lambda: "build of version 1: done" in project.log())
    gtid = post(setup, "hold")["gtid_set"]
    run_sql(connection, "INSERT INTO t VALUES (2, 2)")
    setup.wait_delivered(source_position(connection), run)
    begin = time.monotonic()
    post(setup, "advance?gtid=" + gtid)
    assert rows(setup) == 1
    wait_until("the end of the hold", lambda: rows(setup) == 2, timeout=40)
    assert 10 < time.monotonic() - begin < 30
    out = setup.millrace("verify", "copy")
    assert out.returncode == 0, out.stdout + out.stderr
    project.stop()
    run.stop()


def test_a_daemon_before_its_capture_waits(database, make_setup):
    """Neither schemas nor input topics are there: it waits for them and says so, and goes on when capture has made them."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT NOT NULL, part VARCHAR(20) NOT NULL, PRIMARY KEY (id, part))",
            "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    setup = make_setup(f"{db}.t", kafka__schemas_topic=f"_schemas_of_{db}")
    setup.reader.schemas_topic = f"_schemas_of_{db}"
    write_view(setup, db, columns=["id", "part"])
    project = setup.daemon("project").start()

    def waits():
        assert project.alive(), project.log_tail()
        return "has not begun" in project.log() and "millrace run" in project.log()

    wait_until("it to wait", waits)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://{setup.http['project']}/readyz", timeout=5)
    shown = refused.value.read().decode()
    assert refused.value.code == 503 and "is retrying" in shown and "has not begun" in shown, shown
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    wait_until("the view", lambda: rows(setup) == 2)
    project.stop()
    run.stop()
