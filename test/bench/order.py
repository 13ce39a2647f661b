"""How fast members of order = partition build a view, beside one worker in the source's order: in PostgreSQL, rows by key.

Says rows/s of each, how many times one worker's that is, and the machine's load. Run: build/venv/bin/python test/bench/order.py [ROWS]
[--times N] [--workers 1,2,4] [--json]"""
import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integ"))
import harness  # noqa: E402
from harness import Servers, Setup, run_sql, source_position, wait_until  # noqa: E402
from postgresql import Postgresql  # noqa: E402

PARTITIONS = 8
HANDLER = ("INSERT INTO item VALUES (:id, :n, :v) ON CONFLICT (id) DO UPDATE SET n = excluded.n, v = excluded.v;\n")


def write_view(setup, name, order):
    folder = setup.folder / "views" / name
    (folder / "on").mkdir(parents=True)
    (folder / "view.conf").write_text(f"owner = bench\nstore = postgresql\ninputs = {setup.name}.order_bench.t\n{order}")
    (folder / "tables.sql").write_text("CREATE TABLE item (id bigint PRIMARY KEY, n bigint NOT NULL, v text);\n")
    for what in ("insert", "update"):
        (folder / "on" / f"order_bench.t.{what}.sql").write_text(HANDLER)
    (folder / "on" / "order_bench.t.delete.sql").write_text("DELETE FROM item WHERE id = :id;\n")
    (folder / "on" / "order_bench.t.truncate.sql").write_text("DELETE FROM item;\n")
    (folder / "source.sql").write_text("-- table: item\nSELECT id, n, v FROM order_bench.t\n")


def build(setup, store, name, rows):
    """Seconds from the first row in the view to the last."""
    project = setup.daemon("project", name).start()
    count = f'SELECT count(*) FROM "{name}_v1".item'

    def at_least(n):
        assert project.alive(), project.log_tail()
        there = store.ask("SELECT to_regclass(%s)", (f'"{name}_v1".item',))[0][0]
        return there and store.ask(count)[0][0] >= n

    wait_until("the first rows", lambda: at_least(1), 300, every=0.05)
    began, had = time.monotonic(), store.ask(count)[0][0]
    wait_until("all rows", lambda: at_least(rows), 1800, every=0.05)
    seconds = time.monotonic() - began
    project.stop()
    return (rows - had) / seconds


def words():
    w = argparse.ArgumentParser(prog="order", description=__doc__.splitlines()[0])
    w.add_argument("rows", nargs="?", type=int, default=400_000)
    w.add_argument("--times", type=int, default=1, help="build each so often, and take the fastest")
    w.add_argument("--workers", default="1,2,4", help="members of the one process")
    w.add_argument("--json", action="store_true")
    return w.parse_args()


def measure(o, setup, store):
    """[{order, workers, rows_per_second, ratio, load}], told as they come."""
    results = []
    for workers in (0, *map(int, o.workers.split(","))):
        rate = 0
        for again in range(o.times):
            name = f"of{workers}_{again}"
            write_view(setup, name, f"order = partition\nworkers = {workers}\n" if workers else "")
            rate = max(rate, build(setup, store, name, o.rows))
            store.ask(f'DROP SCHEMA "{name}_v1" CASCADE')
        ratio = rate / results[0]["rows_per_second"] if results else 1
        what = f"order = partition, workers = {workers}" if workers else "order = source"
        results.append({"order": "partition" if workers else "source", "workers": workers or 1, "rows_per_second": round(rate), "ratio": round(ratio, 2),
                        "load": round(os.getloadavg()[0], 1)})
        if not o.json:
            print(f"  {what:<34} {rate:>10,.0f} rows/s  {ratio:.2f}  (load {os.getloadavg()[0]:.1f})", flush=True)
    return results


def main():
    o, setup = words(), None
    with tempfile.TemporaryDirectory(prefix="millrace-order-") as folder:
        Path(folder).chmod(0o755)
        harness.MILLRACE = Path(shutil.copy(harness.MILLRACE, folder))      # it may be built anew while this runs
        servers, store = Servers(Path(folder) / "servers"), Postgresql()
        try:
            connection = servers.connect()
            run_sql(connection, "CREATE DATABASE order_bench", "USE order_bench",
                    "CREATE TABLE order_bench.t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL, v VARCHAR(100))",
                    f"INSERT INTO order_bench.t SELECT seq, seq * 7, REPEAT(MD5(seq), 2) FROM seq_1_to_{o.rows}")
            setup = Setup(servers, Path(folder) / "m", "bench", "order_bench.t", kafka__partitions=PARTITIONS, **store.settings())
            run = setup.daemon("run").start()
            setup.wait_delivered(source_position(connection), run, 600)
            run.stop()
            if not o.json:
                print(f"order: {o.rows:,} rows in {PARTITIONS} partitions into PostgreSQL, {os.cpu_count()} cores", flush=True)
            results = measure(o, setup, store)
            if o.json:
                print(json.dumps({"rows": o.rows, "partitions": PARTITIONS, "cores": os.cpu_count(), "results": results}, indent=2))
        finally:
            if setup:
                setup.kill_all()
            store.remove()
            servers.stop()


if __name__ == "__main__":
    main()
