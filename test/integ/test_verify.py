"""verify: in pieces and whole, under heavy writing, what it finds and names, giving way, and by the clock."""
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from harness import MILLRACE, ROOT, run_sql, wait_until
from test_projection import COLUMNS, ROWS, TYPES, rows, write_view

sys.path.insert(0, str(ROOT / "test" / "fault"))
import proxy  # noqa: E402

MANY = 150_000


def verify(setup, *words, code=None, view="copy"):
    """The result; code: what it must end with."""
    def asked():
        out = setup.millrace("verify", view, "--json", *words)
        return out if out.returncode != 5 else None        # the source commits all the time, the view is behind
    out = wait_until("a verification", asked, 120, 0.2)
    assert out.returncode == code or (code is None and out.returncode in (0, 1)), out.stdout[-2000:] + out.stderr[-2000:]
    return json.loads(out.stdout) if out.returncode in (0, 1) else out


def counts(result):
    return [result[k] for k in ("missing", "extra", "changed")]


def without_times(result):
    """What the same comparison always says."""
    return {**result["compare"], "tables": [{k: v for k, v in t.items() if k != "late"} for t in result["compare"]["tables"]]}


def change_view(setup, *statements, name="copy"):
    """In the live version's file, beside the worker: what a bug, or a hand, would do."""
    connection = sqlite3.connect(setup.folder / "state" / f"{name}.db", timeout=30)
    with connection:
        for statement in statements:
            cursor = connection.execute(*statement if isinstance(statement, tuple) else (statement,))
            assert cursor.rowcount == 1, statement
    connection.close()


@pytest.fixture
def copied(database, make_setup):
    """A view of a table of two numbers, and its daemons."""
    db, connection = database

    def make(count, columns=("id", "part"), settings=None, **more):
        run_sql(connection, f"CREATE TABLE t (id INT PRIMARY KEY, part INT) SELECT seq AS id, seq % 7 AS part FROM seq_1_to_{count}"
                if count else "CREATE TABLE t (id INT PRIMARY KEY, part INT)")
        setup = make_setup(f"{db}.t", **(settings or {}))
        write_view(setup, db, columns=list(columns), key=("id",), **more)
        made = setup.daemon("run").start(), setup.daemon("project").start()
        wait_until("the public name", lambda: rows(setup) is not None and rows(setup) >= count)
        return setup, db, connection, *made
    return make


class Writers:
    """Commits as fast as the server takes them, over the whole table."""

    def __init__(self, servers, db, count, threads=3, column="part"):
        self.servers, self.db, self.count, self.column, self.stopping, self.commits = servers, db, count, column, False, 0
        self.threads = [threading.Thread(target=self.write, args=(n,), daemon=True) for n in range(threads)]
        self.failure = None

    def write(self, number):
        try:
            connection = self.servers.connect(database=self.db)
            at = number
            while not self.stopping:
                at += 1
                key = at * 7919 % self.count + 1
                run_sql(connection, *((f"UPDATE t SET {self.column} = {self.column} + 1 WHERE id = {key}", f"DELETE FROM t WHERE id = {key}",
                                       f"REPLACE INTO t VALUES ({key}, {at})")[at % 3:][:1]))
                self.commits += 1
                time.sleep(0.002)
            connection.close()
        except Exception as failure:
            self.failure = failure

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        assert self.failure is None, self.failure


def test_equal_under_heavy_writing(servers, copied):
    """Every piece is exact at its own GTID: no row differs, and none has to be looked at twice. With a rate there are many pieces, and
    each has a snapshot of its own; it takes as long as it says."""
    many = 120_000
    setup, db, _, run, project = copied(many)
    places = set()
    with Writers(servers, db, many) as writers:
        for rate in (0, many // 3, many // 3):
            result = verify(setup, *(["--rate", str(rate)] if rate else []), code=0)
            assert result["late"] == 0 and counts(result) == [0, 0, 0], result
            assert many - writers.commits <= result["rows"] <= many and result["pieces"] > 1, result
            if rate:
                assert result["snapshots"] >= 2 and result["seconds"] > 1 and result["gtid_set"] != result["first_gtid_set"], result
            places |= {result["gtid_set"], result["first_gtid_set"]}
    assert writers.commits > 100 and len(places) >= 5, (writers.commits, places)
    out = setup.millrace("verify", "copy", "--rate", "much")
    assert out.returncode == 2 and "--rate" in out.stderr, out.stderr
    project.stop()
    run.stop()


# what stands in the view instead, for each class of type; of the row with id 1 and part 'a'
PLANTED = {"i": -6, "u": "18446744073709551614", "d": 1.51, "f": 0.25, "g": 0.1 + 2e-17, "t": -1_500_001, "at": -2, "ts": 978307200000001, "day": -2,
           "c": "ab", "v": "text ", "x": "Grösse", "b": b"\x00\x01\xff\x01", "n": b"\x01\x00\x00\x00\x00\x02", "y": 2000, "e": "a", "s": "p",
           "bit8": b"\x04", "bit1": 0}


def test_what_is_planted_is_found_and_named(database, make_setup):
    db, connection = database
    run_sql(connection, "SET sql_mode = ''", TYPES.format("t"), *[f"INSERT INTO t VALUES {r}" for r in ROWS])
    setup = make_setup(f"{db}.t")
    write_view(setup, db)
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the public name", lambda: rows(setup) == len(ROWS))
    assert verify(setup, code=0)["rows"] == len(ROWS)
    assert set(PLANTED) == set(COLUMNS) - {"id", "part"}
    kept = setup.folder / "state" / "copy.db"
    connection2 = sqlite3.connect(kept, timeout=30)
    before = dict(zip(COLUMNS, connection2.execute("SELECT * FROM rows WHERE id = 1 AND part = 'a'").fetchone()))
    connection2.close()
    for column, value in PLANTED.items():
        if column == "g":
            value = before["g"] * (1 + 2 ** -52)
        change_view(setup, (f'UPDATE rows SET "{column}" = ? WHERE id = 1 AND part = \'a\'', (value,)))
        result = verify(setup, code=1)
        assert counts(result) == [0, 0, 1] and result["late"] == 0, (column, result)
        (table,) = result["compare"]["tables"]
        assert table["changed_columns"] == {column: 1}, (column, table)
        (sample,) = table["samples"]["changed"]
        assert sample["key"] == {"id": "1", "part": "'a'"} and list(sample["columns"]) == [column], sample
        change_view(setup, (f'UPDATE rows SET "{column}" = NULL WHERE id = 1 AND part = \'a\'', ()))
        assert verify(setup, code=1)["compare"]["tables"][0]["changed_columns"] == {column: 1}, column
        change_view(setup, (f'UPDATE rows SET "{column}" = ? WHERE id = 1 AND part = \'a\'', (before[column],)))
    change_view(setup, "DELETE FROM rows WHERE id = 2", "INSERT INTO rows (id, part, y) VALUES (3, 'more', 7)",
                "UPDATE rows SET part = 'A ' WHERE part = 'A'")
    result = verify(setup, code=1)
    assert counts(result) == [2, 2, 0], result
    samples = result["compare"]["tables"][0]["samples"]
    assert sorted((s["id"], s["part"]) for s in samples["only_left"]) == [("1", "'A '"), ("3", "'more'")]
    assert sorted((s["id"], s["part"]) for s in samples["only_right"]) == [("1", "'A'"), ("2", "''")]
    said = setup.millrace("verify", "copy")
    assert said.returncode == 1 and "2 missing" in said.stdout and "2 extra" in said.stdout, said.stdout
    project.stop()
    run.stop()


def test_pieces_are_the_whole(copied, tmp_path):
    """The same differences, whether the source gives the answer in pieces, in one, or not in order at all."""
    setup, db, _, run, project = copied(MANY)
    change_view(setup, "DELETE FROM rows WHERE id = 1", "DELETE FROM rows WHERE id = 70000", f"DELETE FROM rows WHERE id = {MANY}",
                "INSERT INTO rows VALUES (-5, 0)", f"INSERT INTO rows VALUES ({MANY + 9}, 1)", "UPDATE rows SET part = 99 WHERE id = 50000",
                "UPDATE rows SET part = 99 WHERE id = 50001", "UPDATE rows SET part = NULL WHERE id = 120000")
    found = {}
    for name, question in (("pieces", f"SELECT id, part FROM {db}.t"), ("whole", f"SELECT id, MAX(part) AS part FROM {db}.t GROUP BY id"),
                           ("sorted here", f"SELECT CAST(id AS CHAR) AS id, part FROM {db}.t")):
        file = tmp_path / "question.sql"
        file.write_text(f"-- table: rows\n{question}\n")
        result = verify(setup, "--source", str(file), code=1)
        print(name, result["pieces"], result["rows_per_second"])
        assert counts(result) == [3, 2, 3] and result["rows"] == MANY, (name, result)
        found[name] = without_times(result), result["pieces"]
    assert found["pieces"][0] == found["whole"][0] == found["sorted here"][0]
    assert found["pieces"][1] > 1 and found["whole"][1] == found["sorted here"][1] == 1
    file.write_text(f"-- table: rows\nSELECT id, part FROM {db}.t UNION ALL SELECT id, part FROM {db}.t WHERE id = 70001\n")
    out = setup.millrace("verify", "copy", "--source", str(file))
    assert out.returncode == 3 and "id=70001" in out.stderr, out.stdout + out.stderr
    project.stop()
    run.stop()


def test_keys_of_text_and_of_many_columns(database, make_setup, tmp_path):
    """Each collation has an order of its own; pieces begin in the midst of a key's first column."""
    db, connection = database
    run_sql(connection, """CREATE TABLE t (id INT, part VARCHAR(40) COLLATE utf8mb4_general_ci, n DECIMAL(12,3), PRIMARY KEY (id, part, n))
 CHARACTER SET utf8mb4""", "INSERT INTO t SELECT seq DIV 9000, CONCAT(ELT(1 + seq % 5, 'b', 'A', 'z', 'É', 'a '), seq), seq / 8 FROM seq_1_to_60000",
            "INSERT INTO t VALUES (1, '', 0), (1, ' ', -1.5), (1, 'ß', 0), (1, 'ss', 0), (1, '𝄞', 12.125), (1, '～', 1)")
    setup = make_setup(f"{db}.t")
    columns = ["id", "part", "n"]
    folder = write_view(setup, db, columns=columns, key=columns)
    (folder / "tables.sql").write_text("CREATE TABLE rows (id INTEGER, part TEXT COLLATE NOCASE, n NUMERIC, PRIMARY KEY (id, part, n));\n")
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the public name", lambda: rows(setup) == 60006)
    assert verify(setup, code=0)["rows"] == 60006
    change_view(setup, "DELETE FROM rows WHERE part = '𝄞'", "UPDATE rows SET part = 'SS' WHERE part = 'ss' COLLATE BINARY")
    assert counts(verify(setup, code=1)) == [2, 1, 0]
    project.stop()
    run.stop()


def see_late_rows(setup, plant, write, view="copy"):
    """Twice at least: a row that plant() made wrong is found, and before it is looked at once more write() has made the view right."""
    late = 0
    for i in range(60):
        plant()
        with subprocess.Popen([str(MILLRACE), "verify", "-c", str(setup.conf), view, "--json"], stdout=subprocess.PIPE, text=True, cwd=setup.folder,
                              env={**os.environ, **setup.env}) as process:
            time.sleep(i % 12 * 0.03)
            write()
            said = process.communicate()[0]
            result = json.loads(said)
        assert counts(result) in ([0, 0, 0], [0, 0, 1]) and process.returncode == (result["changed"] > 0), result
        print(i, result["late"], result["changed"], result["seconds"])
        if result["late"]:
            assert counts(result) == [0, 0, 0] and result["compare"]["tables"][0]["late"] == result["late"] == 1, result
            late += 1
        if late == 2:
            break
    assert late == 2


def test_late_rows_heal(copied):
    """The view has not taken in a change yet that the source shows: at a later GTID it has."""
    setup, db, connection, run, project = copied(1000)
    see_late_rows(setup, lambda: change_view(setup, "UPDATE rows SET part = -1 WHERE id = 500"),
                  lambda: run_sql(connection, f"UPDATE {db}.t SET part = part + 1 WHERE id = 500"))
    project.stop()
    run.stop()


def test_nobody_waits_for_it(servers, copied, tmp_path):
    """A question that takes long is ended when somebody wants to alter a table, and asked again."""
    setup, db, connection, run, project = copied(6000)
    file = tmp_path / "question.sql"
    file.write_text(f"-- table: rows\nSELECT id, part FROM {db}.t WHERE SLEEP(0.001) = 0 GROUP BY id\n")
    with subprocess.Popen([str(MILLRACE), "verify", "-c", str(setup.conf), "copy", "--json", "--source", str(file)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, cwd=setup.folder, env={**os.environ, **setup.env}) as process:
        took = []
        for i in range(2):
            wait_until("its read", lambda: [r for r in run_sql(connection, "SHOW FULL PROCESSLIST") if "SLEEP" in (r[7] or "")])
            time.sleep(0.7)
            begin = time.monotonic()
            run_sql(connection, f"ALTER TABLE {db}.t COMMENT 'altered {i}'")
            took.append(time.monotonic() - begin)
        out, error = process.communicate(timeout=120)
    print("ALTER took", took)
    assert max(took) < 1.5, took
    assert process.returncode == 0, out + error
    assert json.loads(out)["rows"] == 6000 and json.loads(out)["gave_way"] == 2, out
    project.stop()
    run.stop()


def metrics(project_url):
    text = urllib.request.urlopen(f"http://{project_url}/metrics", timeout=10).read().decode()
    return {line.split(" ")[0]: float(line.split(" ")[1]) for line in text.splitlines() if line and not line.startswith("#")}


def test_by_the_clock(copied):
    setup, _, _, run, project = copied(20_000, settings={"project.verify_every": "1h", "project.verify_rate": "40000"})
    conf = setup.folder / "views" / "copy" / "view.conf"
    url = setup.http["project"]

    def value(name):
        return metrics(url).get(f'millrace_view_{name}{{view="copy"}}')

    def verified():
        views = [p for p in json.loads(setup.millrace("lag", "--json").stdout)["processes"] if p["kind"] == "view"]
        return views[0].get("verified")

    first = wait_until("the first one", verified)
    assert first["rows"] == 20_000 and first["differences"] == 0 and first["gtid_set"], first
    assert value("verified_rows") == 20_000 and value("verified_differences") == 0
    assert abs(value("verified_timestamp_seconds") - time.time()) < 60
    conf.write_text(conf.read_text() + "verify_every = 1s\n")
    change_view(setup, "DELETE FROM rows WHERE id = 9", "UPDATE rows SET part = 8 WHERE id = 10")
    wait_until("the difference", lambda: value("verified_differences") == 2)
    wait_until("in lag", lambda: verified()["differences"] == 2)
    assert "differs from the source" in project.log() and "2 of 20000 rows (1 missing, 0 extra, 1 changed)" in project.log(), project.log_tail()
    out = setup.millrace("lag")
    assert "2 differences" in out.stdout, out.stdout
    change_view(setup, "INSERT INTO rows VALUES (9, 2)", "UPDATE rows SET part = 3 WHERE id = 10")
    wait_until("the end of it", lambda: value("verified_differences") == 0)
    begin, at = time.monotonic(), value("verified_timestamp_seconds")
    wait_until("another", lambda: value("verified_timestamp_seconds") > at)
    assert time.monotonic() - begin > 0.3         # the rate: half a second for 20,000 rows
    run.stop()
    project.stop()


def test_a_failing_one_harms_nobody(copied):
    setup, db, connection, run, project = copied(100, settings={"project.verify_every": "500ms"}, source="SELECT id, part FROM nowhere.t")
    url = setup.http["project"]
    wait_until("failures", lambda: metrics(url).get('millrace_view_verify_failures_total{view="copy"}', 0) >= 2)
    assert project.log().count("nowhere") == 1, project.log_tail()        # said once
    run_sql(connection, f"INSERT INTO {db}.t VALUES (101, 1)")
    wait_until("the row", lambda: rows(setup) == 101)
    begin = time.monotonic()
    project.stop()
    assert time.monotonic() - begin < 15
    run.stop()


def test_by_the_clock_while_the_source_is_away(servers, copied):
    """Views go on, verification fails and says why once; when the source is back it goes on by itself."""
    source = proxy.Proxy("127.0.0.1", servers.env["DATABASE_PORT"])
    setup, _, connection, run, project = copied(100, settings={"project.verify_every": "500ms", "source.port": str(source.port)})
    url = setup.http["project"]

    def value(name):
        return metrics(url).get(f'millrace_view_{name}{{view="copy"}}', 0)

    wait_until("the first one", lambda: value("verified_timestamp_seconds") > 0)
    source.refuse()
    source.cut(reset=True)
    before = value("verify_failures_total")
    wait_until("failures", lambda: value("verify_failures_total") >= before + 2)
    complaints = [line.partition(" msg=")[2] for line in project.log().splitlines() if "level=warn" in line and "area=verify" in line]
    assert complaints and len(complaints) == len(set(complaints)) < 5, complaints      # each reason once: lost, and then refused
    assert all(str(source.port) in c for c in complaints), complaints
    assert rows(setup) == 100 and json.loads(setup.millrace("lag", "--json").stdout)["processes"], setup.millrace("lag").stdout
    source.accept()
    back = time.time()
    run_sql(connection, "INSERT INTO t VALUES (101, 1)")
    wait_until("one with the new row", lambda: value("verified_timestamp_seconds") > back and value("verified_rows") == 101, 60)
    assert value("verified_differences") == 0
    project.stop()
    run.stop()
    source.close()
