"""Brokers that misbehave, and people who change topics under us."""
import itertools
import random
import resource
import subprocess
import threading
import time

import pytest
from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from confluent_kafka.admin import ConfigResource, NewPartitions, ResourceType

from fold import check_seq
from harness import ROOT, run_sql, wait_until
from hostile import CONFIG, DATA, Reader, case, p as proxy, world  # noqa: F401  (fixtures)

names = itertools.count(1)

# ---- the brokers ----------------------------------------------------------------------------------------------------

def test_a_slow_broker(case):
    """200 kB a second: reading waits for the brokers, nothing is given up."""
    c = case(kafka__timeout="60s").start()
    c.broker.limit(200_000)
    c.write(300, size=2000)
    time.sleep(1)
    assert c.run.alive()
    c.broker.limit(None)
    c.heals()
    c.stop()


def test_a_broker_that_answers_nothing(case):
    c = case(kafka__timeout="4s").start()
    since = c.mark()
    c.broker.stall(None)
    c.write(10)
    wait_until("a retry", lambda: c.said("level=warning", "trying again", 'hint="', since=since), 60)
    c.broker.resume()
    c.heals(timeout=90)
    c.stop()


def test_the_brokers_connections_are_cut(case):
    c = case(capture__commit_interval="20ms").start()
    stop = threading.Event()

    def saw():
        while not stop.wait(0.15):
            c.broker.cut(reset=True)

    saws = threading.Thread(target=saw)
    saws.start()
    try:
        c.write(200)
    finally:
        stop.set()
        saws.join()
    c.heals(timeout=90)
    c.stop()


def test_a_data_topic_is_deleted_under_us(case):
    """It is not made anew: its history is gone, and who reads it must hear of that."""
    c = case().start()
    c.write(5)
    c.delivered()
    topic = c.setup.topic(f"{c.db}.t")
    c.admin.delete_topics([topic])[topic].result(30)
    c.write(5)
    c.ends(CONFIG, topic)
    c.run.start()
    c.ends(CONFIG, topic)
    assert topic not in c.setup.reader.topics(c.name), "it was made anew"


@pytest.mark.parametrize("kind", ["position", "commits"])
def test_a_topic_of_our_own_is_deleted_under_us(case, kind):
    c = case().start()
    c.write(5)
    c.delivered()
    topic = f"{c.name}.{kind}"
    c.admin.delete_topics([topic])[topic].result(30)
    c.write(5)
    c.ends(CONFIG, f"topic {c.name}.")
    c.run.start()
    c.ends(CONFIG, f"topic {c.name}.")
    assert c.setup.reader.records(c.setup.topic(f"{c.db}.t"))  # what is there stays


def test_the_schemas_topic_is_gone(case):
    """New ids would be given to other schemas than the ones that records on the topics name."""
    c = case(kafka__schemas_topic=f"_schemas{next(names)}").start()
    topic = c.setup.settings["kafka.schemas_topic"]
    c.stop()
    c.admin.delete_topics([topic])[topic].result(30)
    wait_until("the deletion", lambda: topic not in c.setup.reader.topics(topic), 30)
    c.run.start()
    code = c.run.ended(60)
    assert code in (CONFIG, DATA), c.run.log_tail()
    assert c.said("level=error", topic, 'hint="'), c.run.log_tail()


def test_a_topics_record_limit_is_lowered_under_us(case):
    c = case().start()
    topic = c.setup.topic(f"{c.db}.t")

    def limit(value):
        resource = ConfigResource(ResourceType.TOPIC, topic, {"max.message.bytes": str(value), "retention.ms": "-1",
                                                              "retention.bytes": "-1"})
        c.admin.alter_configs([resource])[resource].result(30)

    limit(1000)
    c.write(3, size=10)
    c.delivered()
    noise = "".join(random.choice("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(1900))
    run_sql(c.connection, f"INSERT INTO {c.db}.t VALUES (800001, 1, '{noise}')")
    c.ends(CONFIG, topic, "max.message.bytes")
    limit(16777216)
    c.run.start()
    c.heals()
    c.stop()


def test_partitions_are_added_under_us(case):
    """What runs goes on with the old number; the next start uses them."""
    c = case().start()
    c.write(5)
    topic = c.setup.topic(f"{c.db}.t")
    c.admin.create_partitions([NewPartitions(topic, 5)])[topic].result(30)
    c.write(5)
    c.heals()
    assert not [m for m in c.setup.reader.messages(topic) if m.partition() >= 3]
    c.stop()
    c.run.start()
    c.write(20)
    c.delivered()
    assert c.said("level=warning", topic, "has more partitions")
    assert [m for m in c.setup.reader.messages(topic) if m.partition() >= 3]
    check_seq(c.setup)


def test_retention_cuts_a_data_topic(case):
    """What was delivered may go, by an administrator's hand; what is delivered next follows on."""
    c = case().start()
    c.write(10)
    c.delivered()
    topic = c.setup.topic(f"{c.db}.t")
    before = c.setup.reader.records(topic)
    c.admin.delete_records([TopicPartition(topic, n, -1) for n in range(3)])    # -1: all that is there

    def cut():
        try:
            return not c.setup.reader.messages(topic, lowest=OFFSET_BEGINNING)
        except AssertionError:      # where it begins was asked before the cut, and read behind it
            return False

    wait_until("the cut", cut, 30)
    c.write(5)
    c.delivered()
    c.run.kill()
    c.run.start()
    c.write(5)
    c.delivered()
    after = sorted(v["source"]["seq"] for *_, v in c.setup.reader.records(topic, lowest=OFFSET_BEGINNING))
    last = max(v["source"]["seq"] for *_, v in before)
    assert after and after == list(range(last + 1, last + 1 + len(after)))
    c.stop()


FILE_MAX = 11 * 1024 * 1024       # above the 10 MB that Kafka sets aside for an index


def test_a_brokers_disk_is_full(case):
    """Kafka gives up a folder that takes no more, and ends when it was the only one. A limit for its files does the same."""
    c = case(kafka__timeout="4s", kafka__partitions=1).start()
    c.write(5)
    c.delivered()
    script, folder = ROOT / "scripts" / "servers", c.servers.folder
    subprocess.run([script, "restart", folder, "kafka"], check=True, stdout=subprocess.DEVNULL, preexec_fn=lambda:
                   resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_MAX, resource.getrlimit(resource.RLIMIT_FSIZE)[1])))
    c.heals(timeout=90)
    since = c.mark()
    noise = ", ".join(["SHA2(RAND(), 512)"] * 15)
    run_sql(c.connection, *[f"INSERT INTO {c.db}.t SELECT seq, 1, CONCAT({noise}) FROM seq_{n}001_to_{n + 1}000"
                            for n in range(900, 908)])
    wait_until("the broker's end", lambda: subprocess.run([script, "status", folder], capture_output=True).returncode == 3, 120)
    wait_until("a retry", lambda: c.said("level=warning", "trying again", 'hint="', since=since), 90)
    assert c.run.alive()
    c.servers.script("start", folder, "--kafka")     # there is room again
    c.heals(timeout=180)
    c.stop()


def test_a_broker_comes_back_on_another_port(case):
    """What it advertises counts; kafka.bootstrap only has to name one address that answers."""
    c = case(kafka__timeout="8s")
    servers, old = c.servers, c.broker
    new = proxy.Proxy(*old.target, protocol="blind")
    c.setup.settings["kafka.bootstrap"] = f"127.0.0.1:{old.port},127.0.0.1:{new.port}"
    c.setup.write()
    try:
        c.start()
        c.write(5)
        c.delivered()
        servers.script("restart", servers.folder, "kafka", f"--kafka-option=advertised.listeners=CLIENT://127.0.0.1:{new.port}")
        old.refuse()
        old.cut()
        c.write(20)
        c.setup.reader = Reader(f"127.0.0.1:{new.port}")
        c.heals(timeout=120)
        c.stop()
    finally:
        old.accept()
        servers.script("restart", servers.folder, "kafka", f"--kafka-option=advertised.listeners=CLIENT://127.0.0.1:{old.port}")
        new.close()
