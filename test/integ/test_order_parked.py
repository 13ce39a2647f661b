"""order = partition: a record that can't be applied is parked by the member that has its partition; a replay stops at it."""
import json

from harness import run_sql, wait_until
from order_world import Load, store, world, write_view  # noqa: F401

POISON = 5_000_000
REFUSED = f"v varchar(100), CONSTRAINT small CHECK (n < {POISON}))"


def write_careful_view(world):
    """No row of its may hold poison."""
    name = write_view(world.setup, world.store, world.table, world.view)
    path = world.setup.folder / "views" / name / "tables.sql"
    path.write_text(path.read_text().replace("v varchar(100))", REFUSED, 1))


def parked(world):
    out = world.setup.millrace("parked", "list", "--view", world.view, "--json")
    assert out.returncode == 0, out.stdout + out.stderr
    return json.loads(out.stdout)


def version_of(world, number):
    return next(v for v in world.ask()["versions"] if v["version"] == number)


def test_poison_is_parked_and_tried_again(world):
    write_careful_view(world)
    world.start(2)
    wait_until("the view", world.live, 120)
    wait_until("all four members", lambda: len(world.members()) == 4, 60, every=0.3)
    load = Load(world.servers, world.db, 21)
    load.start()
    bad = [1001, 1002, 1003, 1004, 1005, 1006]
    for key in bad:
        run_sql(world.connection, f"INSERT INTO t VALUES ({key}, {POISON + key}, 'poison')")
    for key in bad[:3]:
        run_sql(world.connection, f"UPDATE t SET n = 1 WHERE id = {key}")     # would be fine, and comes behind it

    def heads(found):
        return [p for p in found if not p["behind"]]

    # the load changes these rows, too: more comes behind them
    wait_until("all of them", lambda: len(heads(parked(world))) == 6 and len(parked(world)) >= 9, 120, every=0.5)
    found = parked(world)
    assert len(heads(found)) == 6 and len({p["id"] for p in found}) == len(found), found
    assert len({p["partition"] for p in found}) > 1, "all of one partition: no test of several members"
    assert not any(str(POISON + key) in p["reason"] for p in found for key in bad), "a row's value in a reason"
    wait_until("the count of them in the version's state",
               lambda: (lambda v: v["parked"] >= 9 and v["parked"] - v["parked_behind"] == 6)(version_of(world, world.version("live"))), 60, every=0.3)

    # a member that comes later knows which keys wait; so does one that goes on behind a barrier
    world.gone = [world.processes[0]]
    world.processes[0].kill()
    run_sql(world.connection, f"UPDATE t SET v = 'again' WHERE id = {bad[0]}")
    before = len(found)
    wait_until("more behind them", lambda: len(parked(world)) > before, 120, every=0.5)
    assert len(heads(parked(world))) == 6
    wait_until("a leader", lambda: world.setup.millrace("verify", world.view).returncode in (0, 1), 60, every=0.5)

    # what is behind another one isn't touched by itself; dropping the first tries the others
    behind = next(p for p in parked(world) if p["behind"])
    out = world.setup.millrace("parked", "retry", behind["id"], "--view", world.view)
    assert out.returncode != 0 and "behind" in out.stderr, out.stdout + out.stderr
    first = heads(found)[0]
    out = world.setup.millrace("parked", "drop", first["id"], "--view", world.view)
    assert out.returncode == 0, out.stdout + out.stderr
    assert first["id"] not in {p["id"] for p in parked(world)}

    # the view's tables are mended: all that wait are applied, in order
    world.store.ask(f'ALTER TABLE "{world.schema()}".item DROP CONSTRAINT small')
    out = world.setup.millrace("parked", "retry", "--all", "--view", world.view)
    assert out.returncode == 0, out.stdout + out.stderr
    assert parked(world) == []
    run_sql(world.connection, f"UPDATE t SET v = 'free again' WHERE id IN ({', '.join(map(str, bad))})")
    load.stop()
    rows, _ = world.expected()
    wait_until("the view to be the source", lambda: world.applied()[0] == rows, 120, every=0.3)
    assert parked(world) == []


def test_poison_stops_a_replay(world):
    world.start(2)
    wait_until("the view", world.live, 120)
    run_sql(world.connection, f"INSERT INTO t VALUES (1001, {POISON}, 'poison')")
    write_careful_view(world)
    out = world.setup.millrace("replay", world.view, "--force", timeout=300)
    assert out.returncode not in (0, 3) and "partition" in out.stderr, out.stdout + out.stderr
    assert str(POISON) not in out.stderr.replace(REFUSED, ""), out.stderr
    assert world.version("live") == 1
    world.check()


def test_what_is_parked_of_an_emptied_table_goes_with_its_rows(world):
    write_careful_view(world)
    world.start(2)
    wait_until("the view", world.live, 120)
    keys = range(1001, 1009)
    for key in keys:
        run_sql(world.connection, f"INSERT INTO t VALUES ({key}, {POISON}, 'poison')")
    wait_until("all of them", lambda: len(parked(world)) == len(keys), 120, every=0.5)
    assert len({p["partition"] for p in parked(world)}) > 1
    run_sql(world.connection, "TRUNCATE t", *(f"INSERT INTO t VALUES ({key}, 1, 'after it')" for key in keys))
    rows, _ = world.expected()
    wait_until("the view to be the source", lambda: world.applied()[0] == rows, 120, every=0.3)
    assert parked(world) == []
