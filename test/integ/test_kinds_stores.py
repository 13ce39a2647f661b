"""Views of kind mirror and query in PostgreSQL: kept up, through a kill, and equal to the source."""
import random
import time

import pytest

import postgresql
from harness import run_sql, source_position, wait_until
from test_kinds import TABLES, change, seed, verified, write_views
from test_views import live


@pytest.fixture(scope="module", params=["postgresql"])
def store(request):
    """(name, settings)"""
    if postgresql.missing():
        pytest.skip(postgresql.missing())
    with postgresql.postgresql() as made:
        yield request.param, {k.replace("__", "."): str(v) for k, v in made.settings().items()}


def test_kept_up_in_another_store(make_setup, database, store):
    (name, settings), (db, connection) = store, database
    number = int(time.time())
    print("seed", number)
    r = random.Random(number)
    run_sql(connection, "SET sql_mode = ''", *TABLES)
    seed(connection, number)
    setup = make_setup(f"{db}.people, {db}.membership, {db}.grp")
    setup.settings.update(settings)
    setup.write()
    write_views(setup, db, name)
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "copy", "groups"), every=0.5, timeout=60)
    for i in range(120):
        change(connection, r)
        if i == 60:
            project.kill()
            project.start()
    setup.wait_delivered(source_position(connection), run)
    print(verified(setup, "copy"), verified(setup, "groups"))
    run_sql(connection, "TRUNCATE membership", f"INSERT INTO membership VALUES (1, {r.randrange(60)}, 5, 'on')")
    setup.wait_delivered(source_position(connection), run)
    print(verified(setup, "copy"), verified(setup, "groups"))
    run_sql(connection, "ALTER TABLE people ADD COLUMN city VARCHAR(20)", "UPDATE people SET city = 'Bonn' WHERE id < 20")
    setup.wait_delivered(source_position(connection), run)
    out = wait_until("the new column", lambda: "city" in (o := setup.millrace("verify", "copy", "--json")).stdout and o, every=1, timeout=120)
    assert out.returncode == 0, out.stdout
    project.stop()
    run.stop()
