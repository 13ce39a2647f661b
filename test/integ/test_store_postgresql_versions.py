"""Versions in PostgreSQL: listed while others go, removed by a process that is killed within."""
import os
import shutil
import signal
import subprocess

import pytest

import harness
import postgresql
from harness import stands_at, wait_until, with_fault_points
from test_stores_troubles import ROWS, InPostgresql, Shop, folder_for_servers

pytestmark = pytest.mark.skipif(bool(postgresql.missing()), reason=postgresql.missing())


@pytest.fixture
def place():
    with folder_for_servers() as folder:
        made = InPostgresql(folder)
        yield made
        made.remove()


def another(place, number):
    """A version as another process may have made it meanwhile."""
    schema = f"shop_v{number}"
    with place.server.connect("millrace") as c:
        c.execute(f"CREATE SCHEMA {schema}")
        for table in ("millrace_view", "millrace_position", "millrace_epoch", "millrace_parked"):
            c.execute(f"CREATE TABLE {schema}.{table} (LIKE shop_v1.{table} INCLUDING ALL)")
        for table in ("millrace_view", "millrace_position", "millrace_epoch"):
            c.execute(f"INSERT INTO {schema}.{table} SELECT * FROM shop_v1.{table}")
        c.execute(f"UPDATE {schema}.millrace_view SET version = {number}, state = 'superseded'")


def test_listed_while_versions_go(place, database, make_setup):
    """Between the question which there are and the one what they are, one is dropped; and when it is asked again, the next one."""
    shop = Shop(database, make_setup, place)
    shop.project.start()
    shop.live()
    shop.stop()
    for number in (50, 51, 52):
        another(place, number)
    slots = with_fault_points(shop.setup, shop.project, "view_listing")
    slots.arm("view_listing", 1)
    asked = subprocess.Popen([str(shop.project.binary), "parked", "list", "--view", "shop", "-c", str(shop.setup.conf)], cwd=shop.setup.folder, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **shop.setup.env})
    try:
        for number in (50, 51):
            wait_until("it to look", lambda: stands_at(slots, "view_listing", asked), 60)
            place.ask(f"DROP SCHEMA shop_v{number} CASCADE")
            slots.arm("view_listing", 1)
            asked.send_signal(signal.SIGCONT)
        wait_until("it to look again", lambda: stands_at(slots, "view_listing", asked), 60)
        slots.disarm("view_listing")
        asked.send_signal(signal.SIGCONT)
        said = asked.communicate(timeout=60)[0]
    finally:
        if asked.poll() is None:
            asked.kill()
    assert asked.returncode == 0, said


@pytest.mark.parametrize("point", [pytest.param("view_remove", marks=pytest.mark.long), "view_remove_schema", pytest.param("view_removed", marks=pytest.mark.long)])
def test_killed_within_a_removal(point, place, database, make_setup):
    """What is live stays whole, and the rest of what was being removed goes when the daemon is back."""
    shop = Shop(database, make_setup, place)
    shop.setup.settings["project.keep_applied"] = "1s"
    shop.setup.write()
    slots = with_fault_points(shop.setup, shop.project, point)
    shop.project.start()
    shop.live()
    slots.arm(point, 1)
    out = shop.setup.millrace("replay", "shop", "--force", timeout=240, MILLRACE_FAULT_FILE="")
    assert out.returncode == 0, out.stdout + out.stderr
    wait_until(f"the removal to rest at {point}", lambda: slots.stopped_at() == point, 60)
    shop.project.kill()
    assert shop.count() == ROWS
    # a transaction that was under way is taken back by the server when it sees that nobody is there
    wait_until("the sessions to end", lambda: place.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = 'millrace'") == [(0,)], 60)
    assert place.versions() == (["shop_v2"] if point == "view_removed" else ["shop_v1", "shop_v2"])
    slots.disarm(point)
    shop.project.binary = harness.MILLRACE
    shop.project.start()
    shop.add(ROWS + 1, ROWS + 10)
    wait_until("the old version to go", lambda: place.versions() == ["shop_v2"], 60)
    wait_until("what comes later", lambda: shop.count() == ROWS + 10, 60)
    shop.verified()
    shop.stop()


def test_a_view_that_is_gone_leaves_nothing(place, database, make_setup):
    """Of it; what the user has in the public schema stays, and what depends on the view is a reason to refuse."""
    shop = Shop(database, make_setup, place)
    shop.project.start()
    shop.live()
    out = shop.setup.millrace("replay", "shop", "--force", timeout=240)
    assert out.returncode == 0, out.stdout + out.stderr
    shop.stop()
    place.ask("CREATE VIEW public.mine AS SELECT id FROM shop.item")
    shutil.rmtree(shop.setup.folder / "views" / "shop")
    out = shop.setup.millrace("view", "drop", "shop", "--all")
    assert out.returncode == 3 and "depends on" in out.stdout + out.stderr, out.stdout + out.stderr
    assert shop.count() == ROWS and place.versions() == ["shop_v1", "shop_v2"]
    place.ask("DROP VIEW public.mine")
    place.ask("CREATE TABLE shop.mine (i int)")
    out = shop.setup.millrace("view", "drop", "shop", "--all")
    assert out.returncode == 0, out.stdout + out.stderr
    assert place.ask("SELECT n.nspname, c.relname FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid WHERE nspname LIKE 'shop%'") == [("shop", "mine")]
