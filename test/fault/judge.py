"""What was delivered against what happened: every demand that DESIGN 8 makes, for one run.

Truth is a model of the tables, moved from one source transaction to the next by what the server's own binlog tool says (witness.py). Every
record of a row topic has one place in that history: its source transaction, in the order of the commits topic. Then, for
each key: the first record is a copied row as the table had it at the copy's place, or the insert; from there on each
change of the history is one record, in order, field by field, and there is no other. What a copy may leave out is what
lies before it. Events follow from the row records, one by one; views are compared with the source.
"""
import collections
import datetime
import decimal
import itertools
import re
import sqlite3

import gtids
import world
from harness import run_sql

GTID = re.compile(r"\d+-\d+-\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:(?:\w+:)?\d+")
MOST = 12   # problems told of each kind


class Problems:
    KINDS = ("lost", "repeated", "reordered", "wrong")

    def __init__(self):
        self.found = collections.defaultdict(list)

    def add(self, kind, text):
        self.found[kind].append(text)

    def __bool__(self):
        return any(self.found.values())

    def counts(self):
        return {k: len(self.found[k]) for k in self.KINDS}

    def lines(self):
        for kind in self.KINDS:
            for text in self.found[kind][:MOST]:
                yield f"{kind}: {text}"
            if len(self.found[kind]) > MOST:
                yield f"{kind}: ... and {len(self.found[kind]) - MOST} more"


# ---- what happened --------------------------------------------------------------------------------------------------

class Truth:
    """Every table's rows, and for each key its changes: [(place, op, before, after, gtid)]. Places count transactions."""

    def __init__(self, witness, db, tables):
        self.db, self.tables = db, tables
        self.rows = collections.defaultdict(dict)           # also of tables that are renamed into a captured one
        self.changes = collections.defaultdict(lambda: collections.defaultdict(list))
        self.silent = collections.defaultdict(list)         # places where rows changed without row events
        self.bags = collections.defaultdict(list)           # of a table without a key: [(place, op, before, after, gtid)]
        self.statements = {}        # gtid -> DDL
        self.place = {}             # gtid -> place
        self.emptied = {t: [] for t in tables}
        self.gtids = [None]
        for number, transaction in enumerate(witness.transactions, 1):
            self.place[transaction.gtid] = number
            self.gtids.append(transaction.gtid)
            if transaction.statement:
                self.statements[transaction.gtid] = transaction.statement
                self.ddl(number, transaction.gtid, transaction.statement)
            for change in transaction.changes:
                if change.table not in world.OUTSIDE:
                    self.row(number, transaction.gtid, change)

    def key(self, table, row):
        return tuple(row[c] for c in world.key_columns(table))

    def row(self, place, gtid, change):
        table, rows = change.table, self.rows[change.table]
        if not world.key_columns(table):
            self.bags[table].append((place, change.op[0].replace("i", "c"), change.before, change.after, gtid))
            return
        old = self.key(table, change.before) if change.before else None
        new = self.key(table, change.after) if change.after else None
        if old is not None and rows.get(old) != change.before:
            raise AssertionError(f"the model lost its way: {table} {old} at {gtid} is {rows.get(old)}, the binlog says {change.before}")
        if old is not None:
            del rows[old]
        if table == "parent" and old is not None and new is None:     # ON DELETE CASCADE: not in the binlog
            for child in [k for k, r in self.rows["child"].items() if r["parent"] == old[0]]:
                self.set_row(place, gtid, "child", child, "silent", None)
        if new is not None:
            if new in rows:
                raise AssertionError(f"the model lost its way: {table} {new} at {gtid} is there already")
            rows[new] = change.after
        if old == new:
            self.changes[table][old].append((place, "u", change.before, change.after, gtid))
            return
        if old is not None:
            self.changes[table][old].append((place, "d", change.before, None, gtid))
        if new is not None:
            self.changes[table][new].append((place, "c", None, change.after, gtid))

    def set_row(self, place, gtid, table, key, op, after):
        """A change that no row event tells: op t (the table was emptied) or silent."""
        before = self.rows[table].pop(key, None)
        if after is not None:
            self.rows[table][key] = after
        if before != after:
            self.changes[table][key].append((place, op, before, after, gtid))
            if op == "silent":
                self.silent[table].append(place)

    def ddl(self, place, gtid, text):
        """What the statements of plan.py do to rows."""
        text = re.sub(r"/\*.*?\*/", "", text).replace("`", "").strip()
        m = re.match(r"ALTER TABLE (\w+) (ADD|DROP|MODIFY) COLUMN (?:IF EXISTS )?(\w+)(?:.* DEFAULT (\d+))?", text, re.I)
        if m and m[1] in self.rows:
            return self.alter(place, gtid, m[1], m[2].upper(), m[3], m[4] and int(m[4]))
        m = re.match(r"(?:TRUNCATE|DROP) TABLE (?:IF EXISTS )?(?:\w+\.)?(\w+)", text, re.I)
        if m:
            if m[1] in self.tables:
                self.emptied[m[1]].append((place, gtid))
            for key in list(self.rows[m[1]]):
                self.set_row(place, gtid, m[1], key, "t", None)
            return None
        m = re.match(r"RENAME TABLE (\w+) TO (\w+), (\w+) TO (\w+)$", text, re.I)
        if m:
            assert m[1] == m[4], text
            old, new = self.rows[m[1]], self.rows[m[3]]
            self.rows[m[2]] = dict(old)
            for key in set(old) | set(new):
                self.set_row(place, gtid, m[1], key, "silent", new.get(key))
            del self.rows[m[3]]
        return None

    def alter(self, place, gtid, table, verb, name, default):
        for key, row in list(self.rows[table].items()):
            row = dict(row)
            if verb == "ADD":
                row[name] = default
            elif verb == "DROP":
                row.pop(name, None)
            if default is not None:
                self.set_row(place, gtid, table, key, "silent", row)
            else:
                self.rows[table][key] = row

    def place_of(self, gtid_set):
        """The last transaction in a set, of one domain or of MySQL's."""
        have = gtids.gtid_set(gtid_set)
        return sum(gtids.contains(have, gtids.gtid_set(g)) for g in self.gtids[1:])

    def at(self, table, key, place):
        """The row right behind the transaction at `place`."""
        row = None
        for change in self.changes[table].get(key, ()):
            if change[0] > place:
                break
            row = change[3]
        return row

    def bag_at(self, table, place):
        """How often each row is in a table without a key."""
        rows = collections.Counter()
        for at, _, before, after, gtid in self.bags[table]:
            if at > place:
                break
            if before:
                rows[items(before)] -= 1
                if rows[items(before)] < 0:
                    raise AssertionError(f"the model lost its way: {table} has no row {before} at {gtid}")
            if after:
                rows[items(after)] += 1
        return +rows


def items(row):
    return tuple(sorted(row.items()))


def without_nulls(row):
    """A copy may have been read before or behind an ALTER that adds or drops an empty column: that is no difference."""
    return row and {c: v for c, v in row.items() if v is not None}


def plain(text, kind):
    if text is None:
        return None
    if "int" in kind:
        return int(text)
    if kind.startswith("decimal"):
        return decimal.Decimal(text)
    if kind.startswith("datetime"):
        return datetime.datetime.fromisoformat(text)
    return text


def table_now(connection, db, table):
    """Its columns, and {key: row}; without a key {row as items: times}."""
    columns = run_sql(connection, f"SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{db}' "
                                  f"AND TABLE_NAME = '{table}' ORDER BY ORDINAL_POSITION")
    select = ", ".join(f"CAST(`{n}` AS CHAR)" for n, _ in columns)
    rows = {}
    for line in run_sql(connection, f"SELECT {select} FROM {db}.{table}"):
        row = {n: plain(v, k) for (n, k), v in zip(columns, line)}
        if not world.key_columns(table):
            rows[items(row)] = rows.get(items(row), 0) + 1
            continue
        rows[tuple(row[c] for c in world.key_columns(table))] = row
    return [n for n, _ in columns], rows


# ---- what was delivered ---------------------------------------------------------------------------------------------

class Commits:
    """The commits topic: the order of source transactions, the seqs of each, and the counts of each partition."""

    def __init__(self, values, problems):
        self.order = []                     # (gtid, first seq, last seq), in order; parts of one transaction are joined
        self.counts = collections.Counter()
        self.last = {}
        self.begun = values[0]["gtid_set"] if values else ""        # the starting point: the first commit has nothing else
        self.copied = {}                    # table -> last GTID of the group commit that ended its copy
        end = 0
        for c in values:
            if c["first_seq"] != end + 1:
                problems.add("lost" if c["first_seq"] > end + 1 else "repeated",
                             f"group commit begins with seq {c['first_seq']}, the one before ended with {end}")
            if sum(t["changes"] for t in c["transactions"]) != c["seq"] - c["first_seq"] + 1:
                problems.add("wrong", f"changes of the group commit up to seq {c['seq']} do not add up")
            seq = c["first_seq"]
            for t in c["transactions"]:
                if self.order and self.order[-1][0] == t["gtid"]:
                    self.order[-1] = (t["gtid"], self.order[-1][1], seq + t["changes"] - 1)
                else:
                    self.order.append((t["gtid"], seq, seq + t["changes"] - 1))
                seq += t["changes"]
            end = c["seq"]
            for table in c["copied"]:
                self.copied[table.split(".", 1)[1]] = c["gtid_set"]
            for p in c["partitions"]:
                at = (p["topic"], p["partition"])
                self.counts[at] += p["records"]
                if p["last_seq"] < self.last.get(at, 0):
                    problems.add("reordered", f"{at}: last_seq {p['last_seq']} behind {self.last[at]}")
                self.last[at] = p["last_seq"]
        self.end = end

    def places(self, truth, problems):
        """[(first seq, last seq, name, place)]: a copied chunk stands right before the next transaction that is listed: those
        in between are not listed because none of their rows was delivered, so they can't have changed what is copied by then."""
        out, place, seen = [], 0, set()
        self.earliest = {}      # chunk -> place of the transaction listed before it
        for gtid, first, last in self.order:
            if gtid in seen:
                problems.add("repeated", f"transaction {gtid} stands twice in the commits")
            seen.add(gtid)
            if not GTID.fullmatch(gtid):        # of a copy
                out.append((first, last, gtid, None))
                self.earliest[gtid] = place
                continue
            if gtid not in truth.place:
                problems.add("wrong", f"transaction {gtid} of the commits is not one that committed on the source")
                continue
            if truth.place[gtid] < place:
                problems.add("reordered", f"transaction {gtid} is behind a later one in the commits")
            place = max(place, truth.place[gtid])
            out.append((first, last, gtid, place))
        place = len(truth.gtids) - 1
        for number in reversed(range(len(out))):
            first, last, gtid, at = out[number]
            place = place if at is None else at
            out[number] = (first, last, gtid, place)
            place = place if at is None else at - 1
        return out


class Judge:
    def __init__(self, reader, name, db, on, problems):
        self.reader, self.name, self.db, self.on, self.problems = reader, name, db, on, problems
        self.records = 0
        self.tables = world.captured(on)

    def row_topic(self, table):
        return f"{self.name}.{self.db}.{table}"

    def read(self):
        self.commits = Commits([v for *_, v in self.reader.records(f"{self.name}.commits")], self.problems)
        self.partitions = self.reader.topics(f"{self.name}.")
        self.topics = {t: self.reader.records(t) for t in self.reader.topics(f"{self.name}.")
                       if t.rsplit(".", 1)[1] not in ("commits", "position", "status", "parked", "_schemas")}
        self.unpark()
        self.records = sum(map(len, self.topics.values()))

    def unpark(self):
        """Stand-ins give way to what they stand for."""
        topic, pieces, at = f"{self.name}.parked", collections.defaultdict(list), {}
        self.parked = 0
        for m in self.reader.messages(topic) if topic in self.partitions else []:
            name, piece = m.key().decode().split("/")
            record = self.reader.decode(m.value())[1]
            if (record["id"], record["piece"], len(pieces[name])) != (name, int(piece), int(piece)):
                self.problems.add("wrong", f"{topic} offset {m.offset()}: piece {record['piece']} of {record['id']} under the key {m.key()}")
            if not pieces[name]:
                at[f"{topic}:0:{m.offset()}"] = name
            pieces[name].append(record)
        for name, parts in pieces.items():
            if len(parts) != parts[0]["pieces"] or sum(len(p["data"]) for p in parts) != parts[0]["size"]:
                self.problems.add("lost", f"{topic}: {name} has {len(parts)} of {parts[0]['pieces']} pieces")
        for table in self.tables:
            records = self.topics.get(self.row_topic(table), [])
            for number, (partition, offset, key, name, value) in enumerate(records):
                if value["parked"] is None:
                    continue
                where = f"{table} {key} seq {value['source']['seq']}"
                if value["parked"] not in at:
                    self.problems.add("lost", f"{where}: nothing is parked at {value['parked']}")
                    continue
                self.parked += 1
                _, whole = self.reader.decode(b"".join(p["data"] for p in pieces.pop(at.pop(value["parked"]))))
                if value["before"] is not None or value["after"] is not None or whole["parked"] is not None or \
                        any(whole[f] != value[f] for f in ("op", "source", "transaction")):
                    self.problems.add("wrong", f"{where}: the stand-in is not that of what is parked")
                records[number] = (partition, offset, key, name, whole)
        for name in at.values():
            self.problems.add("wrong", f"{topic}: nothing stands in for {name}")

    def dump(self, path):
        with open(path, "w") as out:
            for topic, records in sorted(self.topics.items()):
                for partition, offset, key, name, value in records:
                    out.write(f"{topic} {partition} {offset} {key} {name} {value}\n")
            for gtid, first, last in self.commits.order:
                out.write(f"commit {gtid} {first} {last}\n")

    # ---- order and numbers

    def check_numbers(self):
        rows = {self.row_topic(t) for t in self.tables}
        seqs = collections.Counter()
        for topic, records in self.topics.items():
            counts, last, homes = collections.Counter(), {}, {}
            for partition, offset, key, name, value in records:
                seq = value["source"]["seq"] if topic in rows else value["meta"]["seq"]
                where = f"{topic}-{partition} offset {offset}"
                mark = (seq, "" if topic in rows else name)
                if mark in last.setdefault(partition, {"seen": set(), "seq": 0})["seen"]:
                    self.problems.add("repeated", f"{where}: seq {seq} {name}")
                if seq < last[partition]["seq"]:
                    self.problems.add("reordered", f"{where}: seq {seq} behind {last[partition]['seq']}")
                last[partition]["seen"].add(mark)
                last[partition]["seq"] = max(seq, last[partition]["seq"])
                if key is not None and homes.setdefault(str(key), partition) != partition:
                    self.problems.add("reordered", f"{where}: key {key} is also in partition {homes[str(key)]}")
                counts[partition] += 1
                if topic in rows and value["op"] != "t":
                    seqs[seq] += 1
                elif topic in rows:
                    seqs[seq] = max(1, seqs[seq])
            for partition, count in counts.items():
                said = self.commits.counts[(topic, partition)]
                if said != count:
                    self.problems.add("lost" if count < said else "repeated", f"{topic}-{partition}: commits say {said} records, {count} are there")
                if last[partition]["seq"] != self.commits.last.get((topic, partition)):
                    self.problems.add("wrong", f"{topic}-{partition}: last seq {last[partition]['seq']}, commits say "
                                               f"{self.commits.last.get((topic, partition))}")
        for topic, partition in self.commits.counts:
            if self.commits.counts[(topic, partition)] and topic not in self.topics and topic != f"{self.name}.parked":
                self.problems.add("lost", f"topic {topic} of the commits is not there")
        for seq, count in seqs.items():
            if count > 1:
                self.problems.add("repeated", f"seq {seq} stands in {count} row records")
        end = max([self.commits.end, *seqs], default=0)
        missing = [s for s in range(1, end + 1) if s not in seqs]
        for seq in missing:
            self.problems.add("lost", f"seq {seq} is in no row topic ({self.commits.end} is the last by the commits)")
        if end != self.commits.end:
            self.problems.add("wrong", f"the last seq is {end}, by the commits {self.commits.end}")

    # ---- rows, change by change

    def check_rows(self, truth):
        places = self.commits.places(truth, self.problems)
        place_of = {}
        for first, last, gtid, place in places:
            for seq in range(first, last + 1):
                place_of[seq] = (gtid, place)
        self.copies = collections.defaultdict(list)     # table -> (place, highest key) of its chunks
        self.copied = {t: truth.place_of(gtids) for t, gtids in self.commits.copied.items()}
        for table in self.tables:
            if not world.key_columns(table):
                self.check_bag(truth, table, place_of)
                continue
            by_key = collections.defaultdict(list)
            emptied = self.check_emptied(truth, table, place_of)
            for partition, offset, key, _, value in sorted(self.topics.get(self.row_topic(table), []), key=lambda r: r[4]["source"]["seq"]):
                source, where = value["source"], f"{table} {key} seq {value['source']['seq']}"
                if value["op"] == "t":
                    continue
                gtid, place = place_of.get(source["seq"], (None, None))
                if gtid is None:
                    self.problems.add("wrong", f"{where}: its seq belongs to no source transaction of the commits")
                    continue
                if source["gtid"] != gtid:
                    self.problems.add("wrong", f"{where}: gtid {source['gtid']}, by the commits {gtid}")
                if source["snapshot"] != gtid.startswith("snapshot:") or source["table"] != table or source["db"] != self.db:
                    self.problems.add("wrong", f"{where}: source says {source}")
                if value["absent"] or value["exact"]:
                    self.problems.add("wrong", f"{where}: absent {value['absent']}, exact {value['exact']}")
                image = value["after"] or value["before"] or {}
                if key != {c: image.get(c) for c in world.key_columns(table)}:
                    self.problems.add("wrong", f"{where}: the key is not the row's, {image}")
                by_key[tuple(key[c] for c in world.key_columns(table))].append((place, gtid, value))
            if any(e.table == table for e in world.events(self.on)):
                emptied = self.left(truth, table, emptied, by_key)
            for key, records in by_key.items():
                first = records[0][2]["source"]["seq"]
                records += [(place, gtid, {**value, "before": c[2]}) for place, gtid, value in emptied
                            for c in truth.changes[table].get(key, []) if c[1] == "t" and c[4] == gtid and value["source"]["seq"] > first]
                records.sort(key=lambda r: r[2]["source"]["seq"])
                if records[0][2]["op"] == "r":
                    self.copies[table].append((*records[0][:2], key))
            chunks = {}
            for place, gtid, key in self.copies.pop(table, []):
                chunks[gtid] = (place, max(key, chunks.get(gtid, (0, key))[1], key=lambda k: world.order(table, k)))
            self.copies[table] = [chunks[gtid] for _, _, gtid, _ in places if gtid in chunks]
            for key in sorted(set(by_key) | set(truth.changes[table])):
                self.check_key(truth, table, key, by_key.get(key, []))

    def check_key(self, truth, table, key, records):
        changes, where = truth.changes[table].get(key, []), f"{table} {key}"
        copied = bool(records) and records[0][2]["op"] == "r"
        if copied:
            place, gtid, value = records.pop(0)
            want = truth.at(table, key, place)
            start = sum(c[0] <= place for c in changes)
            if value["before"] is not None or without_nulls(value["after"]) not in self.allowed(truth, table, key, place, gtid):
                self.problems.add("wrong", f"{where}: copied by {gtid} (behind {truth.gtids[place]}) as {value['after']}, the table had {want}")
        elif records:
            start = next((i for i, c in enumerate(changes) if c[4] == records[0][1]), None)
            if start is None:       # the first record is of a reconciling copy, or wrong
                start = sum(c[0] <= self.passed(table, key) for c in changes)
            if records[0][2]["op"] != "c":
                self.problems.add("lost", f"{where}: its first record is {records[0][2]['op']} of {records[0][1]}, neither r nor c")
        else:
            start = len(changes)
        told = [c for c in changes[:start] if c[1] != "silent"]
        passed = min([self.passed(table, key), *(c[0] - 1 for c in changes[start:start + 1])])
        if told and not copied and (told[-1][0] > passed or truth.at(table, key, passed) is not None):
            self.problems.add("lost", f"{where}: {len(told)} changes up to {told[-1][4]} ({told[-1][1]}) are in no record, "
                                      f"and no copy came behind them")
        self.check_history(truth, table, key, changes[start:], records, value["after"] if copied else None)

    def left(self, truth, table, emptied, by_key):
        """Events are bound to this table: its rows leave by d before each t. What is returned has none: where the table was dropped,
        and nobody knew its columns any more."""
        told = {gtid for records in by_key.values() for _, gtid, value in records if value["op"] == "d"}
        silent = [e for e in emptied if e[1] not in told and truth.statements[e[1]].lstrip("/* ").upper().startswith("DROP")]
        for key, changes in truth.changes[table].items():
            truth.changes[table][key] = [(c[0], "d", *c[2:]) if c[1] == "t" and c[4] not in {e[1] for e in silent} else c for c in changes]
        for place, gtid, value in emptied:
            late = [k for k, records in by_key.items() for _, g, v in records if g == gtid and v["source"]["seq"] > value["source"]["seq"]]
            if late:
                self.problems.add("reordered", f"{table}: rows of {gtid} behind its t: {late[:3]}")
        return silent

    def check_bag(self, truth, table, place_of):
        """Without a key: one copy of all rows at one place, then each change, in order."""
        copied, place, found = collections.Counter(), None, []
        for _, _, key, _, value in sorted(self.topics.get(self.row_topic(table), []), key=lambda r: r[4]["source"]["seq"]):
            gtid, at = place_of.get(value["source"]["seq"], (None, None))
            if key is not None or value["source"]["gtid"] != gtid:
                self.problems.add("wrong", f"{table}: a record of {gtid} (by the commits) with key {key}: {value}")
            if value["op"] == "r" and place not in (None, at) or value["op"] == "r" and found:
                self.problems.add("repeated", f"{table}: copied again at {gtid}: {value['after']}")
            if value["op"] == "r":
                place = at
                copied[items(value["after"])] += 1
            else:
                found.append((value["op"], value["before"], value["after"], gtid))
        place = self.copied.get(table, 0) if place is None else place
        want = truth.bag_at(table, place)
        if copied != want:
            self.problems.add("lost" if want - copied else "repeated", f"{table}: copied at {truth.gtids[place]} without {list((want - copied).items())[:3]}, "
                              f"with {list((copied - want).items())[:3]} too many")
        history = [c[1:] for c in truth.bags[table] if c[0] > place]
        for number, (have, wanted) in enumerate(itertools.zip_longest(found, history)):
            if have != wanted:
                kind = "lost" if have is None or have in history[number:] else "repeated" if wanted is None or have in history[:number] else "wrong"
                self.problems.add(kind, f"{table}: record {number} behind the copy is {have}, the history has {wanted}")
                return

    def check_emptied(self, truth, table, place_of):
        """[(place, gtid, record)]: one record t in each partition for each time the table was emptied, and no other."""
        topic, found = self.row_topic(table), {}
        for partition, offset, key, _, value in self.topics.get(topic, []):
            if value["op"] == "t":
                found.setdefault(value["source"]["seq"], []).append((partition, key, value))
        out = []
        for seq, records in sorted(found.items()):
            value = records[0][2]
            gtid, place = place_of.get(seq, (None, 0))
            if sorted(p for p, _, _ in records) != list(range(self.partitions[topic])):
                self.problems.add("lost", f"{table}: t of {gtid} (seq {seq}) is in partitions {sorted(p for p, _, _ in records)} only")
            if any(k is not None or v["before"] is not None or v["after"] is not None or v["source"]["gtid"] != gtid for _, k, v in records):
                self.problems.add("wrong", f"{table}: t of {gtid} (seq {seq}): {records}")
            out.append((place, gtid, value))
        begun = truth.place_of(self.commits.begun) if self.commits.begun else 0
        said, wanted = [g for _, g, _ in out], [g for place, g in truth.emptied[table] if place > begun]
        for gtid in set(said) | set(wanted):
            if said.count(gtid) != wanted.count(gtid):
                kind = "lost" if said.count(gtid) < wanted.count(gtid) else "repeated" if gtid in wanted else "wrong"
                self.problems.add(kind, f"{table}: {said.count(gtid)} records t of {gtid}, the history has {wanted.count(gtid)}")
        return out

    def allowed(self, truth, table, key, place, gtid):
        """The row behind `place`; where rows changed without row events since the transaction listed before, also as it was then."""
        earliest = self.commits.earliest.get(gtid, 0)
        out = [truth.at(table, key, p) for p in (place, *(q for p in truth.silent[table] for q in (p - 1, p) if earliest <= q <= place))]
        # a chunk's SELECT may lie before such a change and its place behind it: nothing tells the fold. A reconciling copy heals it.
        for at, op, before, _, _ in reversed([c for c in truth.changes[table].get(key, []) if c[0] <= place]):
            if op != "silent":
                break
            out.append(before)
        return [without_nulls(row) for row in out]

    def reconciled(self, truth, table, key, record, last):
        """A record of a reconciling copy: from what was delivered to what the table has, and only where they differ."""
        place, gtid, value = record
        allowed = self.allowed(truth, table, key, place, gtid)
        before, after = without_nulls(value["before"]), without_nulls(value["after"])
        said = f"{table} {key}: {value['op']} of {gtid} (seq {value['source']['seq']}) {value['before']} -> {value['after']}"
        if before != without_nulls(last):
            self.problems.add("wrong", f"{said}: what was delivered before is {last}")
        elif after not in allowed:
            self.problems.add("wrong", f"{said}: the table had {allowed[0]}")
        elif value["before"] == value["after"]:
            self.problems.add("wrong", f"{said}: there was no difference")

    def check_history(self, truth, table, key, changes, records, last):
        """One record for each change, in order; what no row event told is left to reconciling copies."""
        where, at = f"{table} {key}", 0
        wanted_all, changes = changes, [c for c in changes if c[1] != "silent"]
        for record in records:
            _, gtid, value = record
            op = value["op"]
            said = f"{op} of {gtid} (seq {value['source']['seq']})"
            if gtid.startswith("reconcile:"):
                self.reconciled(truth, table, key, record, last)
                last = value["after"]
                continue
            if at >= len(changes):
                known = any((gtid, op) == (c[4], c[1]) for c in wanted_all)
                self.problems.add("repeated" if known else "wrong", f"{where}: record {said} is one too many")
                return
            _, wanted_op, before, after, wanted = changes[at]
            if (op, gtid) != (wanted_op, wanted):
                kind = "repeated" if any((gtid, op) == (c[4], c[1]) for c in changes[:at]) else \
                    "lost" if any((gtid, op) == (c[4], c[1]) for c in changes[at:]) else "wrong"
                self.problems.add(kind, f"{where}: record {said} where the history has {wanted_op} of {wanted}")
                return
            if value["before"] != before or value["after"] != after:
                self.problems.add("wrong", f"{where}: record {said} {value['before']} -> {value['after']}, history {before} -> {after}")
                return
            last = value["after"]
            at += 1
        if at < len(changes):
            self.problems.add("lost", f"{where}: {len(changes) - at} changes from {changes[at][4]} ({changes[at][1]}) on are in no record")

    def passed(self, table, key):
        """The place where the first copy passed this key: it leaves out what lies before."""
        key = world.order(table, key)
        return next((at for at, highest in self.copies[table] if world.order(table, highest) >= key), self.copied.get(table, 0))

    def check_end(self, truth, connection):
        """The model against the source (a check of the witness), and the end of each topic against the source."""
        for table in self.tables:
            columns, rows = table_now(connection, self.db, table)
            if not world.key_columns(table):
                if rows != truth.bag_at(table, len(truth.gtids)):
                    raise AssertionError(f"the model lost its way: {table} is not {rows}")
                continue        # check_bag has seen every record
            if rows != truth.rows[table]:
                differ = [k for k in set(rows) | set(truth.rows[table]) if rows.get(k) != truth.rows[table].get(k)]
                raise AssertionError(f"the model lost its way: {table} {differ[:3]}: {[truth.rows[table].get(k) for k in differ[:3]]} "
                                     f"should be {[rows.get(k) for k in differ[:3]]}")
            last = {}
            for *_, key, _, value in sorted(self.topics.get(self.row_topic(table), []), key=lambda r: r[4]["source"]["seq"]):
                if value["op"] == "t":
                    last = {}
                    continue
                last[tuple(key[c] for c in world.key_columns(table))] = value["after"]
            for key in sorted(set(rows) | set(last)):
                row = last.get(key)
                row = row and {c: row.get(c) for c in columns}
                if row != rows.get(key):
                    kind = "lost" if row is None or rows.get(key) is None else "wrong"
                    self.problems.add(kind, f"{table} {key}: the topic ends with {row}, the table has {rows.get(key)}")

    # ---- events

    def check_events(self):
        wanted, there = {}, {}
        for event in world.events(self.on):
            topic = f"{self.name}.{event.topic}"
            for *_, row in self.topics.get(self.row_topic(event.table), []):
                fields = event.of(row["before"], row["after"])
                if fields is not None:
                    source = row["source"]
                    wanted[(topic, source["seq"], f"faults.{event.name}")] = (source["gtid"], source["ts_us"], fields)
        for topic in sorted({f"{self.name}.{event.topic}" for event in world.events(self.on)}):
            for partition, offset, key, name, value in self.topics.get(topic, []):
                meta, value = value["meta"], {k: v for k, v in value.items() if k != "meta"}
                at = int(meta["at"].timestamp() * 1_000_000 + 0.5) if isinstance(meta["at"], datetime.datetime) else meta["at"]
                there[(topic, meta["seq"], name)] = (meta["gtid"], at, value)
                mine = next((e for e in world.EVENTS if f"faults.{e.name}" == name), None)
                if mine is None or key != {k: value[k] for k in mine.key}:
                    self.problems.add("wrong", f"{topic}-{partition} offset {offset}: {name} {value} has key {key}")
        for mark in sorted(set(wanted) | set(there)):
            if mark not in there:
                self.problems.add("lost", f"event {mark} {wanted[mark]}")
            elif mark not in wanted:
                self.problems.add("wrong", f"event {mark} {there[mark]} follows from no row record")
            elif wanted[mark] != there[mark]:
                self.problems.add("wrong", f"event {mark} is {there[mark]}, should be {wanted[mark]}")
        return len(there)

    # ---- views

    def check_views(self, folder, connection):
        for view, definition in world.views(self.on).items():
            mine, theirs = definition["compare"]
            store = sqlite3.connect(f"file:{folder}/state/{view}.db?mode=ro", uri=True)
            try:
                have = [tuple(r) for r in store.execute(mine)]
            finally:
                store.close()
            want = [tuple(r) for r in run_sql(connection, theirs.format(db=self.db))]
            if have != want:
                only_have, only_want = set(have) - set(want), set(want) - set(have)
                kind = "wrong" if only_have else "lost"
                self.problems.add(kind, f"view {view}: {len(have)} rows, the source {len(want)}; only in the view {sorted(only_have, key=str)[:4]}, "
                                        f"only in the source {sorted(only_want, key=str)[:4]}")
