"""One short random history of a view in each store, of a kind that the seed chooses, and (long) of each kind; `make views` runs as
many as wanted."""
import os
import subprocess
import sys
import time

import pytest

from harness import ROOT, faults_build

KINDS = ("sql", "mirror", "query")


def histories(seed, *words):
    faults_build()
    out = subprocess.run([sys.executable, str(ROOT / "test" / "views" / "views.py"), "--seed", str(seed), "--histories", "1", *words],
                         capture_output=True, text=True, timeout=1500, env={k: v for k, v in os.environ.items() if k != "MILLRACE"})
    print(out.stdout, out.stderr)
    assert out.returncode == 0
    assert out.stdout.splitlines()[-1].endswith(" 0 wrong, 0 skipped")


def test_a_history_in_each_store():
    seed = int(time.time()) % 1000000
    histories(seed, "--kinds", KINDS[seed % len(KINDS)], "--swaps", "10", "--lanes", "2")


@pytest.mark.long
def test_a_history_in_each_store_and_of_each_kind():
    histories(int(time.time()) % 1000000, "--stores", "sqlite,postgresql,mariadb,mysql,dynamodb", "--swaps", "70", "--lanes", "3")
