"""Readers of the public name, all the time: what each read gives must be the view as one version of it was at one moment.

Every read is judged: rows in all tables that must have some, one mark over all of them, and the rows exactly those that the logic of
that mark makes of the source's first n transactions, n being what the same read found in `tick`. And n never falls, whichever version
the name leads to.
"""
import random
import threading
import time
import traceback

from model import digest_of


def difference(history, logic, n, rows):
    """The first rows that are not as they must be, for people."""
    wanted = history.model.content(history.kind, logic, n)
    got = {(table, row[0]): tuple(row) for table, some in rows.items() for row in some}
    lines = [f"{t} {k}: {got.get((t, k))}, not {wanted.get((t, k))}" for t, k in sorted({*wanted, *got}, key=str) if got.get((t, k)) != wanted.get((t, k))]
    return f"{len(lines)} rows: " + "; ".join(lines[:6])


def judge(history, read):
    """(mark, n) of a read that is right; AssertionError else. mark 0: the kind has none."""
    kind = history.kind
    for table in kind.never_empty:
        assert read[table], f"an empty view: no rows in {table}"
    if not kind.marked:
        return 0, judge_rows(history, {t: [tuple(row) for row in rows] for t, rows in read.items()}, "right", kind.n(read))
    marks = {row[-1] for rows in read.values() for row in rows}
    assert len(marks) == 1, f"a mixture of versions: marks {sorted(marks)}: {({t: sorted({row[-1] for row in rows}) for t, rows in read.items()})}"
    (mark,) = marks
    logic = history.logic_of.get(mark)
    assert logic, f"mark {mark} was never given"
    if not history.strict:
        return mark, kind.n(read)
    try:
        return mark, judge_rows(history, {table: [tuple(row[:-1]) for row in some] for table, some in read.items()}, logic, kind.n(read))
    except AssertionError as wrong:
        raise AssertionError(f"{wrong} (mark {mark})") from None


def judge_rows(history, rows, logic, n):
    if digest_of(rows) != history.model.digest(history.kind, logic, n):
        raise AssertionError(f"not what transaction {n} left, by logic {logic}: {difference(history, logic, n, rows)}")
    return n


class Reader(threading.Thread):
    """style: anew (opens the name for each read), slow (the same, one transaction that takes its time), old (the same, with a snapshot from
    before its first look at the view), held (keeps its connection, as OPERATIONS.md has it), stubborn (keeps it whatever it says), prepared
    (keeps its statements)."""

    def __init__(self, history, style, seed):
        super().__init__(daemon=True)
        self.history, self.style, self.random = history, style, random.Random(seed)
        self.ended, self.reads, self.opened, self.last_n, self.last_mark = threading.Event(), 0, 0, -1, None
        self.seen = set()

    def look(self, connection):
        read = connection.read(self.random.uniform(0, 0.06) if self.style in ("slow", "old") else 0)
        mark, n = judge(self.history, read)
        assert n >= self.last_n or not self.history.strict, f"back from transaction {self.last_n} (mark {self.last_mark}) to {n} (mark {mark})"
        self.last_n, self.last_mark = n, mark
        self.reads += 1
        self.seen.add(mark)

    def open(self):
        self.opened += 1
        return self.history.store.public(self.history, self.style)

    def once(self, connection):
        """The connection that is kept, or None."""
        keeps = self.style not in ("anew", "slow", "old")
        if connection is not None and self.style == "held" and self.history.store.stays and connection.superseded():
            connection.close()
            connection = None
        if connection is None:
            connection = self.open()
        try:
            self.look(connection)
        except BaseException:
            connection.close()
            raise
        if not keeps:
            connection.close()
        return connection if keeps else None

    def run(self):
        connection = None
        while not self.ended.is_set():
            try:
                connection = self.once(connection)
            except AssertionError as wrong:
                connection = None
                self.history.wrong(f"a reader ({self.style}): {wrong}")
            except Exception as failure:
                connection = None
                self.history.wrong(f"a reader ({self.style}) got an error: {type(failure).__name__}: {failure}; " +
                                   traceback.format_exc().strip().splitlines()[-3].strip())
            self.ended.wait(self.random.uniform(0, 0.1))
        if connection is not None:
            connection.close()


class Readers:
    def __init__(self, history, seed):
        self.all = [Reader(history, style, seed + i) for i, style in enumerate(history.store.styles)]
        for reader in self.all:
            reader.start()

    def end(self):
        for reader in self.all:
            reader.ended.set()
        for reader in self.all:
            reader.join(60)

    def reads(self):
        return sum(r.reads for r in self.all)

    def opened(self):
        return sum(r.opened for r in self.all)
