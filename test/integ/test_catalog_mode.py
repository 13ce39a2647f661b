"""Servers whose binlog does not name columns: MySQL 5.6 and 5.7, MariaDB 10.1 and 10.2, and newer ones that are not set to.

The judge is what was written, told by name: a row that is read with the names, signs, labels or character sets of another moment
shows at once. A row comes between any two statements, so that each shape is needed.
"""
import os
import tempfile
from pathlib import Path

import pytest

from harness import ROOT, Servers, Setup, run_sql, source_position, wait_until

NAMES = {line.split()[0]: line.split()[1] for line in (ROOT / "scripts" / "databases.txt").read_text().splitlines()
         if line and line[0] != "#"}
SERVERS = [("mysql:5.7",), ("mysql:5.6",), ("mariadb:10.1",), ("mariadb:10.2",),
           ("mysql:8.0", "--mysql-option=--binlog-row-metadata=MINIMAL"),
           ("mariadb:10.11", "--mariadb-option=--binlog-row-metadata=NO_LOG")]


def there(name):
    """Those of make test must be; of the others, those that were fetched."""
    return NAMES[name] == "test" or name == "mariadb:10.11" or (ROOT / "build" / "servers" / name.replace(":", "-")).exists()


@pytest.fixture(scope="module", params=[s for s in SERVERS if there(s[0])], ids=lambda s: s[0])
def server(request):
    with tempfile.TemporaryDirectory(prefix="millrace-names-") as folder:
        os.chmod(folder, 0o755)
        made = Servers(Path(folder) / "servers", *request.param[1:], database=request.param[0])
        try:
            yield made
        finally:
            made.stop()


class Site:
    """A database of its own on that server, captured whole or in part."""

    def __init__(self, server, folder, name):
        self.server, self.folder, self.name, self.setups = server, folder, name, []
        self.connection = server.connect()
        run_sql(self.connection, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} CHARACTER SET utf8mb4", f"USE {name}")

    def sql(self, *statements):
        return run_sql(self.connection, *statements)

    def setup(self, tables="t", **settings):
        made = Setup(self.server, self.folder / f"m{len(self.setups)}", f"{self.name}x{len(self.setups)}x{os.getpid()}",
                     ", ".join(f"{self.name}.{t}" for t in tables.split()), **{"kafka__partitions": 1, **settings})
        self.setups.append(made)
        return made

    def wait(self, setup, run):
        setup.wait_delivered(source_position(self.connection), run)

    def rows(self, setup, table="t"):
        """(op, after, or before where it was deleted), in order."""
        records = [value for *_, value in setup.reader.records(setup.topic(f"{self.name}.{table}"))]
        assert [r["source"]["seq"] for r in records] == sorted(r["source"]["seq"] for r in records)
        return [(r["op"], r["after"] or r["before"]) for r in records]

    def inserted(self, setup, table="t"):
        return [row for op, row in self.rows(setup, table) if op in "rc"]


@pytest.fixture
def site(server, tmp_path, request):
    made = Site(server, tmp_path, f"n{abs(hash(request.node.name)) % 99999}")
    yield made
    for setup in made.setups:
        setup.kill_all()
        if request.node.stash.get("failed", False):
            for daemon in setup.started:
                print(f"--- {daemon.log_path}\n{daemon.log_tail()}")
    made.connection.close()


# What is done to table t, a row inserted then, and what the row is by name.
FIRST = ("CREATE TABLE t (id INT UNSIGNED PRIMARY KEY, a INT UNSIGNED NOT NULL, b INT UNSIGNED NOT NULL, n BIGINT UNSIGNED,"
         " e ENUM('x', 'y', 'zwölf'), s SET('p', 'q', 'r'), v VARCHAR(20) CHARACTER SET latin1, w VARCHAR(20) CHARACTER SET utf8mb4)",
         "(1, 7, 4294967295, 18446744073709551615, 'zwölf', 'p,r', 'Zoë ß', 'Zoë ß')",
         {"id": 1, "a": 7, "b": 4294967295, "n": 18446744073709551615, "e": "zwölf", "s": ["p", "r"], "v": "Zoë ß", "w": "Zoë ß"})
STEPS = [
    ("ALTER TABLE t ADD COLUMN x INT", "(2, 1, 2, 3, 'x', 'q', 'v', 'w', -5)",
     {"id": 2, "a": 1, "b": 2, "n": 3, "e": "x", "s": ["q"], "v": "v", "w": "w", "x": -5}),
    ("ALTER TABLE t DROP COLUMN n, DROP COLUMN x", "(3, 11, 12, 'y', 'p', 'ß', 'ß')",
     {"id": 3, "a": 11, "b": 12, "e": "y", "s": ["p"], "v": "ß", "w": "ß"}),
    ("ALTER TABLE t CHANGE a b INT UNSIGNED NOT NULL, CHANGE b a INT UNSIGNED NOT NULL", "(4, 21, 22, 'x', '', 'v', 'w')",
     {"id": 4, "b": 21, "a": 22, "e": "x", "s": [], "v": "v", "w": "w"}),
    ("ALTER TABLE t MODIFY b INT NOT NULL", "(5, -1, 4294967294, 'x', '', 'v', 'w')",
     {"id": 5, "b": -1, "a": 4294967294, "e": "x", "s": [], "v": "v", "w": "w"}),
    ("ALTER TABLE t MODIFY e ENUM('eins', 'zwei', 'drei', 'x', 'y', 'zwölf'), MODIFY s SET('r', 'q', 'p')",
     "(6, 1, 2, 'eins', 'r,p', 'v', 'w')", {"id": 6, "b": 1, "a": 2, "e": "eins", "s": ["r", "p"], "v": "v", "w": "w"}),
    ("ALTER TABLE t MODIFY v VARCHAR(20) CHARACTER SET latin5", "(7, 1, 2, 'x', '', 'ığş', 'ığş')",
     {"id": 7, "b": 1, "a": 2, "e": "x", "s": [], "v": "ığş", "w": "ığş"}),
    ("ALTER TABLE t ADD INDEX (a)", "(8, 1, 2, 'y', '', 'v', 'w')",
     {"id": 8, "b": 1, "a": 2, "e": "y", "s": [], "v": "v", "w": "w"}),
]


def plain(row):
    return {k: (int(v) if not isinstance(v, (list, str)) and v is not None else v) for k, v in row.items()}


def test_each_change_has_its_shape(site):
    """Copied, then streamed as the statements come, each with the shape of its place."""
    site.sql(FIRST[0], f"INSERT INTO t VALUES {FIRST[1]}")
    setup = site.setup()
    run = setup.daemon("run").start()
    site.wait(setup, run)
    want = [FIRST[2]]
    for statement, row, image in STEPS:
        site.sql(statement)
        site.wait(setup, run)
        site.sql(f"INSERT INTO t VALUES {row}")
        site.wait(setup, run)
        want.append(image)
    assert [plain(r) for r in site.inserted(setup)] == want
    assert "catalog mode" in run.log()
    run.stop()


def started(site, setup):
    """Running, with the table copied."""
    run = setup.daemon("run").start()
    site.wait(setup, run)
    return run


def test_what_was_altered_while_capture_stood_still(site):
    """Rows of before and after lie ahead, and look alike in the binlog: the position knows the one shape, the source the other."""
    site.sql("CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT UNSIGNED, e ENUM('x', 'y'))", "INSERT INTO t VALUES (1, 1, 1, 'x')")
    setup = site.setup()
    started(site, setup).stop()
    site.sql("INSERT INTO t VALUES (2, -2, 20, 'y')",
             "ALTER TABLE t CHANGE a b INT, CHANGE b a INT UNSIGNED, MODIFY e ENUM('y', 'x')",
             "INSERT INTO t VALUES (3, -3, 4000000000, 'y')")
    run = setup.daemon("run").start()
    site.wait(setup, run)
    run.kill()
    site.sql("INSERT INTO t VALUES (4, -4, 40, 'x')", "ALTER TABLE t ADD COLUMN z INT", "DROP TABLE t",
             "CREATE TABLE t (id INT PRIMARY KEY, b INT, a INT UNSIGNED, e ENUM('z', 'y'))", "INSERT INTO t VALUES (5, -5, 50, 'z')")
    run = started(site, setup)
    assert site.inserted(setup) == [
        {"id": 1, "a": 1, "b": 1, "e": "x"}, {"id": 2, "a": -2, "b": 20, "e": "y"}, {"id": 3, "b": -3, "a": 4000000000, "e": "y"},
        {"id": 4, "b": -4, "a": 40, "e": "x"}, {"id": 5, "b": -5, "a": 50, "e": "z"}]
    run.stop()


def test_tables_change_places(site):
    """As online schema changes do it: another table is made, filled, and takes the name."""
    site.sql("CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)", "INSERT INTO t VALUES (1, 10, 100)")
    setup = site.setup()
    run = started(site, setup)
    site.sql("CREATE TABLE t_new (id INT PRIMARY KEY, b INT, a INT)", "INSERT INTO t_new SELECT id, b, a FROM t",
             "INSERT INTO t VALUES (2, 20, 200)", "INSERT INTO t_new VALUES (2, 200, 20)",
             "RENAME TABLE t TO t_old, t_new TO t", "INSERT INTO t VALUES (3, 300, 30)")
    site.wait(setup, run)
    run.stop()
    site.sql("INSERT INTO t VALUES (4, 400, 40)", "RENAME TABLE t TO t_new, t_old TO t", "INSERT INTO t VALUES (5, 50, 500)")
    run = started(site, setup)
    rows = {r["id"]: (r["a"], r["b"]) for r in site.inserted(setup)}
    assert rows == {i: (i * 10, i * 100) for i in (1, 2, 3, 4, 5)}
    run.stop()


def test_what_nobody_has_seen(site):
    """Between two statements that came while capture stood still there are rows: it stops and says so, or compares, as it is set."""
    site.sql("CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)", "INSERT INTO t VALUES (1, 1, 1)")
    setup = site.setup()
    started(site, setup).stop()
    site.sql("INSERT INTO t VALUES (2, 2, 2)", "ALTER TABLE t CHANGE a c INT", "INSERT INTO t VALUES (3, 3, 3)",
             "ALTER TABLE t CHANGE c d INT", "INSERT INTO t VALUES (4, 4, 4)")
    out = setup.millrace("run")
    assert out.returncode == 4, out.stderr
    assert f"{site.name}.t: what its columns were here is not known" in out.stderr and "unknown_columns = reconcile" in out.stderr
    assert [r["id"] for r in site.inserted(setup)] in ([1], [1, 2])
    setup.settings["capture.unknown_columns"] = "reconcile"
    setup.write()
    run = setup.daemon("run").start()
    wait_until("the comparison", lambda: "is reconciled" in run.log(), 120)
    site.wait(setup, run)
    rows = {}
    for op, row in site.rows(setup):
        if op != "d":
            rows[row["id"]] = row
    assert sorted(rows) == [1, 2, 3, 4] and rows[3] == {"id": 3, "d": 3, "b": 3} and rows[4] == {"id": 4, "d": 4, "b": 4}
    run.stop()


def test_xa(site):
    """Prepared, then the capture is restarted; committed behind a statement on another table."""
    site.sql("CREATE TABLE t (id INT PRIMARY KEY, a INT UNSIGNED)", "CREATE TABLE u (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1, 1)")
    setup = site.setup("t u")
    run = started(site, setup)
    xa = site.server.connect(database=site.name)
    run_sql(xa, "XA START 'x'", "INSERT INTO t VALUES (2, 4000000000)", "XA END 'x'", "XA PREPARE 'x'")
    site.sql("ALTER TABLE u ADD COLUMN v INT", "INSERT INTO u VALUES (1, 1)")
    site.wait(setup, run)
    run.stop()
    site.sql("ALTER TABLE u ADD COLUMN w INT", "INSERT INTO u VALUES (2, 2, 2)")
    run_sql(xa, "XA COMMIT 'x'")
    run = started(site, setup)
    assert site.inserted(setup) == [{"id": 1, "a": 1}, {"id": 2, "a": 4000000000}]
    assert site.inserted(setup, "u") == [{"id": 1, "v": 1}, {"id": 2, "v": 2, "w": 2}]
    run.stop()


def test_check_says_what_is_weaker(site):
    site.sql("CREATE TABLE t (id INT PRIMARY KEY)")
    setup = site.setup()
    out = setup.millrace("check")
    assert "catalog mode" in out.stdout + out.stderr, out.stdout + out.stderr
