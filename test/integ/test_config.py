"""Configuration and tables that change between two runs, and starts that are not clean."""
import json
import socket
import threading
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from fold import check_seq, compare
from harness import kill_between_parts, run_sql, source_position, wait_until, with_fault_points
from test_errors import CONFIG, closed_port, ends_with, table  # noqa: F401
from test_view_troubles import answer, folder_of, verified

NO_PAGES = ["--http.listen=off"]


class Ears:
    """Hears what a daemon of this setup says to systemd, with a watchdog of 0.1 s."""

    def __init__(self, setup, folder):
        self.socket, self.times = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), []
        self.socket.bind(str(folder / "notify"))
        self.socket.settimeout(0.05)
        setup.env = {**setup.env, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "100000"}

    def listen(self, condition):
        while condition():
            try:
                if self.socket.recv(4096) in (b"READY=1", b"WATCHDOG=1"):
                    self.times.append(time.monotonic())
            except TimeoutError:
                pass

    def longest_silence(self):
        gaps = [b - a for a, b in zip(self.times, self.times[1:])]
        print("longest silence", max(gaps), "of", self.times[-1] - self.times[0])
        return max(gaps)


def write_event(setup, name, topic, where=None, when="enters"):
    folder = setup.folder / "events"
    folder.mkdir(exist_ok=True)
    binding = {"owner": "me", "topic": f"{setup.name}.{topic}", "key": ["id"], "from": setup.settings["capture.tables"], "when": when}
    if where:
        binding["where"] = where
    (folder / f"{name}.avsc").write_text(json.dumps({
        "type": "record", "namespace": "shop", "name": name, "doc": "A test.", "millrace": binding,
        "fields": [{"name": "id", "type": "int"}]}))


def until_delivered(setup, connection):
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    return run


def test_events_come_go_and_do_not_change(table, make_setup):  # noqa: F811
    db, connection = table
    setup = make_setup(f"{db}.t", capture__events="events")
    write_event(setup, "Came", "came")
    until_delivered(setup, connection)
    write_event(setup, "Came", "came", where="v = 'a'")
    ends_with(setup, CONFIG, "event shop.Came", "where=v = 'a'", flags=NO_PAGES)
    write_event(setup, "Came", "came")
    write_event(setup, "Left", "left", when="leaves")
    run_sql(connection, f"INSERT INTO {db}.t VALUES (2, 'b')", f"DELETE FROM {db}.t WHERE id = 1")
    run = until_delivered(setup, connection)
    assert "event shop.Left is new" in run.log()
    assert [r[4]["id"] for r in setup.reader.records(f"{setup.name}.left")] == [1]
    (setup.folder / "events" / "Came.avsc").unlink()
    run_sql(connection, f"INSERT INTO {db}.t VALUES (3, 'c')")
    run = until_delivered(setup, connection)
    assert "event shop.Came is no longer configured" in run.log()
    assert sorted(r[4]["id"] for r in setup.reader.records(f"{setup.name}.came")) == [1, 2]
    check_seq(setup)


def add_partitions(servers, topic, count):
    admin = AdminClient({"bootstrap.servers": servers.bootstrap})
    for f in admin.create_partitions([NewPartitions(topic, count)]).values():
        f.result(10)


def by_seq(setup, topic):
    return sorted(setup.reader.records(topic), key=lambda r: r[4]["source"]["seq"])


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_partitions_added_to_a_topic(servers, database, make_setup, delivery):
    """Keys move; by seq all is right: the fold, a view that was there before, and a reconciling copy finds nothing."""
    db, connection = database
    run_sql(connection, f"CREATE TABLE {db}.t (id INT PRIMARY KEY, part INT)", f"INSERT INTO {db}.t SELECT seq, 1 FROM seq_1_to_100")
    setup = make_setup(f"{db}.t", capture__delivery=delivery)
    folder_of(setup, db)
    topic = setup.topic(f"{db}.t")
    until_delivered(setup, connection)
    project = setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (100,))
    add_partitions(servers, topic, 7)
    run_sql(connection, f"UPDATE {db}.t SET part = 2 WHERE id <= 60", f"DELETE FROM {db}.t WHERE id % 3 = 0",
            f"INSERT INTO {db}.t VALUES (3, 9), (6, 9), (200, 1)", f"DELETE FROM {db}.t WHERE id = 6")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    assert f"topic {topic} has more partitions: keys move" in run.log(), run.log_tail()
    assert max(r[0] for r in setup.reader.records(topic)) > 3
    compare(by_seq(setup, topic), connection, db, "t", ["id"])
    out = setup.millrace("snapshot", "--json", f"{db}.t")
    assert out.returncode == 0, out.stdout + out.stderr
    one = json.loads(out.stdout)[0]
    assert (one["created"], one["updated"], one["deleted"], one["unknown"]) == (0, 0, 0, 0), one
    verified(setup)
    project.stop()
    run.stop()
    check_seq(setup)


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_partitions_added_inside_a_cut_transaction(servers, database, make_setup, delivery):
    """Its rest goes where it would have gone; what follows uses the new ones."""
    db, connection = database
    run_sql(connection, f"CREATE TABLE {db}.t (id INT PRIMARY KEY, v VARCHAR(200))")
    setup = make_setup(f"{db}.t", source__start="now", capture__memory="64M", kafka__transaction__timeout__ms="4000", kafka__timeout="4s",
                       capture__delivery=delivery)
    topic = setup.topic(f"{db}.t")
    until_delivered(setup, connection)
    before = len(AdminClient({"bootstrap.servers": servers.bootstrap}).list_topics(topic).topics[topic].partitions)
    run = setup.daemon("run")
    slots = with_fault_points(setup, run)
    slots.arm("change", 1000)
    run.start()
    run_sql(connection, f"INSERT INTO {db}.t SELECT seq, REPEAT('x', 100) FROM seq_1_to_20000")
    kill_between_parts(setup, run, slots, "change", 1000)
    add_partitions(servers, topic, before + 5)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run_sql(connection, f"UPDATE {db}.t SET v = 'y' WHERE id <= 300")
    setup.wait_delivered(source_position(connection), run)
    assert "the source transaction in hand is delivered to the first" in run.log(), run.log_tail()
    run_sql(connection, f"UPDATE {db}.t SET v = 'z' WHERE id <= 300")
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    used = {}
    for partition, _, _, _, envelope in setup.reader.records(topic):
        used.setdefault(envelope["after"]["v"][0], set()).add(partition)
    assert max(used["x"]) < before <= max(used["z"]), used
    check_seq(setup)


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_tables_changed_inside_a_cut_transaction(servers, database, make_setup, delivery):
    """Its rest is counted by the tables of then; a table that is new is copied behind it."""
    db, connection = database
    run_sql(connection, f"CREATE TABLE {db}.t (id INT PRIMARY KEY, v VARCHAR(200))", f"CREATE TABLE {db}.u (id INT PRIMARY KEY, v INT)")
    setup = make_setup(f"{db}.t", source__start="now", capture__memory="64M", kafka__transaction__timeout__ms="4000", kafka__timeout="4s",
                       capture__delivery=delivery)
    until_delivered(setup, connection)
    run = setup.daemon("run")
    slots = with_fault_points(setup, run)
    slots.arm("change", 1000)
    run.start()
    run_sql(connection, "BEGIN", f"INSERT INTO {db}.u SELECT seq, 1 FROM seq_1_to_500",
            f"INSERT INTO {db}.t SELECT seq, REPEAT('x', 100) FROM seq_1_to_20000", f"UPDATE {db}.u SET v = v + 1",
            f"DELETE FROM {db}.t WHERE id % 1000 = 7", "COMMIT")
    kill_between_parts(setup, run, slots, "change", 1000)
    setup.settings["capture.tables"] = f"{db}.t, {db}.u"
    setup.write()
    run = setup.daemon("run").start()
    wait_until("the table that is new", lambda: run.alive() and "beginning anew with them" in run.log(), 90)
    run_sql(connection, f"UPDATE {db}.t SET v = 'y' WHERE id <= 30", f"UPDATE {db}.u SET v = 9 WHERE id <= 30")
    setup.wait_delivered(source_position(connection), run)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    compare(setup.reader.records(setup.topic(f"{db}.u")), connection, db, "u", ["id"])
    check_seq(setup)
    run.stop()


def test_a_dropped_table_can_be_taken_out_but_not_in_again(table, make_setup):  # noqa: F811
    db, connection = table
    run_sql(connection, f"CREATE TABLE {db}.u (id INT PRIMARY KEY)", f"INSERT INTO {db}.u VALUES (1)")
    setup = make_setup(f"{db}.t, {db}.u")
    until_delivered(setup, connection)
    run_sql(connection, f"DROP TABLE {db}.u", f"INSERT INTO {db}.t VALUES (2, 'b')")
    setup.settings["capture.tables"] = f"{db}.t"
    setup.write()
    run = until_delivered(setup, connection)
    assert f"table {db}.u is no longer configured" in run.log()
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id"])
    run_sql(connection, f"CREATE TABLE {db}.u (id INT PRIMARY KEY)")
    setup.settings["capture.tables"] = f"{db}.t, {db}.u"
    setup.write()
    ends_with(setup, CONFIG, setup.topic(f"{db}.u"), "capture.adopt", flags=NO_PAGES)
    check_seq(setup)


def test_a_first_commit_that_was_aborted(servers, table, make_setup):  # noqa: F811
    """Aborted records and markers lie in the commits topic: that is no history."""
    db, connection = table
    setup = make_setup(f"{db}.t")
    p = Producer({"bootstrap.servers": servers.bootstrap, "transactional.id": f"other-{setup.name}"})
    admin = AdminClient({"bootstrap.servers": servers.bootstrap})
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run.kill()
    for f in admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, f"{setup.name}.commits")]).values():
        config = {k: v.value for k, v in f.result(10).items() if k in ("retention.ms", "retention.bytes", "cleanup.policy")}
    again = make_setup(f"{db}.t")
    for f in admin.create_topics([NewTopic(f"{again.name}.commits", 1, 1, config=config)]).values():
        f.result(10)
    p.init_transactions(20)
    p.begin_transaction()
    p.produce(f"{again.name}.commits", value=b"never")
    p.flush(10)
    p.abort_transaction(20)
    until_delivered(again, connection)
    compare(again.reader.records(again.topic(f"{db}.t")), connection, db, "t", ["id"])


def test_start_now_and_a_table_that_comes_later(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE a (id INT PRIMARY KEY)")
    setup = make_setup(f"{db}.*", source__start="now")
    until_delivered(setup, connection)
    run_sql(connection, "CREATE TABLE b (id VARCHAR(9) PRIMARY KEY)", "INSERT INTO b VALUES ('x')", "INSERT INTO a VALUES (1)")
    run = until_delivered(setup, connection)
    assert f"{db}.b is new" in run.log()
    for name in "ab":
        compare(setup.reader.records(setup.topic(f"{db}.{name}")), connection, db, name, ["id"])


def test_a_cut_group_whose_rest_is_empty(servers, database, make_setup):
    """Of a transaction larger than the ring the last part holds no captured row: its end must be told all the same."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200))", "CREATE TABLE other (id INT, v VARCHAR(1000))")
    setup = make_setup(f"{db}.t", source__start="now", capture__memory="64M", kafka__transaction__timeout__ms="1000",
                       kafka__timeout="1s")
    until_delivered(setup, connection)
    for tries, rest in enumerate((250_000, 500_000, 1_000_000)):  # how much takes two thirds of a second is the machine's affair
        run_sql(connection, "BEGIN", f"INSERT INTO t SELECT {tries * 20_000} + seq, REPEAT('x', 200) FROM seq_1_to_20000",
                f"INSERT INTO other SELECT seq, REPEAT('y', 1000) FROM seq_1_to_{rest}", "COMMIT")
        run = until_delivered(setup, connection)
        if "is cut behind change" in run.log():
            break
    assert "is cut behind change" in run.log(), run.log_tail()
    commits = [c for c in setup.commits() if c["transactions"]]
    for commit, following in zip(commits, commits[1:]):
        assert not commit["open"] or commit["transactions"][-1]["gtid"] == following["transactions"][0]["gtid"]
    assert any(c["open"] for c in commits) and not commits[-1]["open"]
    check_seq(setup)


def test_the_watchdog_is_served_while_the_ring_is_never_empty(servers, database, make_setup, tmp_path):
    """A catch-up of small transactions: nothing ever waits, and systemd must hear of us all the same."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(50), b VARCHAR(50))",
            "CREATE PROCEDURE fill() BEGIN DECLARE i INT DEFAULT 0; WHILE i < 6000 DO INSERT INTO t (a, b) SELECT REPEAT('a', 50), "
            "REPEAT('b', 50) FROM seq_1_to_60; SET i = i + 1; END WHILE; END")
    setup = make_setup(f"{db}.t", source__start="now")
    until_delivered(setup, connection)
    run_sql(connection, f"CALL {db}.fill()")
    ears = Ears(setup, tmp_path)
    target, run = source_position(connection), setup.daemon("run").start()
    waiting = threading.Thread(target=setup.wait_delivered, args=(target, run))
    waiting.start()
    ears.listen(waiting.is_alive)
    run.stop()
    assert ears.longest_silence() < 1


def test_the_watchdog_is_served_while_the_source_is_away(servers, table, make_setup, tmp_path):  # noqa: F811
    setup = make_setup(f"{table[0]}.t", source__port=closed_port())
    ears = Ears(setup, tmp_path)
    run = setup.daemon("run").start()
    end = time.monotonic() + 12
    ears.listen(lambda: time.monotonic() < end)
    run.stop()
    assert len(ears.times) > 2 and ears.longest_silence() < 4
