"""First copies by keys at the edges of their types, while rows change keys and domains change."""
import random
import threading
import time

from fold import check_seq, compare
from harness import run_sql, source_position

KEYS = {
    "u64": ("BIGINT UNSIGNED", lambda r: str(r.choice([r.randrange(2**64), 2**63 + r.randrange(-3, 3), 2**64 - 1, r.randrange(4)]))),
    "s64": ("BIGINT", lambda r: str(r.choice([r.randrange(-2**63, 2**63), -2**63, 2**63 - 1, r.randrange(-4, 4)]))),
    "tiny": ("TINYINT", lambda r: str(r.randrange(-128, 128))),
    "medium": ("MEDIUMINT", lambda r: str(r.randrange(-2**23, 2**23))),
    "fixed": ("BINARY(3)", lambda r: "x'%s'" % bytes(r.choice([0, 1, 255]) for _ in range(r.randrange(1, 4))).hex()),
    "bytes": ("VARBINARY(5)", lambda r: "x'%s'" % bytes(r.choice([0, 1, 0x20, 255]) for _ in range(r.randrange(6))).hex()),
}


def change(r, connection, tables):
    name = r.choice(tables)
    make = KEYS[name][1]
    verb = r.randrange(4)
    if verb == 0:
        run_sql(connection, f"SET gtid_domain_id = {r.choice([0, 5, 9])}")
    if verb <= 1:
        run_sql(connection, f"INSERT IGNORE INTO k_{name} VALUES ({make(r)}, {r.randrange(-1, 2)}, {r.randrange(1000)})")
    elif verb == 2:
        run_sql(connection, f"UPDATE IGNORE k_{name} SET id = {make(r)}, b = {r.randrange(-1, 2)} ORDER BY RAND({r.randrange(99)}) LIMIT 1")
    else:
        run_sql(connection, f"DELETE FROM k_{name} ORDER BY RAND({r.randrange(99)}) LIMIT 1")


def test_keys_at_the_edges(servers, database, make_setup):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r, names = random.Random(seed), list(KEYS)
    for name in names:
        run_sql(connection, f"CREATE TABLE k_{name} (id {KEYS[name][0]}, b INT, v INT, PRIMARY KEY (id, b))")
        for _ in range(120):
            run_sql(connection, f"INSERT IGNORE INTO k_{name} VALUES ({KEYS[name][1](r)}, {r.randrange(-1, 2)}, 0)")
    run_sql(connection, "CREATE TABLE one (id INT PRIMARY KEY)", "INSERT INTO one VALUES (-1)", "CREATE TABLE none (id INT PRIMARY KEY)")
    setup = make_setup(f"{db}.*", copy__chunk_rows=10)
    stopping, failures = [], []
    writer = servers.connect(database=db)

    def write():
        try:
            while not stopping:
                change(r, writer, names)
        except Exception as failure:  # shown below
            failures.append(failure)

    load = threading.Thread(target=write)
    load.start()
    run = setup.daemon("run")
    for _ in range(4):
        run.start()
        time.sleep(r.uniform(0.8, 2))
        run.kill()
    run.start()
    time.sleep(2)
    stopping.append(True)
    load.join()
    assert not failures
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    for name in names:
        compare(setup.reader.records(setup.topic(f"{db}.k_{name}")), connection, db, f"k_{name}", ["id", "b"])
    compare(setup.reader.records(setup.topic(f"{db}.one")), connection, db, "one", ["id"])
    check_seq(setup)
