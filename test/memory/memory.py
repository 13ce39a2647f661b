"""scripts/memory: see there and docs/OPERATIONS.md."""
import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from memory_cases import CASES, ON
from memory_world import World

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integ"))
from harness import ROOT, Servers  # noqa: E402

GB = 1 << 30
MARIADB = ["--max-allowed-packet=1G", "--innodb-buffer-pool-size=512M", "--innodb-log-file-size=1G", "--innodb-log-buffer-size=256M",
           "--innodb-file-per-table=ON", "--binlog-annotate-row-events=OFF", "--table-open-cache=2000", "--table-definition-cache=2000"]
MYSQL = ["--max-allowed-packet=1G", "--innodb-buffer-pool-size=512M", "--innodb-redo-log-capacity=2G", "--innodb-log-buffer-size=256M"]
# ten thousand partitions on one small broker: their indexes are mapped, 10 MB each by default
KAFKA = ["log.index.size.max.bytes=65536", "log.segment.delete.delay.ms=1000"]
KEPT = 8 * GB     # of the disk, for others


def parse():
    p = argparse.ArgumentParser(prog="memory")
    p.add_argument("cases", nargs="*", metavar="CASE", help="default: all of " + " ".join(CASES))
    p.add_argument("--scale", type=float, default=1.0, help="how much is written, 1 is the full size")
    p.add_argument("--minutes", type=float, default=float(os.environ.get("MINUTES", 1)), help="how long the broker is silent")
    options = p.parse_args()
    unknown = [c for c in options.cases if c not in CASES]
    if unknown:
        p.error(f"no case {unknown[0]}; there are {' '.join(CASES)}")
    return options


def line(result):
    verdict = "OVER" if result.over else "ok"
    print(f"  {result.case:<26} {result.process:<8} {result.peak_mb:7.1f} MB  of {result.limit_mb:4.0f}  {verdict:<5}"
          f" {result.seconds:4.0f} s  {result.delivered}", flush=True)


def run_case(name, servers, folder, options):
    world = World(servers, folder / name, options.scale, minutes=options.minutes)
    began = time.monotonic()
    try:
        results = CASES[name](world)
        for result in results:
            result.seconds = time.monotonic() - began
            line(result)
        return results, []
    except Exception as problem:  # whatever it was, the other cases are run
        text = str(problem).replace("\n", "\n    ")
        print(f"  {name:<26} FAILED: {text}", flush=True)
        return [], [name]
    finally:
        world.end()


def main():
    options = parse()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 100_000)) if hard > 0 else soft, hard))
    base = ROOT / "build" / "memory-data"
    base.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(base).free
    if free < (28 * options.scale + 2) * GB + KEPT:
        print(f"memory: {free / GB:.0f} GB of disk are free, {28 * options.scale + 10:.0f} are needed", file=sys.stderr)
        return 1
    results, failed = [], []
    for name in options.cases or CASES:
        with tempfile.TemporaryDirectory(prefix="millrace-memory-", dir=base) as folder:
            os.chmod(folder, 0o755)
            database = ON.get(name, "mariadb:10.11")
            engine, options_of = database.split(":")[0], {"mariadb": MARIADB, "mysql": MYSQL}
            servers = Servers(Path(folder) / "servers", *[f"--{engine}-option={o}" for o in options_of[engine]],
                              *[f"--kafka-option={o}" for o in KAFKA], database=database)
            try:
                done, bad = run_case(name, servers, Path(folder), options)
            finally:
                servers.stop()
            results, failed = results + done, failed + bad
    over = [r for r in results if r.over]
    print(f"memory: {len(results) + len(failed)} cases, {len(over)} over limit"
          + (f", {len(failed)} failed: {' '.join(failed)}" if failed else ""))
    return 1 if over or failed or not results else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
