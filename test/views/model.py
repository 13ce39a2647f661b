"""The source of a history: its tables, random transactions on them, and what each logic of a view makes of them.

Every transaction counts `tick.n` up before it does anything else. So transactions are in the order of n, a view's own copy of `tick`
says which of them it holds, and what it must hold then is known here, without asking Millrace or the source: digest(kind, logic, n).
"""
import threading
import time

TABLES = {
    "item": "CREATE TABLE item (id INT PRIMARY KEY, grp INT NOT NULL, amount INT NOT NULL, state VARCHAR(10) NOT NULL)",
    "grp": "CREATE TABLE grp (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL)",
    "entry": "CREATE TABLE entry (id BIGINT PRIMARY KEY, item INT NOT NULL)",
    "tick": "CREATE TABLE tick (one INT PRIMARY KEY, n BIGINT NOT NULL)",
}
COLUMNS = {"item": ("id", "grp", "amount", "state"), "grp": ("id", "name"), "entry": ("id", "item"), "tick": ("one", "n")}
STATES = ("on", "on", "on", "off", "spam")
FEWEST, MOST, GROUPS = 30, 110, 9


class Content:
    """Rows of tables by key, and a number that is equal for equal rows."""

    def __init__(self):
        self.rows, self.digest = {}, 0

    def get(self, table, key):
        return self.rows.get((table, key))

    def put(self, table, key, row):
        self.drop(table, key)
        self.rows[(table, key)] = row
        self.digest += hash((table, *row))

    def drop(self, table, key):
        old = self.rows.pop((table, key), None)
        if old is not None:
            self.digest -= hash((table, *old))

    def of(self, table):
        return {k: row for (t, k), row in self.rows.items() if t == table}


def digest_of(rows):
    """Of {table: rows}, as Content has it."""
    return sum(hash((table, *row)) for table, some in rows.items() for row in some)


def fold(kind, logic, content, change):
    table, before, after = change
    if before is not None and after is not None and before[0] != after[0]:     # delivered as a delete and an insert
        kind.fold(logic, content, table, before, None)
        before = None
    kind.fold(logic, content, table, before, after)


class Model:
    """What was committed, in order of n; changes: (table, before, after), rows as tuples in the order of COLUMNS."""

    def __init__(self, most=200):
        self.most = most                # changes of one transaction
        self.drag = 1                   # writers rest that many times as long
        self.lock = threading.Lock()
        self.source = {table: {} for table in TABLES}
        self.changes = []               # [n]: those of the transaction that made n; [0]: what the first copy finds
        self.folds = {}                 # (kind, logic) -> (content, [digest by n])

    def now(self):
        with self.lock:
            return len(self.changes) - 1

    def commit(self, n, changes):
        with self.lock:
            assert n == len(self.changes), f"transaction {n} comes behind {len(self.changes) - 1}"
            self.changes.append(changes)
            for table, before, after in changes:
                if before is not None:
                    del self.source[table][before[0]]
                if after is not None:
                    self.source[table][after[0]] = after

    def fold(self, kind, logic, n):
        content, digests = self.folds.setdefault((kind.name, logic), (Content(), []))
        while len(digests) <= n:
            for change in self.changes[len(digests)]:
                fold(kind, logic, content, change)
            digests.append(content.digest)
        return digests[n]

    def digest(self, kind, logic, n):
        """None: there was no such n."""
        with self.lock:
            return self.fold(kind, logic, n) if 0 <= n < len(self.changes) else None

    def content(self, kind, logic, n):
        """{(table, key): row} at n, made anew: to show what differs."""
        content = Content()
        with self.lock:
            for changes in self.changes[:n + 1]:
                for change in changes:
                    fold(kind, logic, content, change)
        return content.rows


def first_rows(r):
    """What is there before capture begins; grp first or last, as a copy may come."""
    groups = [("grp", None, (g, f"group {g}")) for g in range(1, GROUPS - 1)]
    items = [("item", None, (i, r.randint(1, GROUPS), r.randint(1, 500), r.choice(STATES))) for i in range(1, r.randint(FEWEST + 5, MOST - 30))]
    return [*groups, *items, ("entry", None, (1, 1)), ("tick", None, (1, 0))]


def sql_of(change):
    """The statement that makes a change, with its values."""
    table, before, after = change
    columns = COLUMNS[table]
    if before is None:
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})", after
    if after is None:
        return f"DELETE FROM {table} WHERE {columns[0]} = %s", (before[0],)
    return f"UPDATE {table} SET {', '.join(f'{c} = %s' for c in columns)} WHERE {columns[0]} = %s", (*after, before[0])


class Draft:
    """The changes of one transaction, as they are thought of: later ones see what earlier ones did."""

    def __init__(self, source, r, n):
        self.rows = {t: dict(source[t]) for t in ("item", "grp")}
        self.r, self.n, self.changes = r, n, []

    def add(self, table, before, after):
        if before is not None:
            del self.rows[table][before[0]]
        if after is not None:
            self.rows[table][after[0]] = after
        self.changes.append((table, before, after))

    def item(self):
        r, items = self.r, self.rows["item"]
        what = r.choice(("insert", "delete", "update", "update", "update", "move"))
        if len(items) >= MOST:
            what = "delete"
        if len(items) <= FEWEST and what == "delete":
            what = "insert"
        fresh = (r.randint(1, 10 * MOST), r.randint(1, GROUPS), r.randint(1, 500), r.choice(STATES))
        if what == "insert":
            if fresh[0] not in items:
                self.add("item", None, fresh)
            return
        before = items[r.choice(list(items))]
        if what == "delete":
            self.add("item", before, None)
        elif what == "move":        # a key that changes is delivered as a delete and an insert
            if fresh[0] not in items:
                self.add("item", before, (fresh[0], *before[1:]))
        else:
            after = [before[0], *(fresh[i] if r.random() < 0.5 else before[i] for i in (1, 2, 3))]
            if tuple(after) != before:
                self.add("item", before, tuple(after))

    def group(self):
        r, groups = self.r, self.rows["grp"]
        number = r.randint(1, GROUPS)
        before = groups.get(number)
        if before is None:
            self.add("grp", None, (number, f"group {number} of {self.n}"))
        elif r.random() < 0.2:
            self.add("grp", before, None)
        else:
            self.add("grp", before, (number, f"name {self.n}.{len(self.changes)}"))

    def entry(self):
        self.changes.append(("entry", None, (self.n * 1000 + len(self.changes), self.r.randint(1, MOST))))


def draft(model, r, n):
    d = Draft(model.source, r, n)
    for _ in range(r.choice((1, 1, 2, 3, 5, 9)) if r.random() < 0.97 else r.randint(80, 200)):
        r.choice((d.item, d.item, d.item, d.entry, d.entry, d.group))()
        if len(d.changes) >= model.most:
            break
    return d.changes


class Writer(threading.Thread):
    """One session of the application. Who has the row of `tick` may change anything, until its commit."""

    def __init__(self, connection, model, r, pause):
        super().__init__(daemon=True)
        self.connection, self.model, self.random, self.pause = connection, model, r, pause
        self.go, self.ended, self.still = threading.Event(), threading.Event(), threading.Event()
        self.failure, self.rolled_back = None, 0
        self.go.set()

    def transaction(self, cursor):
        r, model = self.random, self.model
        cursor.execute("BEGIN")
        cursor.execute("UPDATE tick SET n = n + 1")
        cursor.execute("SELECT n FROM tick")
        n = int(cursor.fetchone()[0])
        changes = draft(model, r, n)
        for change in changes:
            sql, values = sql_of(change)
            cursor.execute(sql, values)
        if r.random() < 0.06:
            cursor.execute("ROLLBACK")
            self.rolled_back += 1
            return
        self.model.commit(n, [("tick", (1, n - 1), (1, n)), *changes])
        cursor.execute("COMMIT")

    def run(self):
        try:
            with self.connection.cursor() as cursor:
                while not self.ended.is_set():
                    if not self.go.is_set():
                        self.still.set()
                        self.go.wait(0.1)
                        continue
                    self.still.clear()
                    self.transaction(cursor)
                    # a history that takes long must not grow so far that a build never ends
                    time.sleep(self.random.uniform(0, self.pause) * (1 + self.model.now() // 400) * self.model.drag)
        except Exception as failure:    # told by who joins it
            self.failure = failure
        self.still.set()


class Traffic:
    def __init__(self, connect, model, r, sessions):
        self.writers = [Writer(connect(), model, type(r)(r.random()), r.choice((0.01, 0.03, 0.08))) for _ in range(sessions)]

    def start(self):
        for w in self.writers:
            w.start()

    def rest(self):
        for w in self.writers:
            w.still.clear()
            w.go.clear()
        for w in self.writers:
            assert w.still.wait(120), "a writer doesn't come to rest"
            if w.failure:
                raise w.failure

    def go_on(self):
        for w in self.writers:
            w.go.set()

    def end(self):
        for w in self.writers:
            w.ended.set()
            w.go.set()
        for w in self.writers:
            if w.ident is not None:
                w.join(120)
            w.connection.close()
