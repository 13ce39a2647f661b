"""What a view's intake promises to those outside: idle and crowded partitions beside each other, offsets in the consumer group."""
import sqlite3

import confluent_kafka

from harness import run_sql, source_position, wait_until

PARTITIONS = 12


def write_view(setup, table, name):
    folder = setup.folder / "views" / name
    (folder / "on").mkdir(parents=True)
    (folder / "view.conf").write_text(f"owner = tests\ninputs = {setup.name}.{table}\n")
    (folder / "tables.sql").write_text("CREATE TABLE item (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);\n")
    for what in ("insert", "update"):
        (folder / "on" / f"{table}.{what}.sql").write_text("INSERT INTO item VALUES (:id, :n) ON CONFLICT (id) DO UPDATE SET n = excluded.n;\n")
    (folder / "on" / f"{table}.delete.sql").write_text("DELETE FROM item WHERE id = :id;\n")
    (folder / "source.sql").write_text(f"-- table: item\nSELECT id, n FROM {table}\n")


def committed(servers, group, topic):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": servers.bootstrap, "group.id": group, "enable.auto.commit": False})
    try:
        found = consumer.committed([confluent_kafka.TopicPartition(topic, p) for p in range(PARTITIONS)], timeout=20)
        ends = [consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, p), timeout=20)[1] for p in range(PARTITIONS)]
        return [tp.offset for tp in found], ends
    finally:
        consumer.close()


def test_idle_and_crowded_partitions_and_offsets_of_the_group(servers, database, make_setup):
    """Most partitions get nothing at all, one gets nearly everything: the view is where the source is, within a moment; and any
    Kafka tool sees so by the group's offsets."""
    db, connection = database
    table = f"{db}.t"
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)")
    setup = make_setup(table, kafka__partitions=PARTITIONS)
    write_view(setup, table, "crowded")
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    path = setup.folder / "state" / "crowded.db"

    def rows():
        assert project.alive(), project.log_tail()
        if not path.exists():
            return None
        opened = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
        try:
            return opened.execute("SELECT id, n FROM item ORDER BY id").fetchall()
        finally:
            opened.close()

    run_sql(connection, "INSERT INTO t VALUES (1, 0), (2, 0)")
    for i in range(20):     # one key's changes lie in one partition
        run_sql(connection, "BEGIN", *["UPDATE t SET n = n + 1 WHERE id = 1"] * 500, "COMMIT")
    run_sql(connection, "UPDATE t SET n = 7 WHERE id = 2")
    setup.wait_delivered(source_position(connection), run)
    expected = [tuple(r) for r in run_sql(connection, "SELECT id, n FROM t ORDER BY id")]
    assert expected == [(1, 10000), (2, 7)]
    wait_until("the view to be the source", lambda: rows() == expected, 60)

    def all_read():
        run_sql(connection, "UPDATE t SET n = n + 1 WHERE id = 2")     # offsets go out with a commit, some seconds apart
        offsets, ends = committed(servers, f"{setup.name}.view.crowded.v1", setup.topic(table))
        # the end may hold a transaction's mark behind the last record, and what was just written
        return sum(e > 0 for e in ends) <= 2 and all(o >= e - 8 if e else o <= 0 for o, e in zip(offsets, ends, strict=True))

    wait_until("the group's offsets", all_read, 90, every=1)
    project.stop()
    run.stop()
