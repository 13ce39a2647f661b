"""Folds a row topic into a table and compares every field with what MariaDB says, by conversions of its own."""
import collections
import datetime
import decimal

from harness import run_sql

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def hashable(value):
    """A SET arrives as a list."""
    return tuple(value) if isinstance(value, list) else value


def resolved(row, newer):
    """An older row as a reader with the newer schema sees it: columns that it lacks are null, dropped ones are gone."""
    return {column: row.get(column) for column in newer}


def fold(records, key_columns, chained=True):
    """[(partition, offset, key, name, envelope)] -> {key: row}; checks order, identity and before-images on the way.

    chained=False: rows were changed below the binlog and then by it, before they were compared: what came between is unknown.
    """
    rows, last_seq, places = {}, {}, {}
    for partition, offset, key, _, envelope in records:
        seq, op = envelope["source"]["seq"], envelope["op"]
        where = f"partition {partition} offset {offset} seq {seq} op {op}"
        assert seq > last_seq.get(partition, 0), f"{where}: seq fell or repeated"
        last_seq[partition] = seq
        if op == "t":  # the same record stands in every partition
            assert key is None and envelope["before"] is None and envelope["after"] is None, where
            for k in [k for k in rows if places[k] == partition]:
                del rows[k]
            continue
        image = envelope["after"] or envelope["before"]
        k = tuple(hashable(image[c]) for c in key_columns)
        assert key == {c: image[c] for c in key_columns}, f"{where}: key {key} is not the row's"
        places[k] = partition
        if op in "cr":
            assert k not in rows or not chained, f"{where}: {k} was there already"
            assert envelope["before"] is None and envelope["after"] is not None, where
            rows[k] = (envelope["after"], envelope["exact"])
        elif op == "u":
            assert k in rows or not chained, f"{where}: {k} was not there"
            assert not chained or envelope["before"] == resolved(rows[k][0], envelope["before"]), \
                f"{where}: before-image differs from the last after-image"
            rows[k] = (envelope["after"], envelope["exact"])
        elif op == "d":
            assert k in rows or not chained, f"{where}: {k} was not there"
            assert not chained or envelope["before"] == resolved(rows[k][0], envelope["before"]), \
                f"{where}: before-image differs from the last after-image"
            assert envelope["after"] is None, where
            rows.pop(k, None)
        else:
            raise AssertionError(f"{where}: unknown op")
    return rows


def expected(text, kind, unsigned):
    """What the record must hold for a value that the server prints as `text` (bytes or str)."""
    if text is None:
        return None
    if isinstance(text, str) and kind in ("binary", "varbinary", "blob", "tinyblob", "mediumblob", "longblob", "bit"):
        text = text.encode("latin-1")
    if kind in ("tinyint", "smallint", "mediumint", "int", "year"):
        return int(text)
    if kind == "bigint":
        return decimal.Decimal(text) if unsigned else int(text)
    if kind == "decimal":
        return decimal.Decimal(text)
    if kind == "double":
        return float(text)
    if kind == "date":
        return datetime.date.fromisoformat(text)
    if kind == "datetime":
        return datetime.datetime.fromisoformat(text)
    if kind == "timestamp":
        return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)
    if kind == "time":
        sign = -1 if text.startswith("-") else 1
        h, m, s = text.lstrip("-").split(":")
        return sign * ((int(h) * 60 + int(m)) * 60_000_000 + int(decimal.Decimal(s) * 1_000_000))
    if kind == "set":
        return text.split(",") if text else []
    return text


def columns_of(connection, db, table):
    return run_sql(connection, f"SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, NUMERIC_PRECISION FROM information_schema.COLUMNS "
                               f"WHERE TABLE_SCHEMA = '{db}' AND TABLE_NAME = '{table}' ORDER BY ORDINAL_POSITION")


def compare(records, connection, db, table, key_columns, chained=True):
    """The folded topic equals the table, field by field. Returns the number of rows."""
    rows = fold(records, key_columns, chained)
    columns = columns_of(connection, db, table)
    select = ", ".join(f"HEX(`{n}`)" if k in ("binary", "varbinary", "blob", "bit") else
                       f"CAST(`{n}` AS DOUBLE)" if k == "float" else f"CAST(`{n}` AS CHAR)"
                       for n, k, _, _ in columns)
    seen = set()
    for line in run_sql(connection, f"SELECT {select} FROM {db}.{table}"):
        want, inexact = {}, {}
        for (name, kind, full, precision), text in zip(columns, line):
            if kind in ("binary", "varbinary", "blob", "bit") and text is not None:
                raw = bytes.fromhex(text if len(text) % 2 == 0 else "0" + text)
                if kind == "bit":
                    width = int(full[4:-1])
                    number = int.from_bytes(raw, "big")
                    want[name] = bool(number) if width == 1 else number.to_bytes((width + 7) // 8, "big")
                else:
                    want[name] = raw
            elif kind == "float":
                want[name] = None if text is None else float(text)
            else:
                try:
                    want[name] = expected(text, kind, "unsigned" in full)
                except ValueError:
                    inexact[name] = text  # zero dates and the like: null, and the text in `exact`
                    want[name] = None
        key = tuple(hashable(want[c]) for c in key_columns)
        assert key in rows, f"{db}.{table}: {key} is missing from the topic"
        got, exact = rows[key]
        assert resolved(got, want) == want, f"{db}.{table} {key}: topic {got} != table {want}"
        for name, text in inexact.items():
            assert exact and exact.get(f"after.{name}") == text, f"{db}.{table} {key}: {name} lacks its exact text"
        seen.add(key)
    extra = set(rows) - seen
    assert not extra, f"{db}.{table}: rows that are not in the table: {sorted(extra)[:5]}"
    return len(seen)


def compare_multiset(records, connection, db, table, chained=True):
    """The same for a table without a key: every row as often as the table has it. Returns the number of rows.

    chained=False: rows were changed below the binlog and then by it, before they were compared. Added up it is right all the same.
    """
    columns = columns_of(connection, db, table)

    def image(row):  # as a reader with the newest schema sees it
        return tuple((n, hashable(row.get(n))) for n, _, _, _ in columns)
    rows, last_seq = collections.Counter(), 0
    for partition, offset, key, _, envelope in records:
        where = f"offset {offset} seq {envelope['source']['seq']} op {envelope['op']}"
        if envelope["op"] == "t" and partition != 0:  # the same record stands in every partition
            continue
        assert partition == 0 and key is None, where
        assert envelope["source"]["seq"] > last_seq, f"{where}: seq fell or repeated"
        last_seq = envelope["source"]["seq"]
        if envelope["op"] == "t":
            rows.clear()
            continue
        assert (envelope["before"] is not None) == (envelope["op"] in "ud"), where
        assert (envelope["after"] is not None) == (envelope["op"] in "rcu"), where
        if envelope["op"] in "ud":
            before = image(envelope["before"])
            assert rows[before] > 0 or not chained, f"{where}: no such row was there"
            rows[before] -= 1
        if envelope["op"] in "rcu":
            rows[image(envelope["after"])] += 1
    select = ", ".join(f"CAST(`{n}` AS CHAR)" for n, _, _, _ in columns)
    want = collections.Counter(tuple((n, hashable(expected(text, kind, "unsigned" in full))) for (n, kind, full, _), text in zip(columns, line))
                               for line in run_sql(connection, f"SELECT {select} FROM {db}.{table}"))
    rows = collections.Counter({row: n for row, n in rows.items() if n != 0})
    assert rows == want, f"{db}.{table}: too many {list((rows - want).items())[:3]}, too few {list((want - rows).items())[:3]}"
    return sum(want.values())


def check_seq(setup):
    """Every seq of the row topics occurs once, from 1 to the end without a gap; events repeat a row's seq; commits agree."""
    reader, seqs, counts, emptied = setup.reader, [], {}, {}
    commits = setup.commits()
    topics = {t["topic"] for c in commits for t in c["partitions"]}
    for topic in topics:
        for partition, _, _, name, value in reader.records(topic):
            if name.endswith(".Envelope") and value["op"] == "t":
                emptied.setdefault((topic, value["source"]["seq"]), []).append(partition)
            elif name.endswith(".Envelope"):
                seqs.append(value["source"]["seq"])
            counts[(topic, partition)] = counts.get((topic, partition), 0) + 1
    for (topic, seq), partitions in emptied.items():
        assert sorted(partitions) == list(range(len(partitions))) and len(partitions) == reader.topics()[topic], f"{topic}: seq {seq}"
        seqs.append(seq)
    seqs.sort()
    assert seqs == list(range(1, len(seqs) + 1)), "seq has a gap or a repeat"
    for topic, partition in counts:
        said = sum(t["records"] for c in commits for t in c["partitions"] if (t["topic"], t["partition"]) == (topic, partition))
        assert said == counts[(topic, partition)], f"{topic}-{partition}: commits say {said} records, {counts[(topic, partition)]} are there"
    end = 0
    for c in commits:
        assert c["first_seq"] == end + 1, "group commits do not follow each other"
        assert sum(t["changes"] for t in c["transactions"]) == c["seq"] - end, "changes of a commit do not add up"
        end = c["seq"]
    assert end == len(seqs), "the last commit is not the last seq"
    return len(seqs)
