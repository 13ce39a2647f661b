"""Row topics: every field of every row equals the table, by first copy and by stream, types and shapes alike."""
import random
import struct
import time

from fold import check_seq, compare
from harness import run_sql, source_position

ALL_TYPES = """CREATE TABLE {0} (
  id INT UNSIGNED NOT NULL, part BINARY(2) NOT NULL,
  t TINYINT, tu TINYINT UNSIGNED, s SMALLINT, su SMALLINT UNSIGNED, m MEDIUMINT, mu MEDIUMINT UNSIGNED,
  i INT, iu INT UNSIGNED, b BIGINT, bu BIGINT UNSIGNED, d DECIMAL(30,10), d0 DECIMAL(5,0), f FLOAT, g DOUBLE,
  c CHAR(10), vc VARCHAR(300), l1 VARCHAR(40) CHARACTER SET latin1, tx TEXT, mt MEDIUMTEXT, j JSON,
  bn BINARY(5), vb VARBINARY(200), bl BLOB,
  dt DATE, dt0 DATETIME, dt3 DATETIME(3), dt6 DATETIME(6), ts0 TIMESTAMP NULL, ts2 TIMESTAMP(2) NULL, ts6 TIMESTAMP(6) NULL,
  tm0 TIME, tm1 TIME(1), tm6 TIME(6), y YEAR, e ENUM('a','b','ü','it''s'), st SET('x','y','z''q'),
  b1 BIT(1), b9 BIT(9), b64 BIT(64),
  PRIMARY KEY (id, part)) CHARACTER SET utf8mb4"""


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def random_row(r, key):
    def whole(bits, unsigned):
        low, high = (0, 2**bits - 1) if unsigned else (-2**(bits - 1), 2**(bits - 1) - 1)
        return str(r.choice([low, high, 0, 1, r.randint(low, high)]))

    def text(longest):
        return quoted("".join(r.choice("abc XYZ'\\é€😀ß\n\0") for _ in range(r.choice([0, 1, 5, longest]))))

    def date():
        return f"{r.choice([1000, 1969, 1970, 2024, 9999]):04d}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"

    def clock(digits):
        return f"{r.randint(0, 23):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}" + (
            "." + "".join(r.choice("0123456789") for _ in range(digits)) if digits else "")

    def span(digits):
        return quoted(f"{r.choice(['', '-'])}{r.choice([0, 1, 23, 24, 100, 837]):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}" + (
            "." + "".join(r.choice("0123456789") for _ in range(digits)) if digits else ""))

    def stamp(digits):
        return quoted(f"{r.choice([1971, 2000, 2024, 2037])}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d} {clock(digits)}")

    def raw(longest):
        return "x'" + bytes(r.randrange(256) for _ in range(r.choice([0, 1, longest]))).hex() + "'"

    values = [whole(8, 0), whole(8, 1), whole(16, 0), whole(16, 1), whole(24, 0), whole(24, 1), whole(32, 0), whole(32, 1),
              whole(64, 0), whole(64, 1),
              r.choice(["", "-"]) + f"{r.randrange(10**r.choice([0, 1, 5, 19]) + 1)}.{r.randrange(10**10):010d}",
              str(r.randint(-99999, 99999)), repr(r.choice([0.0, 1.5, -3.25e10, 1e-20, r.uniform(-1e6, 1e6)])),
              repr(r.choice([0.0, -0.1, 1e300, r.uniform(-1, 1)])),
              text(9).replace("\0", ""), text(60), quoted("".join(r.choice("aé ÿ") for _ in range(20))), text(60), text(2000),
              quoted('{"a": [1, 2, {"ü": null}]}'),
              raw(5), raw(200), raw(3000),
              quoted(date()), quoted(f"{date()} {clock(0)}"), quoted(f"{date()} {clock(3)}"), quoted(f"{date()} {clock(6)}"),
              stamp(0), stamp(2), stamp(6), span(0), span(1), span(6), str(r.choice([0, 1901, 2000, 2155])),
              r.choice(["'a'", "'b'", "'ü'", "'it''s'"]), r.choice(["''", "'x'", "'x,y'"]),
              r.choice(["b'0'", "b'1'"]), f"b'{r.randrange(512):09b}'", f"b'{r.randrange(2**64):b}'"]
    values = [v if r.random() > 0.12 else "NULL" for v in values]
    return f"({key[0]}, x'{key[1].hex()}', {', '.join(values)})"


def traffic(r, connection, table, count, live, next_id):
    """Random transactions on an ALL_TYPES table; about one in ten is rolled back."""
    for _ in range(count):
        rollback = r.random() < 0.1
        kept, kept_id = set(live), next_id[0]
        run_sql(connection, "BEGIN")
        for _ in range(r.randint(1, 4)):
            action = r.random()
            if action < 0.5 or not live:
                keys = [(next_id[0] + i, bytes([r.randrange(256), r.randrange(256)])) for i in range(r.choice([1, 1, 7]))]
                next_id[0] += len(keys)
                live.update(keys)
                run_sql(connection, f"INSERT INTO {table} VALUES " + ", ".join(random_row(r, k) for k in keys))
                continue
            key = r.choice(sorted(live))
            where = f"WHERE id = {key[0]} AND part = x'{key[1].hex()}'"
            if action < 0.75:
                run_sql(connection, f"UPDATE {table} SET tu = {r.randrange(256)}, vc = {quoted('é' * r.randrange(50))}, d = NULL {where}")
            elif action < 0.85:
                moved = (r.choice([key[0], next_id[0]]), bytes([r.randrange(256), r.randrange(256)]))
                next_id[0] += 1
                if moved not in live:
                    run_sql(connection, f"UPDATE {table} SET id = {moved[0]}, part = x'{moved[1].hex()}' {where}")
                    live.remove(key)
                    live.add(moved)
            else:
                run_sql(connection, f"DELETE FROM {table} {where}")
                live.remove(key)
        run_sql(connection, "ROLLBACK" if rollback else "COMMIT")
        if rollback:
            live.clear()
            live.update(kept)


def test_every_type_by_copy_and_by_stream(database, make_setup):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, ALL_TYPES.format("t"), "SET sql_mode = ''")
    live, next_id = set(), [1]
    traffic(r, connection, "t", 150, live, next_id)
    setup = make_setup(f"{db}.t", copy__chunk_rows=50)
    run = setup.daemon("run").start()
    traffic(r, connection, "t", 300, live, next_id)
    setup.wait_delivered(source_position(connection), run)
    run_sql(connection, "SET GLOBAL log_bin_compress = 1", "SET GLOBAL log_bin_compress_min_len = 10")
    try:
        traffic(r, connection, "t", 150, live, next_id)
    finally:
        run_sql(connection, "SET GLOBAL log_bin_compress = 0")
    setup.wait_delivered(source_position(connection), run)
    assert compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", ["id", "part"]) == len(live)
    check_seq(setup)
    run.stop()


def test_zero_dates_are_carried_exactly(database, make_setup):
    db, connection = database
    run_sql(connection, "SET sql_mode = 'ALLOW_INVALID_DATES'", "CREATE TABLE z (id INT PRIMARY KEY, d DATE, t DATETIME(2))",
            "INSERT INTO z VALUES (1, '0000-00-00', '0000-00-00'), (2, '2024-02-31', '2023-02-29 01:02:03.45')")
    setup = make_setup(f"{db}.z")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run_sql(connection, "INSERT INTO z VALUES (3, '2024-00-00', '2024-13-01')", "UPDATE z SET d = '2024-00-10' WHERE id = 1")
    setup.wait_delivered(source_position(connection), run)
    compare(setup.reader.records(setup.topic(f"{db}.z")), connection, db, "z", ["id"])
    run.stop()


def test_a_new_column_is_a_new_schema_version(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE a (id INT PRIMARY KEY, v INT)", "INSERT INTO a VALUES (1, 10)")
    setup = make_setup(f"{db}.a")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run_sql(connection, "ALTER TABLE a ADD COLUMN w VARCHAR(9) NULL FIRST", "INSERT INTO a VALUES ('new', 2, 20)",
            "ALTER TABLE a DROP COLUMN v", "UPDATE a SET w = 'all'")
    setup.wait_delivered(source_position(connection), run)
    values = [value["after"] for _, _, _, _, value in setup.reader.records(setup.topic(f"{db}.a"))]
    assert {"id": 1, "v": 10} in values
    assert {"w": "new", "id": 2, "v": 20} in values
    assert {"w": "all", "id": 2} in values
    run.stop()


def test_a_type_that_the_binlog_cannot_tell_comes_later(database, make_setup):
    """A UUID looks like BINARY(16) in the binlog, a POINT like any GEOMETRY: only the catalog knows."""
    db, connection = database
    run_sql(connection, "CREATE TABLE a (id INT PRIMARY KEY)", "INSERT INTO a VALUES (1)")
    setup = make_setup(f"{db}.a")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run_sql(connection, "ALTER TABLE a ADD COLUMN tag UUID NULL, ADD COLUMN place POINT NULL",
            "INSERT INTO a VALUES (2, '0123ABCD-89ab-11ee-b962-0242ac120002', POINT(1, -2))")
    setup.wait_delivered(source_position(connection), run)
    after = setup.reader.records(setup.topic(f"{db}.a"))[-1][4]["after"]
    wkb = struct.pack("<BIdd", 1, 1, 1.0, -2.0)
    assert after == {"id": 2, "tag": "0123abcd-89ab-11ee-b962-0242ac120002", "place": {"srid": 0, "wkb": wkb}}, after
    run.stop()


def test_a_type_that_the_binlog_cannot_tell_is_that_of_its_place(database, make_setup):
    """What the catalog says now does not hold for rows of before a statement that made it so, nor the other way round."""
    db, connection = database
    text = "0123abcd-89ab-11ee-b962-0242ac120002"
    raw = bytes.fromhex("0123abcd89ab11eeb9620242ac120002")
    run_sql(connection, "CREATE TABLE a (id INT PRIMARY KEY, u UUID, b BINARY(16))", f"INSERT INTO a VALUES (1, '{text}', x'{raw.hex()}')")
    setup = make_setup(f"{db}.a", kafka__partitions=1)
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    run_sql(connection, f"INSERT INTO a VALUES (2, '{text}', x'{raw.hex()}')", "ALTER TABLE a ADD COLUMN v INT",
            f"INSERT INTO a VALUES (3, '{text}', x'{raw.hex()}', 3)", "ALTER TABLE a DROP COLUMN u, DROP COLUMN b",
            "ALTER TABLE a ADD COLUMN u BINARY(16), ADD COLUMN b UUID", f"INSERT INTO a VALUES (4, 4, x'{raw.hex()}', '{text}')")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    rows = {r[4]["after"]["id"]: r[4]["after"] for r in setup.reader.records(setup.topic(f"{db}.a")) if r[4]["op"] in "rc"}
    assert [(rows[i]["u"], rows[i]["b"]) for i in (1, 2)] == [(text, raw)] * 2
    assert (rows[3]["u"], rows[3]["b"]) == (raw, raw), "nobody saw the table between these statements: plain"
    assert (rows[4]["u"], rows[4]["b"]) == (raw, text)
    run.stop()


def test_what_is_rolled_back_is_not_delivered(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE r (id INT PRIMARY KEY, v INT) ENGINE=InnoDB", "CREATE TABLE x (id INT PRIMARY KEY) ENGINE=MyISAM")
    setup = make_setup(f"{db}.r")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    # a write to a non-transactional table forces the server to log the rows of what is rolled back
    run_sql(connection, "BEGIN", "INSERT INTO r VALUES (1, 1)", "INSERT INTO x VALUES (1)", "ROLLBACK")
    run_sql(connection, "BEGIN", "INSERT INTO r VALUES (2, 2)", "SAVEPOINT s", "INSERT INTO r VALUES (3, 3)", "INSERT INTO x VALUES (2)",
            "ROLLBACK TO s", "INSERT INTO r VALUES (4, 4)", "COMMIT")
    run_sql(connection, "BEGIN", "CREATE TEMPORARY TABLE tmp (id INT) ENGINE=InnoDB", "INSERT INTO r VALUES (5, 5)",
            "INSERT INTO tmp VALUES (1)", "ROLLBACK", "INSERT INTO r VALUES (6, 6)")
    setup.wait_delivered(source_position(connection), run)
    records = setup.reader.records(setup.topic(f"{db}.r"))
    assert sorted(value["after"]["id"] for *_, value in records) == [2, 4, 6]
    compare(records, connection, db, "r", ["id"])
    check_seq(setup)
    run.stop()
