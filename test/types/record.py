"""Row records as an independent reader has them: fastavro, with the schemas of the `_schemas` topic.

Logical types of dates and times are read as the plain numbers they stand for: Python's dates end where MySQL's don't.
"""
import io
import json
import re

import fastavro
from confluent_kafka import TopicPartition
from harness import Reader


def escaped(name):
    """The one escape of schemas/mapping.md."""
    out = re.sub(rb"_(?=x)|[^A-Za-z0-9_]", lambda m: b"_x%02x" % m[0][0], name.encode()).decode()
    return f"_x{ord(out[0]):02x}{out[1:]}" if out[:1].isdigit() else out


def plain(schema):
    """The same without logical types but decimal."""
    if isinstance(schema, list):
        return [plain(branch) for branch in schema]
    if isinstance(schema, dict):
        keep = schema.get("logicalType") == "decimal"
        return {k: plain(v) if k in ("type", "fields", "items", "values") else v for k, v in schema.items()
                if k not in ("logicalType", "precision", "scale", "labels", "mysql", "default") or (keep and k in ("logicalType", "precision", "scale"))}
    return schema


class Shape:
    """What one registered envelope says."""

    def __init__(self, text):
        envelope = json.loads(text)
        fields = {f["name"]: f for f in envelope["fields"]}
        value = dict(fields["before"]["type"][1], namespace=envelope["namespace"])
        self.columns = {f.get("column", f["name"]): f for f in value["fields"]}
        self.names = list(self.columns)
        image = fastavro.parse_schema(plain(["null", value]), named_schemas={})
        names = [f["name"] for f in envelope["fields"]]
        before = names.index("before")
        self.head = self.part(envelope, names[:before])
        self.image = image
        self.tail = self.part(envelope, names[before + 2:])

    @staticmethod
    def part(envelope, names):
        return fastavro.parse_schema({"type": "record", "name": "Part", "namespace": envelope["namespace"],
                                      "fields": [f for f in envelope["fields"] if f["name"] in names]}, named_schemas={})

    def read(self, stream, schema):
        begin = stream.tell()
        value = fastavro.schemaless_reader(stream, schema)
        return value, stream.getvalue()[begin:stream.tell()]


class Record:
    """before, after: {column: value} or None; before_bytes, after_bytes: the Avro bytes of each image, without its id."""

    def __init__(self, shape, data):
        stream = io.BytesIO(data)
        self.shape = shape
        head, _ = shape.read(stream, shape.head)
        self.op, self.seq = head["op"], head["source"]["seq"]
        before, before_bytes = shape.read(stream, shape.image)
        after, after_bytes = shape.read(stream, shape.image)
        tail, _ = shape.read(stream, shape.tail)
        assert stream.read() == b"", "bytes left over behind the record"
        self.before, self.before_bytes = before and dict(zip(shape.names, before.values())), behind_id(before_bytes)
        self.after, self.after_bytes = after and dict(zip(shape.names, after.values())), behind_id(after_bytes)
        self.absent, self.exact, self.parked = set(tail["absent"] or ()), tail["exact"] or {}, tail["parked"]

    def exact_of(self, image):
        """{column: text} of one image."""
        return {name[len(image) + 1:]: said for name, said in self.exact.items() if name.startswith(image + ".")}


def behind_id(image):
    """An image's bytes behind its first column: union branch, union branch of id, id."""
    at = 2
    while at < len(image) and image[at] & 0x80:
        at += 1
    return image[at + 1:]


class Topics(Reader):
    """All topics of one capture, read once."""

    def __init__(self, bootstrap, name):
        super().__init__(bootstrap)
        self.name, self.schemas_topic, self.shapes, self.texts, self.read = name, f"{name}._schemas", {}, {}, {}

    def read_schemas(self):
        for m in self.messages(self.schemas_topic):
            key, value = json.loads(m.key()), json.loads(m.value()) if m.value() else None
            if key.get("keytype") == "SCHEMA" and value:
                self.texts[value["id"]] = value["schema"]

    def shape(self, number):
        if number not in self.shapes:
            if number not in self.texts:
                self.read_schemas()
            self.shapes[number] = Shape(self.texts[number])
        return self.shapes[number]

    def read_all(self):
        """Every row topic at once: a consumer for each takes longer than what there is to read."""
        self.read = {topic: [] for topic in self.topics(f"{self.name}.") if topic != self.schemas_topic}
        for m in self.to_the_end([TopicPartition(topic, 0, 0) for topic in self.read]):
            self.read[m.topic()].append(m.value())

    def rows(self, database, table):
        """[Record] of a row topic, in order of seq; behind read_all()."""
        out = []
        for data in self.read.pop(f"{self.name}.{escaped(database)}.{escaped(table)}"):
            assert data[0] == 0, "not in Confluent wire format"
            out.append(Record(self.shape(int.from_bytes(data[1:5], "big")), data[5:]))
        return sorted(out, key=lambda record: record.seq)
