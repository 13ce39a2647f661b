"""Reconciling copies compare rows that are parked with what was parked of them, whole."""
import json
import random

from harness import run_sql, source_position
from test_parked import big_table, make_topic, rows_of
from test_reconcile import outcome, silently, started


def put(connection, table, row_id, body):
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} VALUES (%s, %s)", (row_id, body))


def test_parked_rows_are_compared(servers, database, make_setup):
    db, connection = big_table(database)
    run_sql(connection, f"CREATE TABLE {db}.plain (id BIGINT, body LONGBLOB NOT NULL)")
    setup = make_setup(f"{db}.*")
    topics = {name: setup.topic(f"{db}.{name}") for name in ("t", "plain")}
    for topic in topics.values():
        make_topic(servers, topic, 1_100_000)
    run = started(setup, connection)
    r = random.Random(7)
    bodies = {i: r.randbytes(1_500_000) for i in range(1, 7)}
    for name in topics:
        for i, body in bodies.items():
            put(connection, f"{db}.{name}", i, body)
        put(connection, f"{db}.{name}", 10, b"small")
        run_sql(connection, f"UPDATE {db}.{name} SET body = 'short' WHERE id = 6")
    setup.wait_delivered(source_position(connection), run)
    for name in topics:
        one = outcome(setup, f"{db}.{name}")[f"{db}.{name}"]
        assert (one["rows"], one["created"], one["updated"], one["deleted"], one["unknown"]) == (7, 0, 0, 0, 0), one
        silently(connection, f"UPDATE {db}.{name} SET body = concat(body, 'x') WHERE id = 1", f"UPDATE {db}.{name} SET body = 'short' WHERE id = 2",
                 f"DELETE FROM {db}.{name} WHERE id = 3", f"UPDATE {db}.{name} SET body = repeat('y', 1600000) WHERE id = 10")
        one = outcome(setup, f"{db}.{name}")[f"{db}.{name}"]
        expected = (0, 3, 1) if name == "t" else (3, 0, 4)
        assert (one["created"], one["updated"], one["deleted"]) == expected and one["unknown"] == 0, one
        one = outcome(setup, f"{db}.{name}")[f"{db}.{name}"]
        assert (one["rows"], one["created"], one["updated"], one["deleted"], one["unknown"]) == (6, 0, 0, 0, 0), one
        state = []
        for _, e in rows_of(setup, topics[name])[0]:
            if e["before"] is not None:
                state.remove((e["before"]["id"], e["before"]["body"]))
            if e["after"] is not None:
                state.append((e["after"]["id"], e["after"]["body"]))
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT id, body FROM {db}.{name} ORDER BY id")
            assert sorted(state) == [(i, bytes(body)) for i, body in cursor.fetchall()]
    # what was dropped is compared for as long as the topic still has it, and counted from then on: it is compaction that decides
    put(connection, f"{db}.t", 20, r.randbytes(1_500_000))
    setup.wait_delivered(source_position(connection), run)
    last = max(json.loads(setup.millrace("parked", "list", "--json").stdout), key=lambda p: p["seq"])
    out = setup.millrace("parked", "drop", last["id"], "--force")
    assert out.returncode == 0, out.stderr
    one = outcome(setup, f"{db}.t")[f"{db}.t"]
    assert (one["rows"], one["created"], one["updated"], one["deleted"]) == (7, 0, 0, 0) and one["unknown"] in (0, 1), one
    run.stop()
