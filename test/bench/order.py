"""How fast members of order = partition build a view, beside one worker in the source's order: in PostgreSQL, rows by key.

Says records/s of each, and how many times one worker's that is. Run: build/venv/bin/python test/bench/order.py [ROWS]"""
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integ"))
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


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    setup = None
    with tempfile.TemporaryDirectory(prefix="millrace-order-") as folder:
        Path(folder).chmod(0o755)
        servers, store = Servers(Path(folder) / "servers"), Postgresql()
        try:
            connection = servers.connect()
            run_sql(connection, "CREATE DATABASE order_bench", "USE order_bench",
                    "CREATE TABLE order_bench.t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL, v VARCHAR(100))",
                    f"INSERT INTO order_bench.t SELECT seq, seq * 7, REPEAT(MD5(seq), 2) FROM seq_1_to_{rows}")
            setup = Setup(servers, Path(folder) / "m", "bench", "order_bench.t", kafka__partitions=PARTITIONS, **store.settings())
            run = setup.daemon("run").start()
            setup.wait_delivered(source_position(connection), run, 600)
            run.stop()
            serial = None
            for name, order in (("one", ""), *((f"of{n}", f"order = partition\nworkers = {n}\n") for n in (1, 2, 4))):
                write_view(setup, name, order)
                rate = build(setup, store, name, rows)
                serial = serial or rate
                print(f"  {order.replace(chr(10), ' ').strip() or 'order = source':<34} {rate:>10,.0f} rows/s  {rate / serial:.2f}", flush=True)
        finally:
            if setup:
                setup.kill_all()
            store.remove()
            servers.stop()


if __name__ == "__main__":
    main()
