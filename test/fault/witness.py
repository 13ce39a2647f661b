"""What happened on the source, told by somebody else: the text of the server's own mariadb-binlog or mysqlbinlog, read into
source transactions.

Nothing of Millrace takes part. Groups that end in ROLLBACK, ranges that a ROLLBACK TO took back, and groups that a crash
of the server left without an end are dropped here; rows of an XA transaction count where its XA COMMIT stands.
"""
import datetime
import decimal
import re
import subprocess


class Change:
    """One row: op is insert, update or delete; images are {column: value}."""
    __slots__ = ("table", "op", "before", "after")

    def __init__(self, table, op, before, after):
        self.table, self.op, self.before, self.after = table, op, before, after


class Transaction:
    """What committed under one GTID: row changes, or one statement (DDL)."""
    __slots__ = ("gtid", "changes", "statement")

    def __init__(self, gtid, changes, statement=None):
        self.gtid, self.changes, self.statement = gtid, changes, statement


HEAD = re.compile(r"^#\d{6} .*?end_log_pos \d+(?: CRC32 0x[0-9a-f]+)? \t(.*)$")
MAP = re.compile(r"Table_map: `([^`]*)`\.`([^`]*)` mapped to number (\d+)")
COLUMN = re.compile(r"^# (?:Columns\(| +)`([^`]*)` (.*?)(?:,|\))?$")
ROW = re.compile(r"^### (INSERT INTO|UPDATE|DELETE FROM) `([^`]*)`\.`([^`]*)`")
VALUE = re.compile(r"^###   @(\d+)=(.*)$")
XID = re.compile(r"^XA (START|BEGIN|END|PREPARE|COMMIT|ROLLBACK) (X'[0-9a-f]*',X'[0-9a-f]*',\d+)", re.I)
NEXT = re.compile(r"^SET @@SESSION\.GTID_NEXT= '([0-9a-f-]{36}:(?:\w+:)?\d+)'/\*!\*/;$")      # MySQL says it behind its event
SAVEPOINT = re.compile(r"^(SAVEPOINT|ROLLBACK TO|RELEASE SAVEPOINT) (?:SAVEPOINT )?`?([^`\s]*)`?$", re.I)


def value_of(text, kind):
    """The value in a record's terms."""
    if text == "NULL":
        return None
    if "INT" in kind and not kind.startswith("POINT"):
        signed, _, unsigned = text.partition(" (")
        return int(unsigned.rstrip(")")) if unsigned and "UNSIGNED" in kind else int(signed)
    if kind.startswith("DECIMAL"):
        return decimal.Decimal(text)
    if kind.startswith("DATETIME"):
        return datetime.datetime.fromisoformat(text.strip("'"))
    if text.startswith("'"):
        return text[1:-1]
    raise AssertionError(f"the witness can't read {text} as {kind}")


class Witness:
    """Reads the tool's lines once; self.transactions then holds what committed, in order."""

    def __init__(self, lines, db):
        self.db, self.transactions = db, []
        self.shapes, self.prepared, self.committed, self.columns = {}, {}, set(), None
        self.xa_commits = self.torn = self.rolled_back = self.cut_rows = 0
        self.reset()
        self.statement = None
        for line in lines:
            self.line(line.rstrip("\n"))

    def told(self):
        return f"{len(self.transactions)} transactions, {self.xa_commits} of them XA, {self.rolled_back} rows rolled back, {self.cut_rows} to savepoints, {self.torn} torn"

    def reset(self, gtid=None, standalone=False):
        self.gtid, self.standalone = gtid, standalone
        self.changes, self.savepoints, self.xid = [], [], None

    def line(self, line):
        if line.startswith("###"):
            return self.row_line(line)
        if self.columns is not None:
            m = COLUMN.match(line)
            if m:
                self.columns.append((m[1], m[2].upper()))
                return None
        m = HEAD.match(line)
        if m:
            self.end_image()
            return self.event(m[1])
        if line.startswith("#"):
            return None
        m = NEXT.match(line)
        if m:
            self.gtid = m[1]
            return None
        if line == "/*!*/;":
            statement, self.statement = self.statement, None
            return self.query(statement.strip()) if statement is not None else None
        if self.statement is not None:
            if line.startswith(("SET ", "use ", "/*!", "/*M!")) and line.endswith("/*!*/;"):
                return None
            if line.endswith("/*!*/;"):
                statement, self.statement = self.statement + line[:-6], None
                return self.query(statement.strip())
            self.statement += line + "\n"
        return None

    def event(self, what):
        self.columns = None
        self.statement = None
        if what.startswith("GTID\t"):
            if self.gtid:
                self.torn += 1
            self.reset()
        elif what.startswith("GTID "):
            if self.gtid:
                self.torn += 1
            self.reset(what.split()[1], "ddl" in what)
            self.statement = ""
        elif what.startswith("Query"):
            self.statement = ""
        elif what.startswith("Xid ="):
            self.end(True)
        elif what.startswith(("XID =", "XA ")):     # ends the group of an XA PREPARE
            self.statement = ""
        elif what.startswith("Start: binlog"):
            if self.gtid:
                self.torn += 1
            self.reset()
        elif what.startswith("Table_map"):
            m = MAP.match(what)
            self.columns = self.shapes[(m[1], m[2])] = []

    def row_line(self, line):
        m = ROW.match(line)
        if m:
            self.end_image()
            self.image = {"op": m[1].split()[0].lower(), "db": m[2], "table": m[3], "WHERE": None, "SET": None}
            return
        if line in ("### WHERE", "### SET"):
            self.part = self.image[line[4:]] = {}
            return
        m = VALUE.match(line)
        name, kind = self.shapes[(self.image["db"], self.image["table"])][int(m[1]) - 1]
        if self.image["db"] == self.db:
            self.part[name] = value_of(m[2], kind)

    image = None

    def end_image(self):
        image, self.image = self.image, None
        if image and image["db"] == self.db:
            self.changes.append(Change(image["table"], image["op"], image["WHERE"], image["SET"]))

    def query(self, text):
        if not self.gtid or not text:
            return
        upper = text.upper()
        savepoint, xid = SAVEPOINT.match(text), XID.match(text)
        if upper in ("START TRANSACTION", "BEGIN"):
            return
        if upper == "COMMIT":
            self.end(True)
        elif upper == "ROLLBACK":
            self.end(False)
        elif savepoint:
            self.savepoint(savepoint[1].upper(), savepoint[2].lower())
        elif xid:
            self.xa(xid[1].upper(), xid[2], "ONE PHASE" in upper)
        else:
            self.transactions.append(Transaction(self.gtid, self.changes, text))
            self.reset()

    def savepoint(self, verb, name):
        if verb == "SAVEPOINT":
            self.savepoints = [s for s in self.savepoints if s[0] != name] + [(name, len(self.changes))]
            return
        at = max((i for i, s in enumerate(self.savepoints) if s[0] == name), default=None)
        assert at is not None, f"{self.gtid}: no savepoint {name}"
        if verb == "ROLLBACK TO":
            self.cut_rows += len(self.changes) - self.savepoints[at][1]
            del self.changes[self.savepoints[at][1]:]
            del self.savepoints[at + 1:]
        else:
            del self.savepoints[at:]

    def xa(self, verb, xid, one_phase):
        if verb in ("START", "BEGIN"):
            self.xid = xid
        elif verb == "PREPARE":
            self.prepared[xid] = self.changes
            self.committed.discard(xid)
            self.reset()
        elif verb == "COMMIT" and self.xid == xid:   # one phase: the rows stand in this group
            self.end(True)
        elif verb == "COMMIT" and xid in self.committed:
            self.end(True)      # a server that was killed may have the first one in its binlog only: then it asks for another
        elif verb == "COMMIT":
            self.changes = self.prepared.pop(xid)
            self.committed.add(xid)
            self.xa_commits += 1
            self.end(True)
        elif verb == "ROLLBACK":
            self.rolled_back += len(self.prepared.pop(xid, []))
            self.reset()

    def end(self, committed):
        if committed:
            self.transactions.append(Transaction(self.gtid, self.changes))
        else:
            self.rolled_back += len(self.changes)
        self.reset()


def read(files, db, tool="mariadb-binlog"):
    """files: binlog files of the server, in order."""
    process = subprocess.Popen([str(tool), "--no-defaults", "-v", "--base64-output=decode-rows", "--print-table-metadata", *map(str, files)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
    witness = Witness(process.stdout, db)
    said = process.stderr.read()
    assert process.wait() == 0, f"{tool}: {said}"
    return witness
