"""A table of the matrix: made twice with the same values, once to be copied and once to be streamed."""
from server import run

PACKET = 700_000


class Table:
    """`c_name` is there before capture is; `s_name` gets its rows while it runs, first those of the row before, then its own."""

    def __init__(self, name, kinds, values):
        self.name, self.kinds = name, kinds
        for number, kind in enumerate(kinds):
            kind.column = kind.column or f"k{number}"
        # more than asked for, because some are NULL, and some a server refuses (UUIDs); one of a few hundred collations
        # needs its part only
        self.rows = max(-(-values // kind.share) + len(kind.boundary) for kind in kinds) * 116 // 100 + 20
        self.given = [kind for kind in kinds if kind.random]

    def create(self, server, database):
        columns = ", ".join(f"{k.column} {k.declaration} {k.behind}" for k in self.kinds)
        for which in "cs":
            run(server.writer, f"CREATE TABLE {database}.{which}_{self.name} (id INT NOT NULL PRIMARY KEY, {columns}) "
                               "ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4")

    def fill(self, server, database, r):
        """Edges first, in an order of each column's own; then random values, one of fifty of them NULL."""
        columns = []
        for kind in self.given:
            made = list(kind.boundary)
            while len(made) < self.rows:
                made.append(b"NULL" if r.random() < 0.02 else kind.random(r))
            r.shuffle(made)
            columns.append(made)
        head = f"INSERT INTO {database}.c_{self.name} (id, {self.names()}) VALUES ".encode()
        batch, size = [], 0
        for number, row in enumerate(zip(*columns), 1):
            line = b"(%d, %s)" % (number, b", ".join(row))
            batch.append(line)
            size += len(line)
            if size > PACKET:
                run(server.writer, head + b",\n".join(batch))
                batch, size = [], 0
        if batch:
            run(server.writer, head + b",\n".join(batch))

    def names(self):
        return ", ".join(kind.column for kind in self.given)

    def stream(self, server, database):
        """Every row is inserted with its neighbour's values and changed to its own: in the end both tables are equal."""
        c, s = f"{database}.c_{self.name}", f"{database}.s_{self.name}"
        assignments = ", ".join(f"s.{kind.column} = c.{kind.column}" for kind in self.given)
        run(server.writer, f"INSERT INTO {s} (id, {self.names()}) SELECT id % {self.rows} + 1, {self.names()} FROM {c}",
            f"UPDATE {s} s JOIN {c} c ON c.id = s.id SET {assignments}")

    def text(self, connection, database, which):
        """The server's own words: {id: a tuple of answers for each column}; a NULL is None."""
        asked = [ask.format(f"`{kind.column}`") for kind in self.kinds for ask in kind.asks]
        ends, at = [], 1
        for kind in self.kinds:
            ends.append((at, at + len(kind.asks)))
            at += len(kind.asks)
        rows = run(connection, f"SELECT id, {', '.join(asked)} FROM {database}.{which}_{self.name}")
        return {int(row[0]): tuple(row[a:b] if row[a] is not None else None for a, b in ends) for row in rows}
