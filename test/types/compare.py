"""The four views of each row, held against each other."""
from kind import Inexact

SHOWN = 300     # characters of a value in a report


def shown(value):
    said = value if isinstance(value, str) else repr(value)
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}... ({len(said)} in all)"


class Comparison:
    """Of one table. differ: called for each difference with type, declaration and a text."""

    def __init__(self, table, differ):
        self.table, self.differ = table, differ
        self.counts = {}        # type: values that were seen four ways
        self.different = {}     # column: how many different values there were

    def problem(self, kind, id_, what, *views):
        names = ("server", "copy", "stream", "record")
        self.differ(kind.type, kind.declaration, f"{self.table.name}.{kind.column} id {id_}: {what}" +
                    "".join(f"\n    {name:7} {shown(view)}" for name, view in zip(names, views)))

    def schema(self, records):
        """What the registered schema says of each column."""
        shape = records[0].shape
        for kind in self.table.kinds:
            field = shape.columns.get(kind.column)
            if field is None:
                self.problem(kind, 0, "is not in the schema")
                continue
            said = dict(field["type"][1])
            labels = said.pop("labels", None)
            if not said.pop("mysql", None):
                self.problem(kind, 0, 'lacks "mysql"')
            want = kind.avro
            if want == "place":
                want = {"type": "record", "name": f"Geometry_{kind.column}",
                        "fields": [{"name": "srid", "type": "long"}, {"name": "wkb", "type": "bytes"}]}
            if field["type"][0] != "null" or field["default"] is not None or said != want:
                self.problem(kind, 0, f"the schema says {said}, it should be {want}")
            if labels != kind.labels:
                self.problem(kind, 0, f"the schema has the labels {shown(labels)}, they are {shown(kind.labels)}")

    def rows(self, copied, streamed, text, text_streamed):
        """copied, streamed: [Record]; text: the server's answers for the two tables."""
        copy, first, last = {}, {}, {}
        for record in copied:
            assert record.op == "r" and record.after["id"] not in copy, f"{self.table.name}: op {record.op} in a copy, or a row twice"
            copy[record.after["id"]] = record
        for record in streamed:
            id_ = record.after["id"]
            if record.op == "c" and id_ not in first:
                first[id_] = record
            elif record.op == "u" and id_ in first and id_ not in last:
                last[id_] = record
            else:
                raise AssertionError(f"{self.table.name}: op {record.op} of {id_} is not the insert or the update that was made")
        ids = set(range(1, self.table.rows + 1))
        for name, there in (("server", text), ("copy", copy), ("stream", first)):
            assert set(there) == ids, f"{self.table.name}: {name} has {len(there)} rows, there are {len(ids)}"
        self.by_column(copy, text)
        for id_, record in first.items():
            neighbour = copy[(id_ - 2) % self.table.rows + 1]
            self.same_image(neighbour, record, "after", text, "inserted")
            changed = last.get(id_)
            if changed is None:     # a row whose neighbour is its equal is not updated
                self.same_image(copy[id_], record, "after", text, "inserted, and not changed")
                continue
            self.same_image(neighbour, changed, "before", text, "before its update")
            self.same_image(copy[id_], changed, "after", text, "updated")
        for id_ in ids:
            if text[id_] != text_streamed[id_]:
                for kind, a, b in zip(self.table.kinds, text[id_], text_streamed[id_]):
                    if a != b:
                        self.problem(kind, id_, f"the server's two tables differ: {shown(a)} and {shown(b)}")

    def by_column(self, copy, text):
        """The server's text against what fastavro reads, column by column."""
        for at, kind in enumerate(self.table.kinds):
            count, seen = 0, set()
            for id_, record in copy.items():
                answers, got, exact = text[id_][at], record.after.get(kind.column), record.exact_of("after").get(kind.column) if record.exact else None
                if answers is None:
                    if got is not None or exact is not None or record.absent:
                        self.problem(kind, id_, "is NULL", None, got, "", exact)
                    continue
                try:
                    want = kind.expect(*answers)
                except ValueError as wrong:
                    self.problem(kind, id_, str(wrong), answers, got)
                    continue
                count += 1
                seen.add(answers)
                fine = got is None and exact == want.text if isinstance(want, Inexact) else exact is None and kind.same(want, got)
                if not fine:
                    self.problem(kind, id_, f"should be {shown(want)}", answers, got if exact is None else f"exact {exact!r}", "", record.after_bytes.hex())
            self.counts[kind.type] = self.counts.get(kind.type, 0) + count
            self.different[kind.column] = len(seen)
            if len(seen) < kind.distinct * count:
                self.problem(kind, 0, f"only {len(seen)} of {count} values differ: the server does not have what was meant")

    def same_image(self, copy, record, image, text, when):
        """An image of the stream is that of the copy, byte for byte, and `exact` with it."""
        data = record.after_bytes if image == "after" else record.before_bytes
        exact, want_exact = record.exact_of(image), copy.exact_of("after")
        absent = {kind.column for kind in self.table.kinds if not kind.streamed}
        if not absent and data == copy.after_bytes and exact == want_exact and not record.absent:
            return
        got = getattr(record, image)
        id_ = copy.after["id"]
        for at, kind in enumerate(self.table.kinds):
            a, b = copy.after.get(kind.column), got.get(kind.column)
            if kind.column in absent:
                if b is not None or kind.column in exact or f"{image}.{kind.column}" not in record.absent:
                    self.problem(kind, id_, f"should be absent ({when})", text[id_][at], a, b, sorted(record.absent))
                    return
                continue
            differ = want_exact.get(kind.column) != exact.get(kind.column)
            if differ or (a is None) != (b is None) or (a is not None and not kind.same(a, b)) or f"{image}.{kind.column}" in record.absent:
                self.problem(kind, id_, f"is not the same in copy and stream ({when})", text[id_][at], want_exact.get(kind.column, a),
                             exact.get(kind.column, b), sorted(record.absent))
                return
        if not absent:
            self.problem(self.table.kinds[0], id_, f"the image has other bytes than the copy ({when})", "", copy.after_bytes.hex(), data.hex())
