"""Large views are verified in pieces: each begins behind a key, and the server finds it by the primary key's index, says its own log of plans."""
import re
from pathlib import Path

import pytest

from harness import wait_until
from test_stores_troubles import ROWS, Shop, make_place  # noqa: F401

PIECE = 2000


class PostgresqlPlans:
    def __init__(self, place):
        place.ask("ALTER SYSTEM SET auto_explain.log_min_duration = 0")
        place.ask("SELECT pg_reload_conf()")
        self.log = place.server.log_path

    def of_pieces(self):
        """(what was asked, its plan) of each question for rows behind a key."""
        parts = self.log.read_text(errors="replace").split("Query Text: DECLARE millrace_rows ")[1:]
        return [part.split("\n", 1) for part in parts if " WHERE (" in part.split("\n", 1)[0]]

    @staticmethod
    def by_index(plan):
        return "Index Scan using item_pkey" in plan and "Index Cond:" in plan and "Sort" not in plan.split("duration:")[0] and "Seq Scan" not in plan.split("duration:")[0]


class MariadbPlans:
    def __init__(self, place):
        self.log = Path(place.server.env["SERVERS_HOME"]) / "mariadb" / "data" / "slow.log"
        for sql in ("slow_query_log_file = 'slow.log'", "log_slow_verbosity = 'query_plan,explain'", "long_query_time = 0", "slow_query_log = ON"):
            place.ask(f"SET GLOBAL {sql}")

    def of_pieces(self):
        parts = self.log.read_text(errors="replace").split("# User@Host")[1:] if self.log.exists() else []
        out = []
        for part in parts:
            asked = next((line for line in part.splitlines() if line.startswith("SELECT") and "`item`" in line and " WHERE " in line and " ORDER BY " in line), None)
            if asked:
                out.append((asked, "\n".join(line for line in part.splitlines() if line.startswith("# explain:"))))
        return out

    @staticmethod
    def by_index(plan):
        """A range of the primary key, no sort."""
        return re.search(r"\titem\trange\tPRIMARY\tPRIMARY\t", plan) is not None and "filesort" not in plan


PLANS = {"postgresql": PostgresqlPlans, "mariadb": MariadbPlans}


@pytest.mark.parametrize("key", ("id", "n, id"))
def test_pieces_are_found_by_the_index(make_place, database, make_setup, key):      # noqa: F811
    place = make_place()
    plans = PLANS[place.name](place)
    shop = Shop(database, make_setup, place, key=key)
    shop.setup.settings.update({"project.verify_every": "1s", "project.verify_rate": str(PIECE)})
    shop.setup.write()
    shop.project.start()
    shop.live()
    # the pieces of one verification, but for the first, begin behind a key
    wait_until("a verification in pieces", lambda: len(plans.of_pieces()) >= ROWS // PIECE - 1, 180, every=1)
    for asked, plan in plans.of_pieces()[:ROWS // PIECE]:
        assert plans.by_index(plan), f"{asked}\n{plan}"
    shop.stop()
