"""Records that are larger than their topic takes: parked whole, with a stand-in in their place."""
import json
import random

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from fold import check_seq
from harness import run_sql, source_position, wait_until

EVENT = {"type": "record", "namespace": "x", "name": "Written",
         "millrace": {"owner": "o", "topic": "?", "key": ["id"], "from": "?", "when": "always"},
         "fields": [{"name": "id", "type": "long"}, {"name": "body", "type": "bytes"}]}


def make_topic(servers, name, limit, partitions=3):
    admin = AdminClient({"bootstrap.servers": servers.bootstrap})
    for f in admin.create_topics([NewTopic(name, partitions, 1, config={"retention.ms": "-1", "max.message.bytes": str(limit)})]).values():
        f.result(10)


def set_limit(servers, name, limit):
    admin = AdminClient({"bootstrap.servers": servers.bootstrap})
    entry = ConfigEntry("max.message.bytes", str(limit), incremental_operation=AlterConfigOpType.SET)
    for f in admin.incremental_alter_configs([ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[entry])]).values():
        f.result(10)


def put_together(setup):
    """{id: [(first piece's Parked record, value bytes)]} of what lies on the parked topic now."""
    found = {}
    for m in setup.reader.messages(f"{setup.name}.parked"):
        name, piece = m.key().decode().split("/")
        if m.value() is None:
            found.pop(name, None)
            continue
        record = setup.reader.decode(m.value())[1]
        assert record["id"] == name and record["piece"] == int(piece)
        if record["piece"] == 0:
            found[name] = (record, m.offset(), [])
        found[name][2].append(record["data"])
    out = {}
    for name, (record, offset, pieces) in found.items():
        assert len(pieces) == record["pieces"], f"{name}: {len(pieces)} of {record['pieces']} pieces"
        value = b"".join(pieces)
        assert len(value) == record["size"]
        out[name] = (record, offset, value)
    return out


def told(setup):
    """What `millrace lag` says is parked: records, bytes."""
    processes = json.loads(setup.millrace("lag", "--json").stdout)["processes"]
    return next(((p["parked"], p["parked_bytes"]) for p in processes if p["key"] == "capture"), None)


def rows_of(setup, topic):
    """Envelopes in the order of seq, stand-ins replaced by what they stand for; how many there were."""
    parked, stand_ins, out = put_together(setup), 0, []
    where = {f"{setup.name}.parked:0:{offset}": value for _, offset, value in parked.values()}
    for _, _, key, _, envelope in setup.reader.records(topic):
        if envelope["parked"] is not None:
            stand_ins += 1
            assert envelope["before"] is None and envelope["after"] is None
            _, whole = setup.reader.decode(where[envelope["parked"]])
            for field in ("op", "source", "transaction"):
                assert whole[field] == envelope[field], field
            assert whole["parked"] is None
            envelope = whole
        out.append((key, envelope))
    return sorted(out, key=lambda r: r[1]["source"]["seq"]), stand_ins


def big_table(database, name="t"):
    db, connection = database
    run_sql(connection, "SET GLOBAL max_allowed_packet = 134217728")
    connection.close()
    connection.__init__(**{**connection_arguments(connection), "database": db, "max_allowed_packet": 134217728})
    run_sql(connection, f"CREATE TABLE {db}.{name} (id BIGINT PRIMARY KEY, body LONGBLOB NOT NULL)")
    return db, connection


def connection_arguments(c):
    return {"host": c.host, "port": c.port, "user": c.user.decode() if isinstance(c.user, bytes) else c.user,
            "password": c.password.decode() if isinstance(c.password, bytes) else c.password, "charset": "utf8mb4", "autocommit": True,
            "init_command": "SET time_zone = '+00:00'"}


def insert(connection, db, row_id, body):
    with connection.cursor() as cursor:
        cursor.execute(f"REPLACE INTO {db}.t VALUES (%s, %s)", (row_id, body))


def test_a_row_over_the_limit_is_parked_and_the_stream_goes_on(servers, database, make_setup):
    db, connection = big_table(database)
    setup = make_setup(f"{db}.t")
    topic, r = setup.topic(f"{db}.t"), random.Random(4)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    bodies = {1: r.randbytes(20_000_000), 2: b"small", 3: r.randbytes(33_000_000)}
    for row_id, body in bodies.items():
        insert(connection, db, row_id, body)
    run_sql(connection, f"UPDATE {db}.t SET body = 'x' WHERE id = 1", f"DELETE FROM {db}.t WHERE id = 3")
    setup.wait_delivered(source_position(connection), run)
    rows, stand_ins = rows_of(setup, topic)
    assert stand_ins == 4, "two inserts, and the two changes whose before-image is as large"
    assert [(e["op"], k["id"]) for k, e in rows] == [("c", 1), ("c", 2), ("c", 3), ("u", 1), ("d", 3)]
    for (_, envelope), row_id in zip(rows, (1, 2, 3)):
        assert envelope["after"]["body"] == bodies[row_id]
    assert rows[3][1]["after"]["body"] == b"x" and rows[4][1]["before"]["body"] == bodies[3]
    check_seq(setup)
    listed = json.loads(setup.millrace("parked", "list", "--json").stdout)
    assert len(listed) == 4 and {p["topic"] for p in listed} == {topic}
    expected = (4, sum(p["size"] for p in listed))
    wait_until("the status record tells what is parked", lambda: told(setup) == expected)
    assert "4 records are parked, " in setup.millrace("lag").stdout
    one = next(p for p in listed if p["op"] == "u")
    shown = setup.millrace("parked", "show", one["id"])
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["op"] == "u"
    raw = setup.folder / "raw"
    assert setup.millrace("parked", "show", one["id"], "--raw", str(raw)).returncode == 0
    _, envelope = setup.reader.decode(raw.read_bytes())
    assert envelope["after"]["body"] == b"x"
    run.kill()
    run.start()  # what is parked is known again, and nothing of it is repeated
    run_sql(connection, f"INSERT INTO {db}.t VALUES (9, 'z')")
    setup.wait_delivered(source_position(connection), run)
    assert rows_of(setup, topic)[1] == 4
    check_seq(setup)
    run.stop()


def test_the_broker_takes_every_record_up_to_the_limit(servers, database, make_setup):
    """Random bytes don't compress: what goes out whole is as large as it looks."""
    db, connection = big_table(database)
    setup = make_setup(f"{db}.t", kafka__partitions=1)
    topic, r, limit = setup.topic(f"{db}.t"), random.Random(5), 1_500_000
    make_topic(servers, topic, limit, 1)
    run = setup.daemon("run").start()
    for i, size in enumerate([*range(limit - 700, limit + 60, 20), limit * 2, 10]):
        insert(connection, db, i, r.randbytes(size))
    setup.wait_delivered(source_position(connection), run)
    rows, stand_ins = rows_of(setup, topic)
    assert len(rows) == 40 and 5 < stand_ins < 35, stand_ins
    assert "retrying" not in run.log() and "trying again" not in run.log()
    check_seq(setup)
    run.stop()


def test_a_topic_with_a_low_limit_gets_small_batches(servers, database, make_setup):
    db, connection = big_table(database)
    setup = make_setup(f"{db}.t", kafka__partitions=1)
    topic, r = setup.topic(f"{db}.t"), random.Random(6)
    make_topic(servers, topic, 100_000, 1)
    run = setup.daemon("run").start()
    run_sql(connection, "BEGIN")
    for i in range(300):
        insert(connection, db, i, r.randbytes(r.randrange(20_000)))
    run_sql(connection, "COMMIT")
    setup.wait_delivered(source_position(connection), run)
    set_limit(servers, topic, 50_000)  # lowered under us
    for i in range(300, 400):
        insert(connection, db, i, r.randbytes(r.randrange(90_000)))
    setup.wait_delivered(source_position(connection), run)
    rows, stand_ins = rows_of(setup, topic)
    assert len(rows) == 400 and stand_ins > 10
    check_seq(setup)
    run.stop()


def event_setup(servers, database, make_setup, limit):
    db, connection = big_table(database)
    setup = make_setup(f"{db}.t", capture__events="events", kafka__partitions=1)
    folder = setup.folder / "events"
    folder.mkdir()
    event = json.loads(json.dumps(EVENT))
    event["millrace"].update(topic=f"{setup.name}-events", **{"from": f"{db}.t"})
    (folder / "Written.avsc").write_text(json.dumps(event))
    make_topic(servers, f"{setup.name}-events", limit, 1)
    return db, connection, setup, f"{setup.name}-events"


def test_an_event_over_the_limit_lets_later_ones_of_its_key_wait(servers, database, make_setup):
    db, connection, setup, topic = event_setup(servers, database, make_setup, 1_500_000)
    r = random.Random(7)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    insert(connection, db, 1, r.randbytes(2_000_000))
    insert(connection, db, 2, b"two")
    run_sql(connection, f"UPDATE {db}.t SET body = 'one' WHERE id = 1")
    setup.wait_delivered(source_position(connection), run)
    assert [v["id"] for _, _, _, _, v in setup.reader.records(topic)] == [2]
    run.kill()
    run.start()  # who waits is known after a restart
    run_sql(connection, f"UPDATE {db}.t SET body = 'uno' WHERE id = 1", f"UPDATE {db}.t SET body = 'due' WHERE id = 2")
    setup.wait_delivered(source_position(connection), run)
    assert [v["id"] for _, _, _, _, v in setup.reader.records(topic)] == [2, 2]
    listed = json.loads(setup.millrace("parked", "list", "--json").stdout)
    assert len([p for p in listed if p["topic"] == topic]) == 3
    check_seq(setup)
    first = min((p for p in listed if p["topic"] == topic), key=lambda p: p["seq"])
    later = max((p for p in listed if p["topic"] == topic), key=lambda p: p["seq"])
    refused = setup.millrace("parked", "retry", first["id"])
    assert refused.returncode == 3 and "max.message.bytes" in refused.stderr, refused.stderr
    refused = setup.millrace("parked", "retry", later["id"])
    assert refused.returncode == 3 and first["id"] in refused.stderr, refused.stderr
    set_limit(servers, topic, 4_000_000)
    done = setup.millrace("parked", "retry", first["id"])
    assert done.returncode == 0, done.stderr
    assert [p["id"] for p in json.loads(done.stdout)["sent"]] == [p["id"] for p in sorted(listed, key=lambda p: p["seq"]) if p["topic"] == topic]
    events = [v for _, _, _, _, v in setup.reader.records(topic)]
    assert [v["id"] for v in events] == [2, 2, 1, 1, 1], "those that waited come behind it, in their order"
    assert [v["body"][:3] for v in events[3:]] == [b"one", b"uno"] and len(events[2]["body"]) == 2_000_000
    seqs = [v["meta"]["seq"] for v in events]
    assert seqs == sorted(set(seqs))
    assert not [p for p in json.loads(setup.millrace("parked", "list", "--json").stdout) if p["topic"] == topic]
    run_sql(connection, f"UPDATE {db}.t SET body = 'eins' WHERE id = 1")
    setup.wait_delivered(source_position(connection), run)
    assert setup.reader.records(topic)[-1][4]["body"] == b"eins", "nobody waits any more"
    run.stop()


def test_a_row_is_sent_again_only_while_it_is_the_newest_of_its_key(servers, database, make_setup):
    db, connection = big_table(database)
    setup = make_setup(f"{db}.t", kafka__partitions=1)
    topic, r = setup.topic(f"{db}.t"), random.Random(8)
    make_topic(servers, topic, 1_500_000, 1)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    bodies = {1: r.randbytes(2_000_000), 2: r.randbytes(2_000_000)}
    for row_id, body in bodies.items():
        insert(connection, db, row_id, body)
    run_sql(connection, f"DELETE FROM {db}.t WHERE id = 1")
    setup.wait_delivered(source_position(connection), run)
    ids = [p["id"] for p in json.loads(setup.millrace("parked", "list", "--json").stdout)]
    assert len(ids) == 3
    set_limit(servers, topic, 4_000_000)
    refused = setup.millrace("parked", "retry", ids[0])
    assert refused.returncode == 3 and "newest" in refused.stderr and "--force" in refused.stderr, refused.stderr
    assert setup.millrace("parked", "retry", ids[1]).returncode == 0
    assert setup.millrace("parked", "drop", ids[0]).returncode == 0
    last = setup.reader.records(topic)[-1]
    assert last[2] == {"id": 2} and last[4]["after"]["body"] == bodies[2] and last[4]["source"]["seq"] == 4
    assert [p["id"] for p in json.loads(setup.millrace("parked", "list", "--json").stdout)] == ids[2:]
    rows, stand_ins = rows_of(setup, topic)  # the stand-ins can still be resolved
    assert stand_ins == 3 and len(rows) == 4
    assert [t["gtid"] for c in setup.commits() for t in c["transactions"]][-1] == f"parked:{ids[1]}"
    check_seq(setup)
    run.stop()


def test_a_row_of_64_mb_costs_the_budget_and_twice_its_size(servers, database, make_setup):
    db, connection = big_table(database)
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    size = 64_000_000
    insert(connection, db, 1, random.Random(9).randbytes(size))
    setup.wait_delivered(source_position(connection), run)
    assert rows_of(setup, setup.topic(f"{db}.t"))[1] == 1
    print("peak", run.peak_rss_mb(), "MB")
    assert run.peak_rss_mb() <= 96 + 2 * size / 1024 / 1024
    run.stop()


def test_a_row_is_dropped_or_sent_by_force(servers, database, make_setup):
    """--force sends a row although something newer was delivered; drop --force takes its pieces as well."""
    db, connection = big_table(database)
    setup = make_setup(f"{db}.t", kafka__partitions=1)
    topic, r = setup.topic(f"{db}.t"), random.Random(9)
    make_topic(servers, topic, 1_500_000, 1)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    body = r.randbytes(2_000_000)
    insert(connection, db, 1, body)
    insert(connection, db, 2, r.randbytes(2_000_000))
    run_sql(connection, f"UPDATE {db}.t SET body = 'small' WHERE id = 1")
    setup.wait_delivered(source_position(connection), run)

    def listed():
        return [p["id"] for p in json.loads(setup.millrace("parked", "list", "--json").stdout)]

    def pieces():
        """Ids that still have a piece: the last record of a key counts."""
        last = {m.key(): m.value() for m in setup.reader.messages(f"{setup.name}.parked")}
        return {key.decode().rsplit("/", 1)[0] for key, value in last.items() if value is not None}

    ids = listed()
    assert len(ids) == 3 and pieces() == set(ids)      # 1, 2, and 1 again: its before-image is as large
    for words in (("retry", "no-such-id"), ("drop", "no-such-id")):
        refused = setup.millrace("parked", *words)
        assert refused.returncode == 3 and "no-such-id" in refused.stderr and "HINT" in refused.stderr, refused.stderr
    refused = setup.millrace("parked", "retry", ids[0])
    assert refused.returncode == 3 and "newest" in refused.stderr, refused.stderr
    refused = setup.millrace("parked", "retry", ids[0], "--force")
    assert refused.returncode == 3 and "max.message.bytes" in refused.stderr, refused.stderr
    assert listed() == ids, "what was refused is still there"
    set_limit(servers, topic, 4_000_000)
    done = setup.millrace("parked", "retry", ids[0], "--force")
    assert done.returncode == 0, done.stderr
    last = setup.reader.records(topic)[-1]
    assert last[2] == {"id": 1} and last[4]["after"]["body"] == body, "the old row is the last of its key now"
    assert listed() == ids[1:] and pieces() == set(ids), "the topic's stand-in goes on speaking of the pieces"
    assert setup.millrace("parked", "drop", ids[1]).returncode == 0
    assert listed() == ids[2:] and pieces() == set(ids), "no longer told about, but still there"
    assert setup.millrace("parked", "drop", ids[2], "--force").returncode == 0
    assert listed() == [] and pieces() == set(ids[:2])
    refused = setup.millrace("parked", "drop", ids[2], "--force")
    assert refused.returncode == 3 and "nothing is parked" in refused.stderr, refused.stderr
    run.kill()
    run.start()
    insert(connection, db, 3, b"three")
    setup.wait_delivered(source_position(connection), run)
    assert listed() == [], "a restart knows it, too"
    check_seq(setup)
    run.stop()


def test_an_event_that_is_dropped_lets_those_behind_it_go(servers, database, make_setup):
    db, connection, setup, topic = event_setup(servers, database, make_setup, 1_500_000)
    r = random.Random(10)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    insert(connection, db, 1, r.randbytes(2_000_000))
    run_sql(connection, f"UPDATE {db}.t SET body = 'one' WHERE id = 1", f"UPDATE {db}.t SET body = 'uno' WHERE id = 1")
    setup.wait_delivered(source_position(connection), run)
    mine = sorted((p for p in json.loads(setup.millrace("parked", "list", "--json").stdout) if p["topic"] == topic),
                  key=lambda p: p["seq"])
    assert len(mine) == 3 and not setup.reader.records(topic)
    refused = setup.millrace("parked", "drop", mine[1]["id"])
    assert refused.returncode == 3 and mine[0]["id"] in refused.stderr, refused.stderr
    done = setup.millrace("parked", "drop", mine[0]["id"])
    assert done.returncode == 0, done.stderr
    assert [p["id"] for p in json.loads(done.stdout)["sent"]] == [p["id"] for p in mine[1:]]
    assert [v["body"] for *_, v in setup.reader.records(topic)] == [b"one", b"uno"]
    assert not [p for p in json.loads(setup.millrace("parked", "list", "--json").stdout) if p["topic"] == topic]
    ends = [(c["first_seq"], c["seq"]) for c in setup.commits() if c["seq"] >= c["first_seq"]]
    assert all(later[0] == earlier[1] + 1 for earlier, later in zip(ends, ends[1:])), ends
    run.stop()
