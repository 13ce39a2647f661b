"""Delivery without transactions, topics that vanish, and positions that don't belong to them."""
import random
import time
from collections import Counter

import pytest
from confluent_kafka.admin import AdminClient

from fold import check_seq, compare, compare_multiset
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


KEYS = {"keyed": "id INT PRIMARY KEY, s VARCHAR(500)", "keyless": "id INT, s VARCHAR(500)"}


def cut_copy(servers, database, make_setup, kind):
    """Capture was killed within a chunk of which some records had arrived; then rows were deleted and changed."""
    db, connection = database
    run_sql(connection, f"CREATE TABLE {db}.t ({KEYS[kind]})", f"INSERT INTO {db}.t SELECT seq, REPEAT('x', 500) FROM seq_1_to_20000")
    # more than the producer's queue takes (a quarter of capture.memory), so that its beginning is acknowledged
    setup = make_setup(f"{db}.t", capture__delivery="at-least-once", capture__memory="16MB", copy__connections=1, copy__chunk_rows=20000)
    run = setup.daemon("run")
    slots = with_fault_points(setup, run)
    slots.arm("chunk_sent", 7000)
    run.start()
    wait_until("most of a chunk", lambda: slots.stopped_at() == "chunk_sent", 60)
    run.kill()
    slots.disarm("chunk_sent")
    assert setup.reader.records(setup.topic(f"{db}.t")), "nothing arrived before it was killed"
    run_sql(connection, f"DELETE FROM {db}.t WHERE id % 100 = 7", f"UPDATE {db}.t SET s = 'y' WHERE id % 100 = 8")
    return db, connection, setup, run


def judge(setup, db, connection, kind):
    records = setup.reader.records(setup.topic(f"{db}.t"))
    if kind == "keyed":
        compare(records, connection, db, "t", ["id"])
    else:
        compare_multiset(records, connection, db, "t")
    said = {}
    counts = Counter(partition for partition, *_ in records)
    for c in setup.commits():
        for t in c["partitions"]:
            said[t["partition"]] = said.get(t["partition"], 0) + t["records"]
    assert said == counts
    return [r for *_, r in sorted(records, key=lambda r: r[4]["source"]["seq"])]


@pytest.mark.parametrize("kind", KEYS)
def test_at_least_once_completes_a_chunk_that_was_cut(servers, database, make_setup, kind):
    """It is kept in a file: nothing comes twice."""
    db, connection, setup, run = cut_copy(servers, database, make_setup, kind)
    run.start()
    setup.wait_delivered(source_position(connection), run)
    rows = judge(setup, db, connection, kind)
    assert "is delivered: beginning anew behind it" in run.log()
    assert max(Counter(r["after"]["id"] for r in rows if r["op"] == "r").values()) == 1
    assert "t" not in {r["op"] for r in rows}
    check_seq(setup)
    run.stop()


@pytest.mark.parametrize("kind", KEYS)
def test_at_least_once_begins_a_copy_anew_that_was_cut_elsewhere(servers, database, make_setup, kind):
    """The file is on another host: what came of the copy is taken back."""
    db, connection, setup, run = cut_copy(servers, database, make_setup, kind)
    kept = setup.folder / "state" / f"{setup.name}.chunk"
    kept.write_bytes(kept.read_bytes()[:-1])        # damaged: the same as none
    run.start()
    setup.wait_delivered(source_position(connection), run)
    rows = judge(setup, db, connection, kind)
    assert "t" in {r["op"] for r in rows}
    assert "is damaged" in run.log() and "was delivered in part" in run.log()
    run.stop()


def test_at_least_once_a_table_is_created_and_capture_is_killed(servers, database, make_setup):
    """Its records are there, and the position is of before."""
    db, connection = database
    run_sql(connection, f"CREATE TABLE {db}.t (id INT PRIMARY KEY)")
    setup = make_setup(f"{db}.*", capture__delivery="at-least-once")
    run = setup.daemon("run")
    slots = with_fault_points(setup, run)
    run.start()
    setup.wait_delivered(source_position(connection), run)
    slots.arm("next_record", 1)     # the records of the group commit are there
    run_sql(connection, f"CREATE TABLE {db}.made (id INT PRIMARY KEY)")
    for n in range(1, 6):       # it becomes known, is copied, and gets rows: each is a group commit
        run_sql(connection, f"INSERT INTO {db}.made SELECT seq FROM seq_{n}00_to_{n}50")
        wait_until("the records", lambda: slots.stopped_at() == "next_record", 30)
        run.kill()
        if n < 5:
            slots.arm("next_record", 1)
        run.start()
    setup.wait_delivered(source_position(connection), run)
    compare(setup.reader.records(setup.topic(f"{db}.made")), connection, db, "made", ["id"])
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
