"""Small versions of `make memory`: what is larger than the budget goes through capture and views, within their limits.

Budgets are a quarter of the defaults here and limits lower by as much, so that what is held too long shows although the
amounts are small. The full sizes are in test/memory.
"""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "memory"))
from memory_cases import CASES  # noqa: E402
from memory_world import CAPTURE_MB, WORKER_MB, World  # noqa: E402

SMALL = {"huge-transaction": 0.03, "large-row": 0.25, "large-rows": 0.2, "compressed": 0.1, "copy-large": 0.06, "copy-wide": 0.05, "many-tables": 0.005,
         "view-partitions": 0.05, "view-transaction": 0.1}
LESS = 24     # MB that the smaller budgets save, of the default 32 and 48


@pytest.fixture
def world(servers, tmp_path):
    made = World(servers, tmp_path, settings={"capture__memory": "8MB", "project__memory": "16MB"})
    with made.connect().cursor() as cursor:
        cursor.execute("SET GLOBAL max_allowed_packet = 1 << 30")
    made.capture_mb, made.worker_mb = CAPTURE_MB - LESS, WORKER_MB - LESS
    yield made
    made.end()


@pytest.mark.parametrize("case", SMALL)
def test_peak_is_within_the_limit(world, case):
    world.scale, world.minutes = SMALL[case], 0.1
    for result in CASES[case](world):
        print(f"{result.case}: {result.process} {result.peak_mb:.0f} MB of {result.limit_mb:.0f}, {result.delivered}")
        assert not result.over, f"{result.case}: {result.process} took {result.peak_mb:.0f} MB, limit {result.limit_mb:.0f}"
