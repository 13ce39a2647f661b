"""Short random histories of a view in SQLite and in two stores that the seed chooses, of a kind that it chooses, too; and (long) in each
store and of each kind. `make views` runs as many as wanted."""
import os
import random
import subprocess
import sys
import time

import pytest

from harness import ROOT, faults_build

KINDS = ("sql", "mirror", "query")
# MySQL is MariaDB's code, and slower: it is in the long test, and test_store_mysql.py has its swaps, kills and removals
OTHERS = ("postgresql", "mariadb", "dynamodb")


def histories(seed, *words):
    faults_build()
    out = subprocess.run([sys.executable, str(ROOT / "test" / "views" / "views.py"), "--seed", str(seed), "--histories", "1", *words],
                         capture_output=True, text=True, timeout=1500, env={k: v for k, v in os.environ.items() if k != "MILLRACE"})
    print(out.stdout, out.stderr)
    assert out.returncode == 0
    assert out.stdout.splitlines()[-1].endswith(" 0 wrong, 0 skipped")


def test_a_history_in_three_stores():
    seed = int(time.time()) % 1000000
    kind = KINDS[seed % len(KINDS)]
    others = random.Random(seed).sample(OTHERS if kind == "sql" else OTHERS[:2], 2)     # items are of kind sql
    histories(seed, "--kinds", kind, "--stores", ",".join(["sqlite", *others]), "--swaps", "5", "--lanes", "1")


@pytest.mark.long
def test_a_history_in_each_store_and_of_each_kind():
    histories(int(time.time()) % 1000000, "--stores", "sqlite,postgresql,mariadb,mysql,dynamodb", "--swaps", "70", "--lanes", "3")
