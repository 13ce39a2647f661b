"""One short random history of a view in each store and of each kind (`make views` runs as many as wanted)."""
import os
import subprocess
import sys
import time

from harness import ROOT, faults_build


def test_a_history_in_each_store_and_of_each_kind():
    faults_build()
    out = subprocess.run([sys.executable, str(ROOT / "test" / "views" / "views.py"), "--seed", str(int(time.time()) % 1000000), "--histories", "1",
                          "--swaps", "10", "--lanes", "2"], capture_output=True, text=True, timeout=1500, env={k: v for k, v in os.environ.items() if k != "MILLRACE"})
    print(out.stdout, out.stderr)
    assert out.returncode == 0
    assert out.stdout.splitlines()[-1].endswith(" 0 wrong, 0 skipped")
