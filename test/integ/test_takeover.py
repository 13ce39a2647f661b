"""Two instances: who leads, how fast the other one takes over, and that never both write (DESIGN 4.9)."""
import json
import os
import signal
import time
import urllib.request

import pytest
from confluent_kafka import Consumer, ConsumerGroupState, TopicPartition
from confluent_kafka.admin import AdminClient

from fold import compare
from harness import run_sql, source_position, wait_until


def instance(setup, number, *words):
    """One of several instances of a capture: pages and log of its own, everything else the same."""
    setup.http["run"] = f"127.0.0.1:{next(setup.ports)}"
    daemon = setup.daemon("run", *words)
    daemon.page = setup.http["run"]
    daemon.log_path = setup.folder / f"run{number}.log"
    return daemon


def get(daemon, path):
    try:
        with urllib.request.urlopen(f"http://{daemon.page}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError:
        return None, ""


def stands_by(daemon):
    return get(daemon, "/readyz") == (200, "standby\n")


def streams(daemon):
    return get(daemon, "/readyz") == (200, "ok\n")


@pytest.fixture
def pair(database, make_setup):
    """A leader that streams and a standby."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(10))", "INSERT INTO t (v) VALUES ('a')")
    setup = make_setup(f"{db}.t")
    first, second = instance(setup, 1), instance(setup, 2)
    first.start()
    setup.wait_delivered(source_position(connection), first)
    second.start()
    wait_until("the second instance stands by", lambda: stands_by(second))
    return setup, db, connection, first, second


def insert(connection, db):
    run_sql(connection, f"INSERT INTO {db}.t (v) VALUES ('x')")


def check(setup, db, connection, leader):
    """Everything is there, in order, once: compare() wants seq without gap or repeat."""
    insert(connection, db)
    setup.wait_delivered(source_position(connection), leader)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])


def test_a_second_instance_stands_by(pair):
    setup, db, connection, first, second = pair
    status = {p["key"]: p for p in json.loads(get(second, "/api/status")[1])["processes"]}
    assert status["capture"]["http"] == first.page and status["capture"]["state"] == "streaming", status
    standby = wait_until("the standby's status", lambda: [
        p for p in json.loads(get(first, "/api/status")[1])["processes"] if p["kind"] == "standby"])
    assert standby[0]["http"] == second.page and standby[0]["state"] == "standby"
    assert second.log().count("standing by") == 1
    check(setup, db, connection, first)
    second.stop()
    wait_until("its status is taken away", lambda: not [
        p for p in json.loads(get(first, "/api/status")[1])["processes"] if p["kind"] == "standby"])
    first.stop()


def test_sigterm_hands_over_at_once(pair):
    setup, db, connection, first, second = pair
    first.stop()
    begun = time.monotonic()
    check(setup, db, connection, second)
    took = time.monotonic() - begun
    print(f"delivered {took:.1f} s after the end of the leader")
    assert took < 6, "it waited for a session to run out"
    second.stop()


def first_delivery_after(setup, connection, db, daemon, begun):
    insert(connection, db)
    setup.wait_delivered(source_position(connection), daemon)
    return time.monotonic() - begun


def test_kill_9_is_taken_over_within_ten_seconds(pair):
    setup, db, connection, leader, standby = pair
    took = []
    for n in range(int(os.environ.get("TAKEOVERS", "2"))):
        insert(connection, db)
        leader.kill()
        begun = time.monotonic()
        took.append(first_delivery_after(setup, connection, db, standby, begun))
        leader, standby = standby, leader
        standby.start()
        wait_until("the killed one stands by", lambda: stands_by(standby))
    print("take-over after kill -9, s:", " ".join(f"{t:.1f}" for t in took), "max", f"{max(took):.1f}")
    check(setup, db, connection, leader)
    assert max(took) < 10
    assert leader.log().count("standing by") <= 2 + len(took)
    leader.stop()
    standby.stop()


def test_a_leader_that_slept_never_writes_again(pair):
    """SIGSTOP longer than the session, take-over, SIGCONT with a transaction in hand: fenced or aborted, never delivered."""
    setup, db, connection, first, second = pair
    insert(connection, db)
    first.process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(20):
            insert(connection, db)
        setup.wait_delivered(source_position(connection), second)
    finally:
        first.process.send_signal(signal.SIGCONT)
    for _ in range(20):
        insert(connection, db)
    wait_until("the old leader is fenced or stands by", lambda: not first.alive() or stands_by(first))
    if not first.alive():
        assert first.ended() == 7, first.log_tail()
        first.start()  # as its service manager does
        wait_until("it stands by", lambda: stands_by(first))
    check(setup, db, connection, second)
    assert second.log().count("taking over") == 1 and "fenced" not in second.log()
    first.stop()
    second.stop()


def open_transaction(setup, topic):
    """Does the topic end in records that are not committed?"""
    ends = []
    for level in ("read_uncommitted", "read_committed"):
        consumer = Consumer({"bootstrap.servers": setup.servers.bootstrap, "group.id": "ends", "isolation.level": level})
        partitions = len(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
        ends.append([consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10, cached=False)[1] for p in range(partitions)])
        consumer.close()
    return ends[0] != ends[1]


def test_a_leader_that_slept_inside_a_transaction(pair):
    """SIGSTOP while records are sent and not committed; who takes over aborts them and delivers them anew, and the old leader,
    which wakes with the rest of them in hand, is fenced or stands by."""
    setup, db, connection, first, second = pair
    topic = setup.topic(f"{db}.t")
    run_sql(connection, f"INSERT INTO {db}.t (v) SELECT 'many' FROM seq_1_to_60000")
    end = time.monotonic() + 60
    while True:
        time.sleep(0.03)
        first.process.send_signal(signal.SIGSTOP)
        if open_transaction(setup, topic):
            break
        first.process.send_signal(signal.SIGCONT)
        assert time.monotonic() < end, "it was never inside a Kafka transaction"
        if len(setup.commits()) > 1 and setup.commits()[-1]["seq"] > 60000:
            run_sql(connection, f"INSERT INTO {db}.t (v) SELECT 'more' FROM seq_1_to_60000")
    try:
        setup.wait_delivered(source_position(connection), second, 180)
    finally:
        first.process.send_signal(signal.SIGCONT)
    for _ in range(20):
        insert(connection, db)
    wait_until("the old leader is fenced or stands by", lambda: not first.alive() or stands_by(first), 120)
    if not first.alive():
        assert first.ended() == 7, first.log_tail()
        first.start()  # as its service manager does
        wait_until("it stands by", lambda: stands_by(first))
    check(setup, db, connection, second)
    first.stop()
    second.stop()


def test_a_killed_leader_alone_goes_on_at_once(database, make_setup):
    """Nobody waits for the session of a process of this machine that is dead."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(10))")
    setup = make_setup(f"{db}.t")
    run = instance(setup, 1).start()
    setup.wait_delivered(source_position(connection), run)
    run.kill()
    run.start()
    begun = time.monotonic()
    wait_until("it streams", lambda: streams(run))
    assert time.monotonic() - begun < 6, run.log_tail()
    check(setup, db, connection, run)
    assert "standing by" not in run.log()
    run.stop()


def test_the_dead_are_given_nothing(servers, database, make_setup):
    """Killed while they wait to join, they count as joined, and the brokers may give one of them the partition. Who lives goes on."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(10))")
    setup = make_setup(f"{db}.t")
    admin = AdminClient({"bootstrap.servers": servers.bootstrap})
    group = f"{setup.name}.leader"

    def members():
        found = admin.describe_consumer_groups([group])[group].result(60)
        return found.state == ConsumerGroupState.STABLE and len(found.members)

    run = instance(setup, 1).start()
    wait_until("it streams", lambda: streams(run))
    wait_until("it is a member", lambda: members() == 1)
    for _ in range(3):      # of those that are dead, one decides who gets it
        run.kill()
        run.start()
        wait_until("it streams", lambda: streams(run))
    wait_until("it alone is a member", lambda: members() == 1, 90, 0.3)
    check(setup, db, connection, run)
    assert "another instance leads" not in run.log(), run.log()
    run.stop()


def test_a_stop_right_after_a_kill_does_not_wait_for_the_dead(database, make_setup):
    """The brokers decide who is a member only when the dead one's session is over: a stop takes no part in that."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(10))")
    setup = make_setup(f"{db}.t", kafka__session__timeout__ms="45000")
    run = instance(setup, 1).start()
    setup.wait_delivered(source_position(connection), run)
    for _ in range(2):
        run.kill()
        run.start()
        wait_until("it streams", lambda: streams(run))
        begun = time.monotonic()
        run.stop()
        assert time.monotonic() - begun < 20, run.log_tail()
        run.start()
        check(setup, db, connection, run)
    run.stop()
