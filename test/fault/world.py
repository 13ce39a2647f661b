"""The site whose history is made: its tables, the events published of it, and the views built from them."""
import datetime
import json

# What a history may hold, and whether Millrace can take it already. What is off is named at the end of every batch.
INGREDIENTS = {
    "savepoints": True,       # ranges taken back, with MyISAM rows between so that they stand in the binlog
    "rollbacks": True,        # whole groups that end in ROLLBACK
    "big": True,              # source transactions larger than the ring
    "keys": True,             # key-changing updates, also across the chunk border
    "ddl": True,              # columns added, dropped, changed while rows come
    "ddl-values": True,       # a column with a default: rows change without row events, and are reconciled
    "first-copy": True,
    "views": True,
    "take-over": True,
    "cuts": True,             # connections to the source cut by the proxy
    "xa": True,
    "truncate": True,
    "drop": True,
    "rename": True,
    "cascades": True,
    "snapshot": True,        # `millrace snapshot` of a table while it is streamed
    "at-least-once": True,    # one run in four
    "leaves": True,           # events and views of a table that is emptied: its rows leave one by one before op t
    "keyless": True,          # a table without a key
    "collation": True,        # a key that is text, of which upper and lower case are the same
    "parked": True,           # one run in five: rows larger than their topic takes
}

TABLES = {
    "a": "id INT PRIMARY KEY, v INT NOT NULL, s VARCHAR(40), n DECIMAL(10,2), at DATETIME(6)",
    "gm": "g INT, m INT, status VARCHAR(12) NOT NULL, joined DATETIME NOT NULL, PRIMARY KEY (g, m)",
    "big": "id BIGINT PRIMARY KEY, batch INT NOT NULL, pad VARCHAR(2000)",
    "ddl": "id INT PRIMARY KEY, v INT",
    "tr": "id INT PRIMARY KEY, v INT",
    "swap": "id INT PRIMARY KEY, v INT",
    "parent": "id INT PRIMARY KEY, v INT",
    "child": "id INT PRIMARY KEY, parent INT, v INT, KEY (parent), CONSTRAINT c FOREIGN KEY (parent) REFERENCES parent (id) "
             "ON DELETE CASCADE",
    "bag": "g INT, v INT NOT NULL, s VARCHAR(10)",
    "ci": "k VARCHAR(30) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT NOT NULL",
    "wide": "id INT PRIMARY KEY, v INT NOT NULL, body LONGTEXT",
}
RECORD_MAX = 1048576    # max.message.bytes of the topic of "wide"
OUTSIDE = ("other", "isam")        # not captured
NEEDS = {"tr": ("truncate", "drop"), "swap": ("rename",), "parent": ("cascades",), "child": ("cascades",),
         "bag": ("keyless",), "ci": ("collation",), "wide": ("parked",)}
KEYS = {"gm": ("g", "m"), "bag": (), "ci": ("k",)}


def key_columns(table):
    return KEYS.get(table, ("id",))


def order(table, key):
    """What the keys of a table are sorted by."""
    return tuple(k.upper() for k in key) if table == "ci" else key


MYSQLS = ("mysql:8.0", "mysql:9.7")


def database_of(seed):
    """Every tenth run is on MySQL, every fortieth on its newest."""
    return "mariadb:10.11" if seed % 10 != 7 else MYSQLS[seed % 40 == 37]


def of_run(on, seed, engine="mariadb"):
    """What this run's history holds."""
    return {**on, "outside": engine == "mariadb", "at-least-once": on["at-least-once"] and seed % 4 == 3, "parked": on["parked"] and seed % 5 == 0,
            "leaves": on["leaves"] and (on["truncate"] or on["drop"])}


def captured(on):
    return [t for t in TABLES if t not in NEEDS or any(on[i] for i in NEEDS[t])]


def create(db, on, random):
    """The statements that make and fill the tables."""
    out = [f"CREATE DATABASE {db} CHARACTER SET utf8mb4", f"USE {db}"]
    out += [f"CREATE TABLE {t} ({TABLES[t]}) ENGINE=InnoDB" for t in captured(on)]
    out += ["CREATE TABLE other (id INT PRIMARY KEY, v INT) ENGINE=InnoDB", "CREATE TABLE isam (id INT PRIMARY KEY, v INT) ENGINE=MyISAM",
            "INSERT INTO isam SELECT seq, 0 FROM seq_1_to_20"]
    rows = random.choice((150, 400, 900))
    out.append(f"INSERT INTO a SELECT seq * 3, seq % 50, CONCAT('s', seq), seq / 7, '2024-01-01' + INTERVAL seq MINUTE FROM seq_1_to_{rows}")
    out.append(f"INSERT INTO gm SELECT seq % 20, seq DIV 20, IF(seq % 3 = 0, 'spam', 'active'), '2024-05-01' + INTERVAL seq SECOND "
               f"FROM seq_1_to_{rows // 2}")
    out.append("INSERT INTO ddl SELECT seq, seq FROM seq_1_to_60")
    for table in ("tr", "swap"):
        if table in captured(on):
            out.append(f"INSERT INTO {table} SELECT seq, seq FROM seq_1_to_80")
    if on["keyless"]:
        out.append("INSERT INTO bag SELECT seq % 20, seq % 3, IF(seq % 4 = 0, NULL, 'x') FROM seq_1_to_120")
    if on["collation"]:
        out.append("INSERT INTO ci SELECT CONCAT(ELT(seq % 3 + 1, 'Key', 'KEY', 'key'), seq * 2), seq FROM seq_1_to_150")
    if on["parked"]:
        out.append(f"INSERT INTO wide SELECT seq, seq, REPEAT('w', IF(seq = 3, {RECORD_MAX + 1000}, 100)) FROM seq_1_to_6")
    if on["cascades"]:
        out += ["INSERT INTO parent SELECT seq, seq FROM seq_1_to_60", "INSERT INTO child SELECT seq, seq % 60 + 1, seq FROM seq_1_to_200"]
    return out


def micros(value):
    return value.replace(tzinfo=datetime.timezone.utc)


class Event:
    """One published event: the file that declares it, and the same in Python."""

    def __init__(self, name, topic, table, when, where, condition, key, fields):
        self.name, self.topic, self.table, self.when, self.where = name, topic, table, when, where
        self.condition, self.key, self.fields = condition, key, fields

    def file(self, prefix, db):
        millrace = {"owner": "faults", "topic": f"{prefix}.{self.topic}", "key": self.key, "from": f"{db}.{self.table}", "when": self.when}
        if self.where:
            millrace["where"] = self.where
        return json.dumps({"type": "record", "namespace": "faults", "name": self.name, "millrace": millrace,
                           "fields": [{"name": n, "type": t, "millrace": c} for n, t, c, _ in self.fields]}, indent=1)

    def values(self, row):
        return {name: of(row) for name, _, _, of in self.fields}

    def of(self, before, after):
        """What is published for a row that was `before` (None: not there) and is `after`: the event's fields, or None."""
        was = before is not None and self.condition(before)
        now = after is not None and self.condition(after)
        moved = was and now and [self.values(before)[k] for k in self.key] != [self.values(after)[k] for k in self.key]
        if self.when == "enters":
            return self.values(after) if now and (not was or moved) else None
        if self.when == "leaves":
            return self.values(before) if was and (not now or moved) else None
        if self.when == "changes":
            return self.values(after) if was and now and not moved and self.values(before) != self.values(after) else None
        if now:
            return self.values(after)
        return self.values(before) if was and after is None else None


def column(name, kind, of=None):
    return (name, kind, name, of or (lambda row: row[name]))


STAMP = {"type": "long", "logicalType": "timestamp-micros"}
EVENTS = [
    Event("Joined", "joins", "gm", "enters", "status = 'active'", lambda r: r["status"] == "active", ["g", "m"],
          [column("g", "int"), column("m", "int"), column("joined", STAMP, lambda r: micros(r["joined"]))]),
    Event("Left", "joins", "gm", "leaves", "status = 'active'", lambda r: r["status"] == "active", ["g", "m"],
          [column("g", "int"), column("m", "int")]),
    Event("Moved", "moves", "a", "changes", "v < 40", lambda r: r["v"] < 40, ["id"], [column("id", "int"), column("v", "int")]),
    Event("Noted", "notes", "a", "always", "v % 3 = 0", lambda r: r["v"] % 3 == 0, ["id"],
          [column("id", "int"), column("s", ["null", "string"])]),
    Event("Came", "stays", "tr", "enters", "v < 60", lambda r: r["v"] < 60, ["id"], [column("id", "int"), column("v", "int")]),
    Event("Stayed", "stays", "tr", "changes", "v < 60", lambda r: r["v"] < 60, ["id"], [column("id", "int"), column("v", "int")]),
    Event("Went", "stays", "tr", "leaves", "v < 60", lambda r: r["v"] < 60, ["id"], [column("id", "int")]),
]


def events(on):
    return [e for e in EVENTS if e.table != "tr" or on["leaves"]]


def views(on):
    return {name: view for name, view in VIEWS.items() if name not in ("stays", "emptied") or on["leaves"]}


VIEWS = {
    "joined": {  # over events
        "inputs": ["joins"], "key.joined": "g, m",
        "tables": "CREATE TABLE joined (g INTEGER NOT NULL, m INTEGER NOT NULL, joined INTEGER NOT NULL, PRIMARY KEY (g, m)) WITHOUT ROWID;",
        "on": {"Joined": "INSERT INTO joined (g, m, joined) VALUES (:g, :m, :joined);",
               "Left": "DELETE FROM joined WHERE g = :g AND m = :m;"},
        "source": "-- table: joined\nSELECT g, m, joined FROM {db}.gm WHERE status = 'active'\n",
        "compare": ("SELECT g, m, joined FROM joined ORDER BY g, m",
                    "SELECT g, m, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', joined) FROM {db}.gm WHERE status = 'active' ORDER BY g, m"),
    },
    "rows": {  # over row topics
        "inputs": ["{db}.a", "{db}.gm"], "key.a": "id", "key.counts": "g",
        "tables": "CREATE TABLE a (id INTEGER PRIMARY KEY, v INTEGER NOT NULL, s TEXT);\n"
                  "CREATE TABLE counts (g INTEGER PRIMARY KEY, members INTEGER NOT NULL);",
        "on": {"{db}.a.insert": "INSERT INTO a (id, v, s) VALUES (:id, :v, :s);",
               "{db}.a.update": "UPDATE a SET v = :v, s = :s WHERE id = :id;",
               "{db}.a.delete": "DELETE FROM a WHERE id = :id;",
               "{db}.gm.insert": "INSERT INTO counts (g, members) VALUES (:g, 1) ON CONFLICT (g) DO UPDATE SET members = members + 1;",
               "{db}.gm.delete": "UPDATE counts SET members = members - 1 WHERE g = :g;\nDELETE FROM counts WHERE g = :g AND members = 0;"},
        "source": "-- table: a\nSELECT id, v, s FROM {db}.a\n\n-- table: counts\nSELECT g, COUNT(*) AS members FROM {db}.gm GROUP BY g\n",
        "compare": ("SELECT 'a', id, v, s FROM a UNION ALL SELECT 'c', g, members, NULL FROM counts ORDER BY 1, 2",
                    "SELECT 'a', id, v, s FROM {db}.a UNION ALL SELECT 'c', g, COUNT(*), NULL FROM {db}.gm GROUP BY g ORDER BY 1, 2"),
    },
    "stays": {  # over events of a table that is emptied
        "inputs": ["stays"], "key.stays": "id",
        "tables": "CREATE TABLE stays (id INTEGER PRIMARY KEY, v INTEGER NOT NULL);",
        "on": {"Came": "INSERT INTO stays (id, v) VALUES (:id, :v);", "Stayed": "UPDATE stays SET v = :v WHERE id = :id;",
               "Went": "DELETE FROM stays WHERE id = :id;"},
        "source": "-- table: stays\nSELECT id, v FROM {db}.tr WHERE v < 60\n",
        "compare": ("SELECT id, v FROM stays ORDER BY id", "SELECT id, v FROM {db}.tr WHERE v < 60 ORDER BY id"),
    },
    "emptied": {  # over its rows
        "inputs": ["{db}.tr"], "key.emptied": "id",
        "tables": "CREATE TABLE emptied (id INTEGER PRIMARY KEY, v INTEGER);",
        "on": {"{db}.tr.insert": "INSERT INTO emptied (id, v) VALUES (:id, :v);", "{db}.tr.update": "UPDATE emptied SET v = :v WHERE id = :id;",
               "{db}.tr.delete": "DELETE FROM emptied WHERE id = :id;", "{db}.tr.truncate": "DELETE FROM emptied;"},
        "source": "-- table: emptied\nSELECT id, v FROM {db}.tr\n",
        "compare": ("SELECT id, v FROM emptied ORDER BY id", "SELECT id, v FROM {db}.tr ORDER BY id"),
    },
}


def write_files(folder, prefix, db, on):
    """Events and views of a configuration, in their folders."""
    (folder / "events").mkdir(exist_ok=True)
    for event in events(on):
        (folder / "events" / f"{event.name}.avsc").write_text(event.file(prefix, db))
    for name, view in views(on).items():
        at = folder / "views" / name
        (at / "on").mkdir(parents=True, exist_ok=True)
        inputs = ", ".join(f"{prefix}.{i.format(db=db)}" for i in view["inputs"])
        keys = "".join(f"{k} = {v}\n" for k, v in view.items() if k.startswith("key."))
        (at / "view.conf").write_text(f"owner = faults\ndoc = of the fault tests\nkind = sql\nstore = sqlite\ninputs = {inputs}\n{keys}")
        (at / "tables.sql").write_text(view["tables"])
        (at / "source.sql").write_text(view["source"].format(db=db))
        for handler, text in view["on"].items():
            (at / "on" / f"{handler.format(db=db)}.sql").write_text(text)
