"""Delivery without transactions, topics that vanish, and positions that don't belong to them."""
import random
import time
from collections import Counter

from confluent_kafka.admin import AdminClient

from fold import check_seq, compare
from harness import run_sql, source_position, wait_until, with_fault_points
from test_crash import TYPES_KEY, Load
from test_errors import CONFIG, ends_with
from test_rows import ALL_TYPES, traffic


def delete_topic(servers, name):
    admin = AdminClient({"bootstrap.servers": servers.bootstrap})
    for f in admin.delete_topics([name]).values():
        f.result(10)


def test_at_least_once_repeats_nothing_when_it_is_killed(servers, database, make_setup):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, ALL_TYPES.format("t"))
    setup = make_setup(f"{db}.t", capture__delivery="at-least-once")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)  # the copy's chunks are another matter
    load = Load(servers, db, seed)
    run_sql(load.connection, "SET sql_mode = ''")
    traffic(r, load.connection, "t", 100, load.live, load.next_id)
    load.start()
    for _ in range(8):
        time.sleep(r.uniform(0.2, 2.5))
        run.kill()
        run.start()
    load.stop()
    setup.wait_delivered(source_position(connection), run)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", TYPES_KEY)
    assert check_seq(setup) > 300
    run.stop()
    setup.settings["capture.delivery"] = "exactly-once"  # and on in the other mode
    setup.write()
    run.start()
    run_sql(connection, f"DELETE FROM {db}.t LIMIT 3")
    setup.wait_delivered(source_position(connection), run)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", TYPES_KEY)
    check_seq(setup)
    run.stop()


def test_at_least_once_copies_rightly_when_it_is_killed(servers, database, make_setup):
    """A chunk in flight comes again: rows may repeat as `r`, none is missing, commit records stay true."""
    db, connection = database
    run_sql(connection, f"CREATE TABLE {db}.t (id INT PRIMARY KEY, v VARCHAR(40))")
    run_sql(connection, f"INSERT INTO {db}.t SELECT seq, REPEAT('x', 30) FROM seq_1_to_4000")
    setup = make_setup(f"{db}.t", capture__delivery="at-least-once", copy__chunk_rows=200)
    run, r = setup.daemon("run"), random.Random(3)
    for _ in range(6):
        run.start()
        time.sleep(r.uniform(0.5, 3))
        run.kill()
    run.start()
    setup.wait_delivered(source_position(connection), run)
    records = setup.reader.records(setup.topic(f"{db}.t"))
    assert {key["id"] for _, _, key, _, _ in records} == set(range(1, 4001))
    counts = {}
    for partition, _, _, _, _ in records:
        counts[partition] = counts.get(partition, 0) + 1
    said = {}
    for c in setup.commits():
        for t in c["partitions"]:
            said[t["partition"]] = said.get(t["partition"], 0) + t["records"]
    assert said == counts
    run.stop()


def test_at_least_once_takes_back_a_copy_without_a_key_that_was_cut(servers, database, make_setup):
    """Nothing tells its rows apart: those that came before the crash would be there twice."""
    db, connection = database
    run_sql(connection, f"CREATE TABLE {db}.t (v INT, s VARCHAR(500))")
    run_sql(connection, f"INSERT INTO {db}.t SELECT seq DIV 2, REPEAT('x', 500) FROM seq_1_to_20000")
    setup = make_setup(f"{db}.t", capture__delivery="at-least-once")
    run = setup.daemon("run")
    slots = with_fault_points(setup, run)
    slots.arm("chunk_row", 18000)
    run.start()
    wait_until("most of the copy", lambda: slots.stopped_at() == "chunk_row", 60)
    run.kill()
    slots.disarm("chunk_row")
    assert setup.reader.records(setup.topic(f"{db}.t")), "nothing arrived before it was killed"
    run.start()
    setup.wait_delivered(source_position(connection), run)
    rows = Counter()
    for *_, value in sorted(setup.reader.records(setup.topic(f"{db}.t")), key=lambda r: r[4]["source"]["seq"]):
        if value["op"] == "t":
            rows.clear()
        else:
            rows[value["after"]["v"]] += 1
    assert rows == Counter(n // 2 for n in range(1, 20001))
    assert "was delivered in part" in run.log()


def test_at_least_once_a_table_is_created_and_capture_is_killed(servers, database, make_setup):
    """Its records are there, and the position is of before."""
    db, connection = database
    run_sql(connection, f"CREATE TABLE {db}.t (id INT PRIMARY KEY)")
    setup = make_setup(f"{db}.*", capture__delivery="at-least-once")
    run = setup.daemon("run")
    slots = with_fault_points(setup, run)
    run.start()
    setup.wait_delivered(source_position(connection), run)
    slots.arm("flushed", 1)     # the records of the group commit are there
    run_sql(connection, f"CREATE TABLE {db}.made (id INT PRIMARY KEY)")
    for n in range(1, 4):       # the first group commit says that it was made, the next holds its rows
        run_sql(connection, f"INSERT INTO {db}.made SELECT seq FROM seq_{n}00_to_{n}50")
        wait_until("the records", lambda: slots.stopped_at() == "flushed", 30)
        run.kill()
        run.start()
        if n < 3:
            slots.arm("flushed", 1)
    setup.wait_delivered(source_position(connection), run)
    compare(setup.reader.records(setup.topic(f"{db}.made")), connection, db, "made", ["id"])
    assert {r["op"] for *_, r in setup.reader.records(setup.topic(f"{db}.made"))} == {"c"}
    check_seq(setup)
    run.stop()


def test_a_data_topic_that_was_deleted_is_not_made_anew(servers, database, make_setup):
    db, connection = database
    run_sql(connection, f"CREATE TABLE {db}.t (id INT PRIMARY KEY)", f"INSERT INTO {db}.t VALUES (1)")
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    delete_topic(servers, setup.topic(f"{db}.t"))
    ends_with(setup, CONFIG, setup.topic(f"{db}.t"), "deleted")
    assert setup.topic(f"{db}.t") not in setup.reader.topics(setup.name)


def test_a_data_topic_that_is_deleted_under_us_ends_capture(servers, database, make_setup):
    db, connection = database
    run_sql(connection, f"CREATE TABLE {db}.t (id INT PRIMARY KEY)", f"INSERT INTO {db}.t VALUES (1)")
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    delete_topic(servers, setup.topic(f"{db}.t"))
    run_sql(connection, f"INSERT INTO {db}.t VALUES (2)")
    assert run.ended(120) == CONFIG
    assert setup.topic(f"{db}.t") in run.log_tail()
    assert setup.topic(f"{db}.t") not in setup.reader.topics(setup.name)


def test_commit_records_that_were_lost_are_noticed(servers, database, make_setup):
    db, connection = database
    run_sql(connection, f"CREATE TABLE {db}.t (id INT PRIMARY KEY)", f"INSERT INTO {db}.t VALUES (1)")
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    delete_topic(servers, f"{setup.name}.commits")
    ends_with(setup, CONFIG, f"{setup.name}.commits", "is gone")


def test_a_position_older_than_the_commit_records_is_noticed(servers, database, make_setup):
    from confluent_kafka import Producer
    db, connection = database
    run_sql(connection, f"CREATE TABLE {db}.t (id INT PRIMARY KEY)", f"INSERT INTO {db}.t VALUES (1)")
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    own = [m for m in setup.reader.messages(f"{setup.name}.position") if m.key() == setup.name.encode()]
    producer = Producer({"bootstrap.servers": servers.bootstrap})
    producer.produce(f"{setup.name}.position", own[0].value(), own[0].key())  # as a backup would bring it back
    assert producer.flush(30) == 0
    ends_with(setup, CONFIG, f"{setup.name}.position", "older")
