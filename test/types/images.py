"""Row images FULL, MINIMAL and NOBLOB: a column that an image lacks is absent, which is not NULL.

What must be in each record follows from the statement alone: the manuals say which columns each image has.
"""
import decimal

from kind import number, raw, text, word
from kinds_time import moment
from server import run

LOBS = {"t", "l"}
DEFAULTS = {"c": 7}
DECLARED = ("id INT NOT NULL PRIMARY KEY, a INT, b VARCHAR(30), c INT NOT NULL DEFAULT 7, d DECIMAL(8,2), t TEXT, l BLOB, e DATETIME(3)")
COLUMNS = ("id", "a", "b", "c", "d", "t", "l", "e")
IMAGES = ("FULL", "MINIMAL", "NOBLOB")


def any_value(r, column):
    """(SQL, what the record must hold)"""
    if column != "c" and r.random() < 0.25:
        return b"NULL", None
    if column in "ac":
        value = r.randint(-2**31, 2**31 - 1)
        return number(value), value
    if column == "d":
        cents = r.randint(-99999999, 99999999)
        value = decimal.Decimal(cents).scaleb(-2)
        return str(value).encode(), value
    if column in "bt":
        value = "".join(r.choice("abé日 😀") for _ in range(r.randint(0, 20)))
        return text(value), value
    if column == "l":
        value = r.randbytes(r.randint(0, 40))
        return raw(value), value
    said = f"{r.randint(1000, 9999)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d} 01:02:03.{r.randrange(1000):03d}"
    return word(said), moment(said.encode())


class Images:
    """One table per image; the statements, and the record that each must give."""
    type = "row image"

    def __init__(self, server, r, values):
        self.server, self.random, self.steps, self.want = server, r, max(60, values // 6), {}

    def prepare(self):
        for image in IMAGES:
            run(self.server.writer, f"CREATE TABLE v.image_{image.lower()} ({DECLARED}) ENGINE=InnoDB CHARACTER SET utf8mb4")

    def stream(self):
        for image in IMAGES:
            connection = self.server.connection()
            run(connection, f"SET SESSION binlog_row_image = {image}")
            self.want[image] = [self.step(connection, image, rows) for rows in [{}] for _ in range(self.steps)]
            connection.close()

    def step(self, connection, image, rows):
        """One statement; (op, before, after) of its record: the columns that are there."""
        r, table = self.random, f"v.image_{image.lower()}".encode()
        pick = r.random()
        if pick < 0.4 or not rows:
            id_ = len(rows) and max(rows) + 1 or 1
            given = {c: any_value(r, c) for c in COLUMNS[1:] if r.random() < 0.6}
            rows[id_] = {"id": id_, **{c: given[c][1] if c in given else DEFAULTS.get(c) for c in COLUMNS[1:]}}
            run(connection, b"INSERT INTO %s (%s) VALUES (%s)" % (table, ", ".join(["id", *given]).encode(),
                                                                 b", ".join([number(id_), *(sql for sql, _ in given.values())])))
            return "c", None, self.after(image, rows[id_], {"id", *given})
        id_ = r.choice(sorted(rows))
        old = dict(rows[id_])
        before = self.before(image, old)
        if pick < 0.9:
            given = {c: any_value(r, c) for c in r.sample(COLUMNS[1:], r.randint(1, 4))}
            while all(old[c] == value for c, (_, value) in given.items()):
                given = {c: any_value(r, c) for c in r.sample(COLUMNS[1:], r.randint(1, 4))}
            rows[id_].update({c: value for c, (_, value) in given.items()})
            run(connection, b"UPDATE %s SET %s WHERE id = %d" % (table, b", ".join(b"%s = %s" % (c.encode(), sql) for c, (sql, _) in given.items()), id_))
            return "u", before, self.after(image, rows[id_], {"id", *given})     # the key is always there: it is that of before
        del rows[id_]
        run(connection, b"DELETE FROM %s WHERE id = %d" % (table, id_))
        return "d", before, None

    @staticmethod
    def before(image, row):
        lacks = {"FULL": set(), "MINIMAL": set(COLUMNS) - {"id"}, "NOBLOB": LOBS}[image]
        return {c: v for c, v in row.items() if c not in lacks}

    def after(self, image, row, given):
        lacks = {"FULL": set(), "MINIMAL": set(COLUMNS) - given, "NOBLOB": LOBS - given}[image]
        return {c: v for c, v in row.items() if c not in lacks}

    def check(self, topics, differ):
        """The number of values that were right."""
        count = 0
        for image in IMAGES:
            records = topics.rows("v", f"image_{image.lower()}")
            if len(records) != len(self.want[image]):
                differ(self.type, image, f"{len(records)} records of {len(self.want[image])} statements")
                continue
            for at, (record, (op, before, after)) in enumerate(zip(records, self.want[image])):
                said = {}
                for name, got, want in (("before", record.before, before), ("after", record.after, after)):
                    if (got is None) != (want is None):
                        differ(self.type, image, f"statement {at} ({op}): {name} is {got}, should be {want}")
                        continue
                    for column in COLUMNS if want is not None else ():
                        here, value = f"{name}.{column}" not in record.absent, got[column]
                        said[column] = here == (column in want) and value == want.get(column)
                        count += said[column]
                        if not said[column]:
                            differ(self.type, image, f"statement {at} ({op}): {name}.{column} is {value!r}{'' if here else ', absent'}; "
                                                     f"should be {want.get(column, 'absent')!r}")
                if record.op != op or record.exact:
                    differ(self.type, image, f"statement {at}: op {record.op}, exact {record.exact}; should be {op}")
        return {f"{self.type} {image}": count // len(IMAGES) for image in IMAGES}
