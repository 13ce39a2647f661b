"""Mirror and query views of tables that are altered again and again: columns come, go, get other names and types, and rows change meanwhile."""
import os
import random
import time

import pytest

from harness import run_sql, source_position, wait_until
from test_kinds import change, kinds, public, verified      # noqa: F401
from test_kinds_stores import prepare, store      # noqa: F401
from test_views import live

ROUNDS = 10
TYPES = {"INT": ("BIGINT", "VARCHAR(20)"), "BIGINT": ("DECIMAL(20,0)", "VARCHAR(30)"), "DECIMAL(20,0)": ("VARCHAR(40)",), "VARCHAR(20)": ("VARCHAR(60)",),
         "VARCHAR(30)": ("TEXT",), "VARCHAR(40)": ("TEXT",), "VARCHAR(60)": ("TEXT",), "DATETIME": ("DATETIME(6)", "VARCHAR(40)"), "DATETIME(6)": ("VARCHAR(40)",), "TEXT": ()}
VALUES = {"INT": "{n}", "BIGINT": "{n} * 4294967296", "DECIMAL(20,0)": "{n} * 4294967296", "DATETIME": "'2020-01-01' + INTERVAL {n} HOUR",
          "DATETIME(6)": "'2020-01-01 00:00:00.000001' + INTERVAL {n} SECOND"}


class Altered:
    """The columns that come beside those that the query names."""

    def __init__(self, connection, r):
        self.connection, self.r, self.made, self.columns = connection, r, 0, {"people": {}, "grp": {}}

    def statement(self, table):
        """One random ALTER TABLE."""
        r, there = self.r, self.columns[table]
        what = r.choice(("add", "add", "default", "drop", "rename", "type", "type", "whole"))
        if what == "whole":
            return "MODIFY name VARCHAR(60)" + (" NOT NULL" if table == "people" else "")
        if what in ("add", "default") or not there:
            self.made += 1
            kind = r.choice(("INT", "VARCHAR(20)", "DATETIME"))
            there[f"x{self.made}"] = kind
            default = {"INT": "7", "VARCHAR(20)": "'seven'", "DATETIME": "'2007-07-07 07:07:07'"}[kind]
            return f"ADD COLUMN x{self.made} {kind}" + (f" NOT NULL DEFAULT {default}" if what == "default" else "")
        name = r.choice(sorted(there))
        if what == "drop":
            del there[name]
            return f"DROP COLUMN {name}"
        if what == "rename":
            self.made += 1
            there[f"x{self.made}"] = there.pop(name)
            return f"CHANGE {name} x{self.made} {there[f'x{self.made}']}"
        there[name] = r.choice(TYPES[there[name]] or (there[name],))
        return f"MODIFY {name} {there[name]}"

    def alter(self):
        table = self.r.choice(("people", "people", "grp"))
        sql = self.statement(table)
        self.made += 1
        # views hear of it by the table's next row
        run_sql(self.connection, f"ALTER TABLE {table} {sql}", f"REPLACE INTO grp (id, name) VALUES (99, 'row {self.made}')" if table == "grp" else
                f"UPDATE people SET name = 'name {self.made}' WHERE id = 1")
        return f"{table} {sql}"

    def write(self):
        for table, there in self.columns.items():
            for name, kind in there.items():
                value = VALUES.get(kind, "CONCAT('text ', {n})").format(n=self.r.randrange(1000))
                run_sql(self.connection, f"UPDATE {table} SET {name} = {value} WHERE id % 5 = {self.r.randrange(5)}")
        for _ in range(self.r.randrange(6)):
            change(self.connection, self.r)


def carry_out(setup, connection, r):
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "copy", "groups"), every=0.5, timeout=240)
    altered = Altered(connection, r)
    for i in range(ROUNDS):
        said = [altered.alter() for _ in range(r.choice((1, 1, 2)))]
        if r.random() < 0.3:
            project.kill()
            said.append("killed")
            altered.write()
            project.start()
        else:
            altered.write()
        print(i, said)
        setup.wait_delivered(source_position(connection), run)
        for name in ("copy", "groups"):
            verified(setup, name, healing=True)
    project.stop()
    run.stop()
    return altered


def test_tables_that_are_altered_at_random(kinds):      # noqa: F811
    setup, db, connection, r = kinds
    carry_out(setup, connection, r)
    for table in ("people", "grp"):
        names = [n for (n,) in public(setup, "copy", f"SELECT name FROM pragma_table_info('{table}')")]
        of_source = [n for (n,) in run_sql(connection, f"SELECT column_name FROM information_schema.columns WHERE table_schema = '{db}' AND table_name = '{table}'")]
        assert set(of_source) == set(names), (table, of_source, names)


def test_a_table_that_is_again_what_it_was(kinds):      # noqa: F811
    """Its rows have a schema that is registered already, and another one was registered last."""
    setup, _, connection, _ = kinds
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "copy", "groups"), every=0.5, timeout=120)
    for again in range(2):
        run_sql(connection, "ALTER TABLE people ADD COLUMN x INT", f"UPDATE people SET x = id + {again}")
        setup.wait_delivered(source_position(connection), run)
        verified(setup, "copy", healing=True)
        run_sql(connection, "ALTER TABLE people DROP COLUMN x", f"UPDATE people SET name = 'again {again}' WHERE id < 9")
        setup.wait_delivered(source_position(connection), run)
        verified(setup, "copy", healing=True)
        assert ("x",) not in public(setup, "copy", "SELECT name FROM pragma_table_info('people')")
    (before,) = public(setup, "copy", "SELECT version FROM millrace_view")[0]
    for i in range(5):
        run_sql(connection, f"UPDATE people SET name = 'later {i}' WHERE id < 9")
        setup.wait_delivered(source_position(connection), run)
        verified(setup, "copy", healing=True)
    assert public(setup, "copy", "SELECT version FROM millrace_view") == [(before,)] and before <= 3
    project.stop()
    run.stop()


def test_a_table_that_became_another_one_twice_while_nobody_looked(kinds):      # noqa: F811
    """The record that ends the version has the first shape; the one after it, which the next version's build reads, has the second."""
    setup, _, connection, _ = kinds
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "copy", "groups"), every=0.5, timeout=120)
    run_sql(connection, "ALTER TABLE grp ADD COLUMN x INT", "UPDATE grp SET x = id")
    setup.wait_delivered(source_position(connection), run)
    verified(setup, "copy", healing=True)
    project.kill()
    run_sql(connection, "ALTER TABLE grp MODIFY x BIGINT", "UPDATE grp SET x = 7 WHERE id = 1",
            "ALTER TABLE grp DROP COLUMN x", "UPDATE grp SET name = 'second' WHERE id = 1")
    setup.wait_delivered(source_position(connection), run)
    project.start()
    for name in ("copy", "groups"):
        verified(setup, name, healing=True)
    assert ("x",) not in public(setup, "copy", "SELECT name FROM pragma_table_info('grp')")
    project.stop()
    run.stop()


@pytest.mark.long
def test_tables_that_are_altered_at_random_in_another_store(make_setup, database, store):       # noqa: F811
    number = int(os.environ.get("SEED") or time.time())
    carry_out(prepare(make_setup, database, store, number), database[1], random.Random(number))
