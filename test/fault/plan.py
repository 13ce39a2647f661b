"""A history, planned: what each session does, all of it decided by the seed before the first statement runs.

A step is (kind, pause in seconds, statements, end). Kinds: txn (BEGIN first), bare (each statement by itself), xa.
How sessions interleave is the server's; the plan is the same each time.
"""
import random

import world

SESSIONS = 3


def number(r, low, high):
    return r.randint(low, high)


class Maker:
    def __init__(self, seed, session, on):
        self.r = random.Random(f"{seed}/{session}")
        self.session, self.on, self.big_id = session, on, session * 10_000_000
        self.serial = 0

    def a(self):
        r, i = self.r, self.r.randint(1, 3000)
        text, at = f"t{r.randint(0, 999)}", f"'2025-0{r.randint(1, 9)}-1{r.randint(0, 9)} 10:00:00.{r.randint(0, 999999):06d}'"
        kind = r.random()
        if kind < 0.35:
            return f"INSERT INTO a VALUES ({i}, {r.randint(0, 60)}, '{text}', {r.randint(-99999, 99999)} / 100, {at}) " \
                   f"ON DUPLICATE KEY UPDATE v = VALUES(v), s = VALUES(s)"
        if kind < 0.6:
            return f"UPDATE a SET v = {r.randint(0, 60)}, n = n + 1.25 WHERE id BETWEEN {i} AND {i + 30}"
        if kind < 0.7:
            return f"UPDATE a SET s = NULL WHERE id BETWEEN {i} AND {i + 6}"
        if kind < 0.85 or not self.on["keys"]:
            return f"DELETE FROM a WHERE id BETWEEN {i} AND {i + r.choice((0, 3, 20))}"
        return f"UPDATE a SET id = {r.randint(1, 3000)} WHERE id >= {i} ORDER BY id LIMIT 1"

    def gm(self):
        r, g, m = self.r, self.r.randint(0, 25), self.r.randint(0, 40)
        status = r.choice(("active", "active", "spam", "gone"))
        kind = r.random()
        if kind < 0.4:
            return f"INSERT INTO gm VALUES ({g}, {m}, '{status}', '2025-06-01 00:00:{r.randint(0, 59):02d}') " \
                   f"ON DUPLICATE KEY UPDATE status = VALUES(status)"
        if kind < 0.65:
            return f"UPDATE gm SET status = '{status}' WHERE g = {g} AND m BETWEEN {m} AND {m + 4}"
        if kind < 0.85 or not self.on["keys"]:
            return f"DELETE FROM gm WHERE g = {g} AND m BETWEEN {m} AND {m + 2}"
        return f"UPDATE gm SET g = {r.randint(0, 25)} WHERE g = {g} AND m >= {m} ORDER BY m LIMIT 1"

    def child(self):
        r = self.r
        if r.random() < 0.6:
            return f"INSERT INTO child VALUES ({r.randint(1, 600)}, {r.randint(1, 60)}, 1) ON DUPLICATE KEY UPDATE v = v + 1"
        return f"INSERT IGNORE INTO parent VALUES ({r.randint(1, 60)}, 0)"

    def simple(self, table):
        r, i = self.r, self.r.randint(1, 120)
        if r.random() < 0.6:
            return f"INSERT INTO {table} (id, v) VALUES ({i}, {r.randint(0, 99)}) ON DUPLICATE KEY UPDATE v = VALUES(v) + 1"
        if r.random() < 0.6:
            return f"UPDATE {table} SET v = {r.randint(0, 99)} WHERE id BETWEEN {i} AND {i + 3}"
        return f"DELETE FROM {table} WHERE id = {i}"

    def bag(self):
        r, g = self.r, self.r.randint(0, 25)
        return r.choice((f"INSERT INTO bag VALUES ({g}, {r.randint(0, 3)}, 'y'), ({g}, 1, NULL), ({g}, 1, NULL)", f"DELETE FROM bag WHERE g = {g} LIMIT 2",
                         f"UPDATE bag SET v = {r.randint(0, 3)}, g = {r.choice((g, g + 1))} WHERE g = {g} LIMIT 3"))

    def ci(self):
        """The same key in another case is the same row for the server, and another key for who reads records."""
        r = self.r
        key, other = (r.choice(("key", "KEY", "Key", "kEy")) + str(r.randint(1, 320)) for _ in range(2))
        again = r.choice(("key", "KEY", "Key")) + key[3:]
        return r.choice((f"INSERT INTO ci VALUES ('{key}', {r.randint(0, 99)}) ON DUPLICATE KEY UPDATE v = VALUES(v)", f"DELETE FROM ci WHERE k = '{key}'",
                         f"UPDATE ci SET k = '{again}' WHERE k = '{key}'", f"UPDATE ci SET k = '{other}', v = v + 1 WHERE k = '{key}'"))

    def change(self):
        tables = ["a"] * 5 + ["gm"] * 4 + ["ddl"] + ["tr"] * (self.on["truncate"] or self.on["drop"]) + ["swap"] * self.on["rename"] + \
            ["child"] * self.on["cascades"] + ["bag"] * self.on["keyless"] + ["ci"] * 2 * self.on["collation"]
        table = self.r.choice(tables)
        return getattr(self, table)() if table in ("a", "gm", "child", "bag", "ci") else self.simple(table)

    def changes(self, most):
        return [self.change() for _ in range(self.r.randint(1, most))]

    def outside(self):
        """Its row makes what is taken back around it stand in the binlog. MySQL with GTIDs doesn't take it there."""
        if not self.on["outside"]:
            return "DO 0"
        return f"UPDATE isam SET v = v + 1 WHERE id = {self.r.randint(1, 20)}"

    # ---- kinds of steps

    def commit(self):
        return "txn", self.changes(6), "COMMIT"

    def alone(self):
        return "bare", [self.change()], None

    def rollback(self):
        """With a temporary table between, the group stands in the binlog and ends in ROLLBACK."""
        self.serial += 1
        temporary = f"tmp{self.session}_{self.serial}"
        if self.r.random() < 0.3:
            return "txn", self.changes(4), "ROLLBACK"
        if self.on["outside"] and self.r.random() < 0.4:
            return "txn", [*self.changes(3), f"UPDATE a, isam SET a.v = a.v + 1, isam.v = 7 WHERE isam.id = {self.r.randint(1, 20)} "
                           f"AND a.id BETWEEN {self.r.randint(1, 1500)} AND 1600"], "ROLLBACK"
        return "txn", [*self.changes(4), f"CREATE TEMPORARY TABLE {temporary} (id INT)", *self.changes(3)], "ROLLBACK"

    def savepoint(self):
        body = [*self.changes(2), "SAVEPOINT s1", *self.changes(3), self.outside(), *self.changes(2)]
        if self.r.random() < 0.4:
            body += ["SAVEPOINT s2", self.change(), self.outside(), "ROLLBACK TO s2", self.change()]
        return "txn", [*body, "ROLLBACK TO s1", *self.changes(2)], self.r.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK"))

    def big(self):
        """About 1.5 to 4 MB in rows of up to 2 kB; some with a part taken back, some rolled back as a whole."""
        r, first, rows = self.r, self.big_id, self.r.randint(1200, 2600)
        self.big_id += rows + 10
        kind, size = r.random(), r.randint(900, 1500)
        insert = f"INSERT INTO big SELECT {first} + seq, {r.randint(1, 9)}, REPEAT('{r.choice('xyz')}', {size} + seq % 200) FROM seq_1_to_{rows}"
        if kind < 0.2 and self.on["rollbacks"]:
            self.serial += 1
            return "txn", [insert, f"CREATE TEMPORARY TABLE tmpb{self.session}_{self.serial} (id INT)", self.change()], "ROLLBACK"
        if kind < 0.45 and self.on["savepoints"]:
            return "txn", [self.change(), "SAVEPOINT b1", insert, self.outside(), "ROLLBACK TO b1", *self.changes(2)], "COMMIT"
        if kind < 0.75:
            return "txn", [self.change(), insert, *self.changes(2), f"DELETE FROM big WHERE id > {first + rows // 2} AND id <= {first + rows}"], "COMMIT"
        return "txn", [insert, *self.changes(3)], "COMMIT"

    def xa(self):
        self.serial += 1
        return "xa", self.changes(4), (self.r.choice(("commit", "commit", "rollback", "left", "one-phase")), f"x{self.session}_{self.serial}")

    def alter(self):
        r = self.r
        self.serial += 1
        if self.on["ddl-values"] and r.random() < 0.3:
            return "bare", [f"ALTER TABLE ddl ADD COLUMN e{self.session}_{self.serial} INT DEFAULT {r.randint(1, 9)}", self.simple("ddl")], None
        return "bare", [r.choice((f"ALTER TABLE ddl ADD COLUMN c{self.session}_{self.serial} INT",
                                  f"ALTER TABLE ddl ADD COLUMN d{self.session}_{self.serial} VARCHAR(20), ALGORITHM=INSTANT",
                                  "ALTER TABLE ddl MODIFY COLUMN v BIGINT", "ALTER TABLE ddl MODIFY COLUMN v INT",
                                  f"ALTER TABLE ddl DROP COLUMN IF EXISTS c{r.randint(0, 2)}_{r.randint(1, 20)}")),
                        self.simple("ddl")], None

    def truncate(self):
        return "bare", ["TRUNCATE TABLE tr", self.simple("tr")], None

    def drop(self):
        return "bare", ["DROP TABLE tr", "CREATE TABLE tr (id INT PRIMARY KEY, v INT)", self.simple("tr")], None

    def rename(self):
        self.serial += 1
        new, old = f"_swap_new{self.session}_{self.serial}", f"_swap_old{self.session}_{self.serial}"
        return "bare", [f"CREATE TABLE {new} LIKE swap", f"INSERT INTO {new} SELECT * FROM swap",
                        f"RENAME TABLE swap TO {old}, {new} TO swap", f"DROP TABLE {old}"], None

    def parent(self):
        return "txn", [f"DELETE FROM parent WHERE id = {self.r.randint(1, 60)}", *self.changes(1)], "COMMIT"

    def wide(self):
        """Records of half the limit, above it, and of which only both images together are above it."""
        r = self.r
        size = r.choice((100, world.RECORD_MAX // 2 - 2000, world.RECORD_MAX // 2 + 2000, world.RECORD_MAX + 5000))
        return "txn", [*self.changes(2), r.choice((f"INSERT INTO wide VALUES ({r.randint(1, 8)}, 0, REPEAT('{r.choice('uvw')}', {size})) "
                                                   f"ON DUPLICATE KEY UPDATE body = VALUES(body)", f"UPDATE wide SET v = v + 1 WHERE id = {r.randint(1, 8)}",
                                                   f"DELETE FROM wide WHERE id = {r.randint(1, 8)}"))], "COMMIT"

    def other(self):
        return "bare", [f"INSERT INTO other VALUES ({self.r.randint(1, 999)}, 1) ON DUPLICATE KEY UPDATE v = v + 1"], None


WEIGHTS = [("commit", 40, None), ("alone", 25, None), ("other", 5, None), ("rollback", 8, "rollbacks"), ("savepoint", 8, "savepoints"),
           ("xa", 8, "xa"), ("alter", 3, "ddl"), ("truncate", 2, "truncate"), ("drop", 1, "drop"), ("rename", 2, "rename"),
           ("parent", 5, "cascades"), ("wide", 4, "parked")]


def make(seed, on, steps):
    """[[step, ...] for each session]"""
    out = []
    for session in range(SESSIONS):
        maker = Maker(seed, session, on)
        kinds = [(k, w) for k, w, needs in WEIGHTS if needs is None or on[needs]]
        mine = []
        for _ in range(steps):
            kind = maker.r.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
            what, statements, end = getattr(maker, kind)()
            mine.append((what, maker.r.choice((0.01, 0.03, 0.05, 0.1, 0.3)), statements, end))
        if on["big"]:
            for _ in range(maker.r.choice((0, 1, 2))):
                what, statements, end = maker.big()
                mine.insert(maker.r.randint(0, len(mine)), (what, 0, statements, end))
        out.append(mine)
    return out


def text(plan):
    lines = []
    for session, steps in enumerate(plan):
        lines.append(f"---- session {session}")
        for kind, pause, statements, end in steps:
            lines += [f"-- {kind}, {pause} s, {end}", *[f"{s};" for s in statements]]
    return "\n".join(lines) + "\n"
