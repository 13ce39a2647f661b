"""Short random histories of a view in SQLite and in two stores that the seed chooses, of a kind that it chooses, too; and (long) in each
store and of each kind. `make views` runs as many as wanted."""
import os
import random
import subprocess
import sys
import time

import pytest

from harness import ROOT, faults_build, those_there

KINDS = ("sql", "mirror", "query")
SERVERS = ("postgresql", "mariadb", *(["mysql"] if those_there("mysql:8.0") else []))


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
    servers = random.Random(seed).sample([*SERVERS, *(["dynamodb"] if kind == "sql" else [])], 2)
    histories(seed, "--kinds", kind, "--stores", ",".join(["sqlite", *servers]), "--swaps", "10", "--lanes", "2")


@pytest.mark.long
def test_a_history_in_each_store_and_of_each_kind():
    histories(int(time.time()) % 1000000, "--stores", "sqlite,postgresql,mariadb,mysql,dynamodb", "--swaps", "70", "--lanes", "3")
