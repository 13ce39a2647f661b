"""One database server of the matrix: what it knows, and which columns it can have."""
import os
from pathlib import Path

import charsets
import kinds_json
import kinds_label
import kinds_number
import kinds_place
import kinds_text
import kinds_time
from harness import Servers
from kind import Kind

# What a test may not mind: strictness refuses the values that this is about.
MODE = "ALLOW_INVALID_DATES"


class Server:
    """A running one, and connections to it whose answers are bytes."""

    def __init__(self, name, folder, kafka):
        os.makedirs(folder, mode=0o755, exist_ok=True)
        self.name = name
        self.servers = Servers(Path(folder) / "database", database=name, kafka=False)
        self.servers.bootstrap = kafka
        self.mysql = self.servers.engine == "mysql"
        self.writer = self.connection()
        run(self.writer, f"SET SESSION sql_mode = '{MODE}'")
        if self.at_least(mariadb=(10, 2, 1)):       # its JSON is text that is checked, to a depth of 32
            run(self.writer, "SET SESSION check_constraint_checks = OFF")

    def at_least(self, mysql=None, mariadb=None):
        """From that version on, of whichever it is; None: never."""
        version = mysql if self.mysql else mariadb
        return version is not None and self.servers.at_least(self.servers.engine, *version)

    def connection(self):
        connection = self.servers.connect(conv={}, use_unicode=False)
        run(connection, "SET NAMES utf8mb4", "SET time_zone = '+00:00'")
        return connection

    def reader(self):
        """A session that changes nothing and converts nothing."""
        connection = self.connection()
        run(connection, "SET SESSION character_set_results = NULL", "SET SESSION TRANSACTION READ ONLY")
        return connection

    def stop(self):
        self.servers.stop()


def run(connection, *statements):
    """Statements of text or bytes; the rows of the last."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall()


def plain_kinds(server, r):
    """Every type that needs no company, but text in other character sets."""
    yield from kinds_number.integers()
    yield from kinds_number.decimals(r, 38 if server.at_least(mariadb=(10, 2)) else 30)
    yield from kinds_number.reals()
    yield from kinds_number.bit_columns()
    yield from kinds_time.times(2**32 - 1 if server.at_least(mariadb=(11, 5)) else 2**31 - 1, not server.mysql)
    yield from kinds_text.texts(charsets.Charset("utf8mb4", 4), charsets.Charset("utf8mb3", 3))
    yield from kinds_text.binaries()
    yield from kinds_label.all_labels(r, server.at_least(mysql=(9, 0), mariadb=(10, 2, 2)))
    yield from kinds_place.geometries(server.at_least(mysql=(8, 0)))
    if server.at_least(mysql=(5, 7)):
        yield kinds_json.binary_json()
    elif server.at_least(mariadb=(10, 2, 7)):
        yield kinds_json.text_json()
    if server.at_least(mysql=(9, 0), mariadb=(11, 7)):
        yield from kinds_place.vectors(server.mysql)
    if server.at_least(mariadb=(10, 5)):
        yield from kinds_place.addresses(server.at_least(mariadb=(10, 10)))


def charset_kinds(server, r, sampled):
    """Text in each character set, and in each collation; sampled: in a few collations of each set only."""
    connection = server.connection()        # of its own: it keeps a temporary table
    run(connection, "SET SESSION sql_mode = ''", "USE v")

    def ask(sql):
        return run(connection, sql)
    sets = charsets.read(ask, r, sampled)
    for charset in sets:
        yield from kinds_text.in_charset(charset)
    by_name = {charset.name: charset for charset in sets}
    pairs = charsets.collations(ask)
    connection.close()
    if sampled:
        pairs = r.sample(pairs, min(60, len(pairs)))
    for collation, name in pairs:
        yield kinds_text.in_collation(by_name[name], collation, len(pairs))


def generated_kinds(server):
    """A table's worth: columns, and those that are made from them."""
    utf8 = charsets.Charset("utf8mb4", 4)
    base = [kinds_number.integer("INT", 32, False, False), kinds_text.text_kind("VARCHAR", "VARCHAR(30) CHARACTER SET utf8mb4", utf8, 30, 120),
            kinds_number.fixed(20, 5, ""), next(k for k in kinds_time.times(2**31 - 1, False) if k.declaration == "DATETIME(6)"),
            kinds_text.bytes_kind("VARBINARY(40)", 40, 40), kinds_number.integer("BIGINT", 64, True, False)]
    for column, kind in zip("abcdef", base):
        kind.column = column
        yield kind
    made = {"a DIV 2": kinds_number.integer("INT", 32, False, False),
            "CONCAT(b, '→', b)": kinds_text.text_kind("", "VARCHAR(70) CHARACTER SET utf8mb4", utf8, 70, 280),
            "c * 10": kinds_number.fixed(24, 7, ""),
            "f DIV 3": base[5],
            "YEAR(d) + 0": kinds_number.integer("SMALLINT", 16, False, False),
            "CONCAT(e, x'00')": kinds_text.bytes_kind("VARBINARY(50)", 50, 50)}
    for word in ("VIRTUAL", "STORED" if server.mysql else "PERSISTENT"):
        for expression, kind in made.items():
            # MariaDB before 10.5 has no values of virtual columns in its binlog
            yield Kind(f"generated, {'virtual' if word == 'VIRTUAL' else 'stored'}", kind.declaration, kind.avro, kind.expect, asks=kind.asks,
                       behind=f"AS ({expression}) {word}", weight=kind.weight, share=len(made), distinct=0,
                       streamed=word != "VIRTUAL" or server.mysql or server.at_least(mariadb=(10, 5)))


def invisible_kinds():
    utf8 = charsets.Charset("utf8mb4", 4)
    for kind in (kinds_number.integer("INT", 32, True, False), kinds_text.text_kind("", "VARCHAR(30) CHARACTER SET utf8mb4", utf8, 30, 120)):
        kind.type, kind.behind = "invisible", "INVISIBLE" if kind.declaration.startswith("VARCHAR") else "DEFAULT NULL INVISIBLE"
        yield kind


def tables_of(server, r, sampled, only):
    """Lists of kinds, a table each: rows of InnoDB have room for about 8000 bytes beside what is kept apart."""
    bundles = [[kind] for kind in plain_kinds(server, r)]
    if server.at_least(mysql=(5, 7), mariadb=(10, 1)):
        bundles.append(list(generated_kinds(server)))
    if server.at_least(mysql=(8, 0, 23), mariadb=(10, 3)):
        bundles += [[kind] for kind in invisible_kinds()]
    if not only or any("text in" in o or "collation" in o for o in only):
        bundles += [[kind] for kind in charset_kinds(server, r, sampled)]
    if only:
        bundles = [b for b in bundles if any(o in kind.type for o in only for kind in b)]
    tables = []
    for bundle in bundles:
        rare, weight = bundle[0].share > 100, sum(kind.weight for kind in bundle)
        place = tables[-1] if tables and len(bundle) == 1 and tables[-1]["alone"] is False and tables[-1]["rare"] == rare and \
            tables[-1]["weight"] + weight < 5500 and len(tables[-1]["kinds"]) < 48 else None
        if place is None:
            place = {"kinds": [], "weight": 0, "rare": rare, "alone": len(bundle) > 1}
            tables.append(place)
        place["kinds"] += bundle
        place["weight"] += weight
    return [table["kinds"] for table in tables]


