"""The independent reader of what Millrace delivers: a Kafka client from PyPI (read_committed), the schemas from the `_schemas` topic,
and fastavro. It knows nothing of Millrace's own code."""
import contextlib
import io
import json
import threading
import time

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

MARKED_S = 0.3      # so long a commit's marks may take, or the transaction is open


class Schemas:
    """What stands in a schemas topic: read on as it grows, each parsed when it is asked for. A suite's readers share it."""
    known = {}      # by brokers and topic

    def __init__(self):
        self.texts, self.parsed, self.offset = {}, {}, 0

    @classmethod
    def of(cls, bootstrap, topic):
        return cls.known.setdefault((bootstrap, topic), cls())

    @classmethod
    def forget(cls, bootstrap):
        """Other brokers may get the address."""
        for key in [key for key in cls.known if key[0] == bootstrap]:
            del cls.known[key]

    def get(self, schema_id, read):
        """read(offset): the topic's messages from there on."""
        if schema_id not in self.parsed:
            if schema_id not in self.texts:
                self.read_on(read)
            self.parsed[schema_id] = fastavro.parse_schema(json.loads(self.texts[schema_id]), {})
        return self.parsed[schema_id]

    def read_on(self, read):
        for m in read(self.offset):
            self.offset = m.offset() + 1
            key, value = json.loads(m.key()), json.loads(m.value()) if m.value() else None
            if key.get("keytype") == "SCHEMA" and value:
                self.texts.setdefault(value["id"], value["schema"])


class Reader:
    """Reads topics as any consumer would. Its client stays connected between two readings, one for each thread: most readings ask
    whether something has come, and a connection costs the broker more than the answer."""

    def __init__(self, bootstrap):
        self.bootstrap, self.schemas_topic = bootstrap, "_schemas"
        self.mine, self.clients = threading.local(), []

    def consumer(self, **more):
        return Consumer({"bootstrap.servers": self.bootstrap, "log_level": 2, "group.id": "independent-reader", "enable.auto.commit": False,
                         "isolation.level": "read_committed", "enable.partition.eof": True,
                         "auto.offset.reset": "error", "fetch.wait.max.ms": 20, **more})

    @contextlib.contextmanager
    def client(self):
        """This thread's. After a failure the next reading gets a new one."""
        c = getattr(self.mine, "client", None)
        if c is None:
            c = self.mine.client = self.consumer()
            self.clients.append(c)
        try:
            yield c
            c.unassign()
        except BaseException:
            self.mine.client = None
            self.clients.remove(c)
            c.close()
            raise

    def close(self):
        """At the end, when no thread reads any more."""
        while self.clients:
            self.clients.pop().close()
        self.mine = threading.local()

    def topics(self, prefix=""):
        with self.client() as c:
            found = c.list_topics(timeout=60).topics  # may be ten thousand
            return {name: len(t.partitions) for name, t in found.items() if name.startswith(prefix)}

    def messages(self, topic, offsets=None, lowest=0):
        """All committed messages of a topic, in the order of each partition; offsets: {partition: first offset}; lowest: where
        the others begin (OFFSET_BEGINNING: where the topic has lost its beginning)."""
        with self.client() as c:
            found = c.list_topics(topic, timeout=60).topics[topic]
            partitions = [] if found.error else [TopicPartition(topic, p, (offsets or {}).get(p, lowest)) for p in sorted(found.partitions)]
        return self.to_the_end(partitions)

    def to_the_end(self, partitions):
        """All committed messages of these partitions, any number of topics. Brokers answer a commit before they have marked it in each
        partition: where more is there than may be read, it is waited for a moment."""
        open_ones, early, out = {(p.topic, p.partition) for p in partitions}, {}, []
        if not partitions:
            return out
        with self.client() as c:
            c.assign(partitions)
            quiet_since = time.monotonic()
            while open_ones:
                for m in self.next_ones(c):
                    quiet_since = time.monotonic()
                    at = m.topic(), m.partition()
                    if m.error() is None:
                        out.append(m)
                        early.pop(at, None)
                    elif m.error().code() != KafkaError._PARTITION_EOF:
                        raise AssertionError(f"{m.topic()}: {m.error()}")
                    elif m.offset() < c.get_watermark_offsets(TopicPartition(*at), cached=True)[1]:
                        early[at] = time.monotonic()
                    else:
                        open_ones.discard(at)
                open_ones -= {at for at, since in early.items() if time.monotonic() - since > MARKED_S}
                assert time.monotonic() - quiet_since < 90, f"no end of {sorted(open_ones)} within 90 s of silence"
        return out

    @staticmethod
    def next_ones(c, seconds=0.2):
        """As soon as there is one, and all that came with it: consume() waits for as many as it is asked for."""
        first = c.poll(seconds)
        return [] if first is None else [first, *c.consume(2000, 0)]

    def follow(self, topic):
        """The messages of a topic's partition 0 from its beginning, in lists, as they come; an empty one after a while in which none
        did. [None]: they begin anew, because the topic is gone, or the brokers were."""
        while True:
            c = self.consumer()
            try:
                while c.list_topics(topic, timeout=60).topics[topic].error:
                    yield []
                    time.sleep(0.05)
                c.assign([TopicPartition(topic, 0, 0)])
                while True:
                    found = [m for m in self.next_ones(c, 0.1) if not m.error() or m.error().code() != KafkaError._PARTITION_EOF]
                    if any(m.error() for m in found):
                        break
                    yield found
            except KafkaException:
                yield []
            finally:
                c.close()
            yield [None]

    def schema(self, schema_id):
        return Schemas.of(self.bootstrap, self.schemas_topic).get(schema_id, lambda offset: self.messages(self.schemas_topic, {0: offset}))

    def decode(self, data):
        """(full record name, value) of Confluent-framed bytes."""
        if data is None:
            return None, None
        assert data[0] == 0, "not in Confluent wire format"
        schema = self.schema(int.from_bytes(data[1:5], "big"))
        stream = io.BytesIO(data[5:])
        value = fastavro.schemaless_reader(stream, schema)
        assert stream.read() == b"", "bytes left over behind the record"
        return schema["name"], value

    def records(self, topic, lowest=0):
        """[(partition, offset, key, record name, value)]"""
        return [(m.partition(), m.offset(), self.decode(m.key())[1], *self.decode(m.value()))
                for m in self.messages(topic, lowest=lowest)]
