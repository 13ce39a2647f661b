"""Views of kind mirror and query over a real source: what they hold equals the source, through changes of rows and of tables."""
import contextlib
import os
import random
import sqlite3
import threading
import time

import pytest

from harness import run_sql, source_position, wait_until
from test_views import live

TABLES = (
    """CREATE TABLE people (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL, balance DECIMAL(12,2), ticket BIGINT UNSIGNED, born DATE,
       seen DATETIME(6), shift TIME, score DOUBLE, ratio FLOAT, kind ENUM('a','b'), tags SET('x','y'), photo VARBINARY(20), note TEXT, flag BIT(1))""",
    "CREATE TABLE membership (grp INT, person INT, since BIGINT, state VARCHAR(10), PRIMARY KEY (grp, person), KEY (person))",
    "CREATE TABLE grp (id INT PRIMARY KEY, name VARCHAR(40))",
)


def view(setup, name, **files):
    folder = setup.folder / "views" / name
    for path, text in files.items():
        file = folder / path.replace("__", "/")
        file = file.with_name(file.name.replace("_sql", ".sql").replace("_conf", ".conf"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def inputs(setup, db, *tables):
    return ", ".join(f"{setup.name}.{db}.{t}" for t in tables)


def seed(connection, number, people=60, groups=8):
    r = random.Random(number)
    for i in range(people):
        run_sql(connection, f"INSERT INTO people VALUES ({i}, 'n{i}', {r.randrange(10**6)}.{r.randrange(100):02}, {2**64 - 1 - i}, '1999-12-{1 + i % 31:02}', "
                            f"'2024-02-29 12:00:00.{i:06}', '-{i % 800}:00:01', {r.random()}, {r.random()}, 'a', 'x,y', x'00ff{i:02x}', NULL, {i % 2})")
    for g in range(groups):
        run_sql(connection, f"INSERT INTO grp VALUES ({g}, 'group {g}')")
    for _ in range(people * 3):
        run_sql(connection, f"INSERT IGNORE INTO membership VALUES ({r.randrange(groups)}, {r.randrange(people)}, 1, '{r.choice(['on', 'off'])}')")


def change(connection, r, people=60, groups=8):
    """One random transaction."""
    run_sql(connection, "BEGIN")
    for _ in range(1 + r.randrange(5)):
        what, g, p = r.randrange(9), r.randrange(groups), r.randrange(people)
        run_sql(connection, (
            f"REPLACE INTO membership VALUES ({g}, {p}, {r.randrange(100)}, '{r.choice(['on', 'off'])}')",
            f"DELETE FROM membership WHERE grp = {g} AND person = {p}",
            f"UPDATE membership SET state = IF(state = 'on', 'off', 'on') WHERE person = {p}",
            f"UPDATE IGNORE membership SET grp = {r.randrange(groups)} WHERE grp = {g} AND person = {p}",
            f"UPDATE people SET name = 'm{r.randrange(1000)}', balance = balance + 0.01 WHERE id = {p}",
            f"UPDATE grp SET name = 'renamed {r.randrange(1000)}' WHERE id = {g}",
            f"DELETE FROM grp WHERE id = {g}",
            f"INSERT IGNORE INTO grp (id, name) VALUES ({g}, 'again')",
            f"UPDATE people SET seen = NOW(6), shift = '{r.randrange(800)}:59:59' WHERE id = {p}",
        )[what])
    run_sql(connection, "ROLLBACK" if r.randrange(10) == 0 else "COMMIT")


def public(setup, name, query):
    connection = sqlite3.connect(f"file:{setup.folder}/state/{name}.db?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def verified(setup, name, healing=False):
    """Verifies until the two sides were compared; the answer must be: equal. healing: an ALTER TABLE that changes values is healed by a
    reconciling copy, which comes behind it."""
    outs = []

    def compared():
        outs.append(setup.millrace("verify", name))
        return outs[-1].returncode == 0 or (outs[-1].returncode == 1 and not healing)

    with contextlib.suppress(AssertionError):
        wait_until(f"verify {name}", compared, every=1, timeout=120)
    assert outs[-1].returncode == 0, outs[-1].stdout + outs[-1].stderr
    return outs[-1].stdout


def write_views(setup, db, store="sqlite"):
    """A mirror and a query view over three tables."""
    head = f"owner = us\nstore = {store}\ninputs = {inputs(setup, db, 'people', 'membership', 'grp')}\n"
    view(setup, "copy", view_conf=f"{head}kind = mirror\n")
    view(setup, "groups", view_conf=f"{head}kind = query\nkey.sizes = id\nkey.members = grp, person\n",
         query_sql=f"-- table: sizes\nSELECT g.id, g.name, COUNT(m.person) AS members, MIN(m.since) AS first, SUM(m.since) AS total\n"
                   f"FROM {db}.grp g LEFT JOIN {db}.membership m ON m.grp = g.id AND m.state = 'on'\nGROUP BY g.id, g.name;\n\n"
                   "-- table: members\nSELECT m.grp, m.person, g.name AS group_name, p.name\n"
                   "FROM membership m JOIN people p ON p.id = m.person LEFT JOIN grp g ON g.id = m.grp WHERE m.state = 'on'\n",
         keys__membership_sql="-- table: sizes\nSELECT :grp\n-- table: members\nSELECT :grp, :person\n",
         keys__grp_sql="-- table: sizes\nSELECT :id\n-- table: members\nSELECT grp, person FROM membership WHERE grp = :id\n",
         keys__people_sql="-- table: members\nSELECT grp, person FROM membership WHERE person = :id\n",
         indexes_sql="CREATE INDEX by_person ON membership (person);\n")


@pytest.fixture
def kinds(make_setup, database):
    db, connection = database
    number = int(os.environ.get("SEED", time.time()))
    print("seed", number)
    run_sql(connection, "SET sql_mode = ''", *TABLES)
    seed(connection, number)
    setup = make_setup(f"{db}.people, {db}.membership, {db}.grp")
    write_views(setup, db)
    yield setup, db, connection, random.Random(number)


def test_rows_through_kills(kinds):
    setup, _, connection, r = kinds
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "copy", "groups"), every=0.5, timeout=120)
    for i in range(200):
        change(connection, r)
        if i in (60, 130):
            project.kill()
            project.start()
    run_sql(connection, "SET SESSION binlog_row_image = MINIMAL")
    for _ in range(40):
        run_sql(connection, f"UPDATE people SET note = 'n{r.randrange(100)}' WHERE id = {r.randrange(60)}",
                f"UPDATE membership SET state = 'on' WHERE person = {r.randrange(60)}")
    run_sql(connection, "SET SESSION binlog_row_image = FULL")
    setup.wait_delivered(source_position(connection), run)
    print(verified(setup, "copy"), verified(setup, "groups"))
    (rows,) = public(setup, "groups", "SELECT COUNT(*) FROM members")[0]
    (want,) = run_sql(connection, "SELECT COUNT(*) FROM membership m JOIN people p ON p.id = m.person WHERE m.state = 'on'")[0]
    assert rows == want > 0
    run_sql(connection, "TRUNCATE membership")
    setup.wait_delivered(source_position(connection), run)
    verified(setup, "copy")
    verified(setup, "groups")
    assert public(setup, "copy", "SELECT COUNT(*) FROM membership") == [(0,)]
    assert public(setup, "groups", "SELECT COUNT(*), MAX(members) FROM sizes s, (SELECT COUNT(*) AS c FROM members) WHERE c = 0")[0][1] == 0
    assert project.peak_rss_mb() < 128
    project.stop()
    run.stop()


class Reader(threading.Thread):
    """Keeps a connection and asks again and again: never an error, never an empty table."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.stopping, self.reads, self.failure = path, False, 0, None

    def run(self):
        try:
            held = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
            while not self.stopping:
                anew = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
                for connection in (held, anew):
                    assert connection.execute("SELECT COUNT(*) FROM people").fetchone()[0] > 0
                    connection.execute("SELECT * FROM people").fetchall()
                anew.close()
                self.reads += 1
        except Exception as failure:
            self.failure = failure

    def stop(self):
        self.stopping = True
        self.join()
        if self.failure:
            raise self.failure
        assert self.reads > 0


def test_tables_that_change(kinds):
    setup, _, connection, r = kinds
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "copy", "groups"), every=0.5, timeout=120)
    reader = Reader(setup.folder / "state" / "copy.db")
    reader.start()

    run_sql(connection, "ALTER TABLE people ADD COLUMN city VARCHAR(20), ADD COLUMN rank_ DECIMAL(6,3)",
            "UPDATE people SET city = 'Bonn', rank_ = 1.250 WHERE id < 20")
    setup.wait_delivered(source_position(connection), run)
    wait_until("the new columns", lambda: ("city",) in public(setup, "copy", "SELECT name FROM pragma_table_info('people')"))
    verified(setup, "copy")
    assert public(setup, "copy", "SELECT version FROM millrace_view") == [(1,)]
    assert public(setup, "copy", "SELECT COUNT(*) FROM people WHERE city = 'Bonn' AND rank_ = '1.250'") == [(20,)]
    project.kill()  # what was added is still known
    project.start()
    run_sql(connection, "UPDATE people SET city = 'Rome' WHERE id = 3")
    setup.wait_delivered(source_position(connection), run)
    verified(setup, "copy")

    run_sql(connection, "ALTER TABLE people DROP COLUMN note, MODIFY score VARCHAR(30)", "UPDATE people SET score = 'high' WHERE id = 1")
    setup.wait_delivered(source_position(connection), run)
    wait_until("version 2", lambda: public(setup, "copy", "SELECT version FROM millrace_view") == [(2,)], timeout=120, every=0.5)
    for _ in range(30):
        change(connection, r)
    setup.wait_delivered(source_position(connection), run)
    verified(setup, "copy", healing=True)
    verified(setup, "groups")
    assert ("note",) not in public(setup, "copy", "SELECT name FROM pragma_table_info('people')")
    assert public(setup, "copy", "SELECT score FROM people WHERE id = 1") == [("high",)]

    run_sql(connection, "UPDATE people SET born = '2024-00-00', seen = '0000-00-00' WHERE id = 7")  # no date's number
    setup.wait_delivered(source_position(connection), run)
    verified(setup, "copy")
    assert [str(v)[:10] for v in public(setup, "copy", "SELECT born, seen FROM people WHERE id = 7")[0]] == ["2024-00-00", "0000-00-00"]
    reader.stop()
    project.stop()
    run.stop()


def test_what_cannot_be_mirrored(make_setup, database):
    db, connection = database
    run_sql(connection, "CREATE TABLE bare (a INT, b INT)", "CREATE TABLE other (id INT PRIMARY KEY)", "INSERT INTO bare VALUES (1, 2)",
            f"CREATE DATABASE {db}b", f"CREATE TABLE {db}b.other (id INT PRIMARY KEY)")
    setup = make_setup(f"{db}.bare, {db}.other, {db}b.other")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    view(setup, "keyless", view_conf=f"kind = mirror\ninputs = {inputs(setup, db, 'bare')}\n")
    view(setup, "twice", view_conf=f"kind = mirror\ninputs = {inputs(setup, db, 'other')}, {inputs(setup, db + 'b', 'other')}\n")
    view(setup, "keyed", view_conf=f"kind = mirror\ninputs = {inputs(setup, db, 'bare')}\nkey.bare = a\n")
    for name, says in (("keyless", "has no primary key"), ("twice", "have one name")):
        out = setup.millrace("replay", name)
        assert out.returncode == 3 and says in out.stderr and "HINT" in out.stderr, out.stderr
        out = setup.millrace("check")
        assert says in out.stdout + out.stderr, out.stdout
    out = setup.millrace("replay", "keyed")
    assert out.returncode == 0, out.stderr
    assert public(setup, "keyed", "SELECT * FROM bare") == [(1, 2)]
    run.stop()
