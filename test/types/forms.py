"""Tables of odd form: names in every script, as many columns as a server takes, system versioning; JSON changed in parts."""
from charsets import SCRIPTS
from kind import text
from kinds_json import any_document
from server import run

ODD = "日x"     # a database


def any_name(r):
    """Of the basic plane, as names are; short, because each byte may become four in a topic's name."""
    out = ""
    while not out.strip() or out != out.strip():
        out = ""
        for _ in range(r.randint(1, 6)):
            low, high = r.choice([s for s in SCRIPTS if s[1] <= 0xffff and s[0] >= 0x20])
            out += chr(r.randint(low, high))
        if any(0xd800 <= ord(c) <= 0xdfff or c in "/\\" for c in out) or not out.isprintable() or out.endswith(" "):
            out = ""
    return out


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


class Names:
    """Names of tables and columns in any script, and such as look like what they are escaped to."""
    type = "names in any script"
    FIXED = ("_x41", "__x", "x_x", "1a", "a.b", "a b", "A", "tábla", "`", "a`b", "'", '"', "a-b", "_", "$", "ÄÖ", "ß", "名前", "שם", "имя")

    def __init__(self, server, r, values):
        self.server, self.random, self.tables = server, r, {}
        self.count = max(20, values // 20)

    def prepare(self):
        r, seen = self.random, set()
        run(self.server.writer, f"CREATE DATABASE {quoted(ODD)} CHARACTER SET utf8mb4")
        names = list(self.FIXED) + [any_name(r) for _ in range(self.count)]
        for name in names:
            if name.casefold() in seen:
                continue
            seen.add(name.casefold())
            columns = {}
            for column in [any_name(r) for _ in range(4)] + r.sample(self.FIXED, 4):
                columns.setdefault(column.casefold(), column)
            columns = [c for c in columns.values() if c.casefold() != "id"]
            try:
                run(self.server.writer, f"CREATE TABLE {quoted(ODD)}.{quoted(name)} (id INT NOT NULL PRIMARY KEY, "
                                        f"{', '.join(quoted(c) + ' INT' for c in columns)}) ENGINE=InnoDB")
            except Exception as wrong:          # pylint: disable=broad-except
                if wrong.args[0] not in (1050, 1060):       # its collation takes two of them for one
                    raise
                continue
            self.tables[name] = columns
            self.insert(name, 1)

    def insert(self, name, id_):
        columns = self.tables[name]
        values = ", ".join(str(id_ * 1000 + i) for i in range(len(columns)))
        run(self.server.writer, f"INSERT INTO {quoted(ODD)}.{quoted(name)} (id, {', '.join(quoted(c) for c in columns)}) VALUES ({id_}, {values})")

    def stream(self):
        for name in self.tables:
            self.insert(name, 2)

    def check(self, topics, differ):
        count = 0
        for name, columns in self.tables.items():
            want = [(op, {"id": id_, **{c: id_ * 1000 + i for i, c in enumerate(columns)}}) for op, id_ in (("r", 1), ("c", 2))]
            got = [(record.op, record.after) for record in topics.rows(ODD, name)]
            if got == want:
                count += 2 * len(columns)
            else:
                differ(self.type, repr(name), f"{got}; should be {want}")
        return {self.type: count}


class Wide:
    """As many columns as there can be."""
    type = "a table of 4096 columns"

    def __init__(self, server, r, _values):
        self.server, self.random = server, r
        self.columns = 4095 if server.at_least(mysql=(8, 0)) else 2600
        self.type = f"a table of {self.columns + 1} columns"

    def prepare(self):
        names = ", ".join(f"c{i:03x} SMALLINT" for i in range(self.columns))
        run(self.server.writer, f"CREATE TABLE v.wide (id INT NOT NULL PRIMARY KEY, {names}) ENGINE=MyISAM")
        self.want = []
        self.insert("r", 1)

    def insert(self, op, id_):
        values = [self.random.choice((None, self.random.randint(-32768, 32767))) for _ in range(self.columns)]
        run(self.server.writer, f"INSERT INTO v.wide VALUES ({id_}, {', '.join('NULL' if v is None else str(v) for v in values)})")
        self.want.append((op, [id_, *values]))

    def stream(self):
        self.insert("c", 2)

    def check(self, topics, differ):
        got = [(record.op, list(record.after.values())) for record in topics.rows("v", "wide")]
        if got != self.want:
            differ(self.type, "SMALLINT", f"{len(got)} records; {[(op, v[:5]) for op, v in got]}; should be {[(op, v[:5]) for op, v in self.want]}")
            return {self.type: 0}
        return {self.type: 2 * self.columns}


class PartialJson:
    """MySQL's JSON, updated by functions whose change alone is in the binlog."""
    type = "JSON, changed in parts"
    CHANGES = ("JSON_SET(v, '$.a', 'zwölf')", "JSON_REMOVE(v, '$.list[1]')", "JSON_ARRAY_INSERT(v, '$.list[0]', CAST(1.50 AS DECIMAL(9,4)))",
               "JSON_SET(v, '$.d', CAST('2024-01-02' AS DATE))", "JSON_REPLACE(v, '$.text', REPEAT('x', id * 40))", "JSON_REMOVE(v, '$.a', '$.d')",
               "JSON_ARRAY_APPEND(v, '$.list', CAST('01:02:03.5' AS TIME(3)))", "JSON_SET(v, '$.list[0]', JSON_OBJECT('k', id), '$.new', 1.5e0)",
               "JSON_INSERT(v, '$.blob', x'00ff')", "JSON_SET(v, '$', id)")

    def __init__(self, server, r, values):
        self.server, self.random, self.rows, self.want = server, r, max(20, values // len(self.CHANGES)), {}

    def prepare(self):
        run(self.server.writer, "CREATE TABLE v.parts (id INT NOT NULL PRIMARY KEY, n INT, v JSON)")

    def read(self, connection):
        for id_, said in run(connection, "SELECT id, HEX(CAST(v AS CHAR CHARACTER SET utf8mb4)) FROM v.parts"):
            self.want.setdefault(int(id_), []).append(bytes.fromhex(said.decode()).decode())

    def stream(self):
        connection = self.server.connection()
        run(connection, "SET SESSION binlog_row_value_options = PARTIAL_JSON")
        for id_ in range(1, self.rows + 1):
            run(connection, b"INSERT INTO v.parts VALUES (%d, 0, JSON_OBJECT('a', 1, 'list', JSON_ARRAY(1, 2, 3), 'text', REPEAT('long ', 30), "
                            b"'any', CAST(%s AS JSON)))" % (id_, text(any_document(self.random, 3))))
        self.read(connection)
        for change in self.CHANGES:
            run(connection, f"UPDATE v.parts SET n = n + 1, v = {change}")
            self.read(connection)
        connection.close()

    def check(self, topics, differ):
        count, seen = 0, {}
        for record in topics.rows("v", "parts"):
            before = record.before and record.before["id"]
            id_ = before or record.after["id"]
            seen.setdefault(id_, []).append(record.after["v"])
        for id_, want in self.want.items():
            for at, said in enumerate(want):
                got = seen.get(id_, [])[at] if at < len(seen.get(id_, [])) else "no record"
                if got == said:
                    count += 1
                else:
                    differ(self.type, "JSON", f"id {id_}, change {at} ({(['none', *self.CHANGES])[at]}): {got!r}; should be {said!r}"[:700])
        return {self.type: count}


def forms(server, r, values):
    yield Names(server, r, values)
    yield Wide(server, r, values)
    if server.at_least(mysql=(8, 0)):
        yield PartialJson(server, r, values)
