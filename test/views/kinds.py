"""The kinds of views: the files of a definition, and what its logic makes of the source, told a second time in Python.

Every row of every table carries the mark of the definition that it was made by, so that a mixture of versions shows.
"""
from model import COLUMNS


class Kind:
    marked = True       # rows carry the mark of their definition
    ordered = True      # a read is one moment of the source (order = source)

    @staticmethod
    def n(read):
        """The last transaction that a read saw."""
        return read["tick"][0][1]

    def select(self, table, at):
        """The rows that readers ask for; at: what the store calls the table."""
        return f"SELECT {', '.join(self.tables[table])}{', mark' if self.marked else ''} FROM {at}"

    def fold(self, logic, c, table, before, after):
        getattr(self, f"fold_{table}")(logic, c, before, after)

    def fold_tick(self, _, c, __, after):
        c.put("tick", 1, after)


class Sql(Kind):
    """Handlers over four row topics: a join, counts that are added up, and the newest of all entries, which only the source's own
    order across partitions gives."""
    name = "sql"
    tables = {"items": ("id", "grp", "gname", "amount", "state"), "totals": ("grp", "members", "total"), "grps": ("id", "name"),
              "newest": ("one", "id", "item"), "tick": ("one", "n")}
    never_empty = ("items", "newest", "tick")
    # right: what source.sql asks. The others are mistakes, each made in the handlers' files.
    logics = ("right", "spam", "stale", "frozen", "leaky")

    @staticmethod
    def counts(logic, state):
        return logic == "spam" or state == "on"

    def count(self, logic, c, grp, amount, state, by):
        if not self.counts(logic, state):
            return
        _, members, total = c.get("totals", grp) or (grp, 0, 0)
        members, total = members + by, total + by * amount
        if members == 0:
            c.drop("totals", grp)
        else:
            c.put("totals", grp, (grp, members, total))

    def fold_entry(self, _, c, __, after):
        c.put("newest", 1, (1, *after))

    def fold_grp(self, logic, c, before, after):
        if logic == "stale" and before and after:
            return
        number, name = (before or after)[0], after and after[1]
        if after:
            c.put("grps", number, after)
        else:
            c.drop("grps", number)
        for row in c.of("items").values():
            if row[1] == number:
                c.put("items", row[0], (row[0], row[1], name, *row[3:]))

    def fold_item(self, logic, c, before, after):
        old = None
        if before:
            if not (logic == "leaky" and after is None):
                self.count(logic, c, *before[1:], -1)
            old = c.get("items", before[0])
            c.drop("items", before[0])
        if after:
            group = c.get("grps", after[1])
            amount = old[3] if logic == "frozen" and old else after[2]
            c.put("items", after[0], (after[0], after[1], group and group[1], amount, after[3]))
            self.count(logic, c, *after[1:], +1)

    @staticmethod
    def expected(source):
        """What the right logic gives, from the source's tables as they stand: another way than fold()."""
        names = dict(source["grp"])
        totals = {}
        for _, grp, amount, state in source["item"]:
            if state == "on":
                members, total = totals.get(grp, (0, 0))
                totals[grp] = (members + 1, total + amount)
        return {"items": sorted((i, g, names.get(g), a, s) for i, g, a, s in source["item"]), "totals": sorted((g, *t) for g, t in totals.items()),
                "grps": sorted(source["grp"]), "newest": [(1, *max(source["entry"]))], "tick": sorted(source["tick"])}

    def files(self, name, db, store, logic, mark):
        """{path: text} of the view's folder."""
        s = store.dialect
        values = s.values
        predicate = "" if logic == "spam" else " AND :{}state = 'on'"
        add = (s.ignore("totals", "grp", ("grp", "members", "total", "mark"), (":grp", "0", "0", str(mark))) +
               f"UPDATE totals SET members = members + 1, total = total + :amount WHERE grp = :grp{predicate.format('')};\n"
               "DELETE FROM totals WHERE grp = :grp AND members = 0;\n")

        def less(grp, before):
            return (f"UPDATE totals SET members = members - 1, total = total - :{before}amount WHERE grp = :{grp}{predicate.format(before)};\n"
                    f"DELETE FROM totals WHERE grp = :{grp} AND members = 0;\n")

        amount = "" if logic == "frozen" else "amount = :amount, "
        on = {
            "tick.insert": s.upsert("tick", "one", ("one", "n", "mark"), (":one", ":n", str(mark))),
            "tick.update": "UPDATE tick SET n = :n WHERE one = :one;\n",
            "entry.insert": s.upsert("newest", "one", ("one", "id", "item", "mark"), ("1", ":id", ":item", str(mark))),
            "grp.insert": s.upsert("grps", "id", ("id", "name", "mark"), (":id", ":name", str(mark))) + "UPDATE items SET gname = :name WHERE grp = :id;\n",
            "grp.update": "UPDATE grps SET name = :name WHERE id = :id;\nUPDATE items SET gname = :name WHERE grp = :id;\n",
            "grp.delete": "DELETE FROM grps WHERE id = :id;\nUPDATE items SET gname = NULL WHERE grp = :id;\n",
            "item.insert": values("items", ("id", "grp", "gname", "amount", "state", "mark"),
                                  (":id", ":grp", "(SELECT name FROM grps WHERE id = :grp)", ":amount", ":state", str(mark))) + add,
            "item.update": less("before_grp", "before_") +
                           f"UPDATE items SET grp = :grp, gname = (SELECT name FROM grps WHERE id = :grp), {amount}state = :state WHERE id = :id;\n" + add,
            "item.delete": "DELETE FROM items WHERE id = :id;\n" + ("" if logic == "leaky" else less("grp", "")),
        }
        if logic == "stale":
            del on["grp.update"]
        inputs = ", ".join(f"{name}.{db}.{t}" for t in ("item", "grp", "entry", "tick"))
        return {"view.conf": f"owner = views\ndoc = {logic}, mark {mark}\nkind = sql\nstore = {store.name}\ninputs = {inputs}\n", "tables.sql": TABLES_SQL,
                "source.sql": SOURCE_SQL.format(db=db, mark=mark, where=" WHERE state = 'on'"), **{f"on/{db}.{handler}.sql": text for handler, text in on.items()}}


TABLES_SQL = """\
CREATE TABLE items (id INTEGER PRIMARY KEY, grp INTEGER NOT NULL, gname VARCHAR(40), amount INTEGER NOT NULL,
                    state VARCHAR(10) NOT NULL, mark INTEGER NOT NULL);
CREATE TABLE totals (grp INTEGER PRIMARY KEY, members INTEGER NOT NULL, total INTEGER NOT NULL, mark INTEGER NOT NULL);
CREATE TABLE grps (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, mark INTEGER NOT NULL);
CREATE TABLE newest (one INTEGER PRIMARY KEY, id BIGINT NOT NULL, item INTEGER NOT NULL, mark INTEGER NOT NULL);
CREATE TABLE tick (one INTEGER PRIMARY KEY, n BIGINT NOT NULL, mark INTEGER NOT NULL);
-- after build
CREATE INDEX items_grp ON items (grp);
"""
SOURCE_SQL = """\
-- table: items
SELECT i.id, i.grp, g.name AS gname, i.amount, i.state, {mark} AS mark FROM {db}.item i LEFT JOIN {db}.grp g ON g.id = i.grp

-- table: totals
SELECT grp, COUNT(*) AS members, CAST(SUM(amount) AS SIGNED) AS total, {mark} AS mark FROM {db}.item{where} GROUP BY grp

-- table: grps
SELECT id, name, {mark} AS mark FROM {db}.grp

-- table: newest
SELECT 1 AS one, id, item, {mark} AS mark FROM {db}.entry WHERE id = (SELECT MAX(id) FROM {db}.entry)

-- table: tick
SELECT one, n, {mark} AS mark FROM {db}.tick
"""


class Mirror(Kind):
    """Tables as they are at the source. Nothing in it tells one definition from another."""
    name, marked = "mirror", False
    tables = {"item": COLUMNS["item"], "grp": COLUMNS["grp"], "tick": COLUMNS["tick"]}
    never_empty = ("item", "tick")
    logics = ("right",)

    @staticmethod
    def change(c, table, before, after):
        if before:
            c.drop(table, before[0])
        if after:
            c.put(table, after[0], after)

    def fold_item(self, _, c, before, after):
        self.change(c, "item", before, after)

    def fold_grp(self, _, c, before, after):
        self.change(c, "grp", before, after)

    def fold_entry(self, *_):
        pass

    def expected(self, source):
        return {table: sorted(source[table]) for table in self.tables}

    def files(self, name, db, store, logic, mark):
        inputs = ", ".join(f"{name}.{db}.{t}" for t in self.tables)
        return {"view.conf": f"owner = views\ndoc = {logic}, mark {mark}\nkind = mirror\nstore = {store.name}\ninputs = {inputs}\n"}


class Query(Sql):
    """The same view as one SELECT a table."""
    name = "query"
    tables = {**{t: c for t, c in Sql.tables.items() if t != "tick"}, "moment": ("one", "n")}
    never_empty = ("items", "newest", "moment")
    logics = ("right", "spam", "loose")

    @staticmethod
    def n(read):
        return read["moment"][0][1]

    @staticmethod
    def counts(logic, state):
        return logic == "spam" or state == "on" or (logic == "loose" and state == "off")

    def fold_tick(self, _, c, __, after):
        c.put("moment", 1, after)

    def expected(self, source):
        out = super().expected(source)
        out["moment"] = out.pop("tick")
        return out

    def files(self, name, db, store, logic, mark):
        where = {"right": " WHERE state = 'on'", "spam": "", "loose": " WHERE state <> 'spam'"}
        inputs = ", ".join(f"{name}.{db}.{t}" for t in ("item", "grp", "entry", "tick"))
        keys = "".join(f"key.{table} = {columns[0]}\n" for table, columns in self.tables.items())
        source = SOURCE_SQL.format(db=db, mark=mark, where=where["right"]).replace("-- table: tick", "-- table: moment")
        query = QUERY_SQL.format(db=db, mark=mark, where=where[logic])
        # a column has the name of a table (grp, item): so the tables newest and totals are asked about those, too
        files = {"view.conf": f"owner = views\ndoc = {logic}, mark {mark}\nkind = query\nstore = {store.name}\ninputs = {inputs}\n{keys}", "query.sql": query,
                 "source.sql": source, "keys/item.sql": "-- table: items\nSELECT :id\n-- table: totals\nSELECT :grp\n-- table: newest\nSELECT 1\n", "keys/entry.sql": "-- table: newest\nSELECT 1\n",
                 "keys/grp.sql": f"-- table: items\nSELECT id FROM {db}.item WHERE grp = :id\n-- table: grps\nSELECT :id\n-- table: totals\nSELECT :id\n", "keys/tick.sql": "-- table: moment\nSELECT :one\n"}
        return files


QUERY_SQL = """\
-- table: items
SELECT i.id, i.grp, g.name AS gname, i.amount, i.state, {mark} AS mark FROM {db}.item i LEFT JOIN {db}.grp g ON g.id = i.grp

-- table: totals
SELECT grp, COUNT(*) AS members, SUM(amount) AS total, {mark} AS mark FROM {db}.item{where} GROUP BY grp

-- table: grps
SELECT id, name, {mark} AS mark FROM {db}.grp

-- table: newest
SELECT 1 AS one, id, item, {mark} AS mark FROM {db}.entry WHERE id = (SELECT MAX(id) FROM {db}.entry)

-- table: moment
SELECT one, n, {mark} AS mark FROM {db}.tick
"""


class Partition(Sql):
    """order = partition: rows that records of one partition change, and sums, to which partitions may come in any order. Members in
    several processes that come and go; a read is no moment of the source."""
    name, ordered = "partition", False
    tables = {"items": ("id", "grp", "amount", "state"), "totals": ("grp", "members", "total"), "grps": ("id", "name"), "tick": ("one", "n")}
    never_empty = ("items", "tick")

    def count(self, logic, c, grp, amount, state, by):
        if not self.counts(logic, state):
            return
        _, members, total = c.get("totals", grp) or (grp, 0, 0)
        members, total = members + by, total + by * amount
        if members == 0 and total == 0:
            c.drop("totals", grp)
        else:
            c.put("totals", grp, (grp, members, total))

    def fold_entry(self, *_):
        pass

    def fold_grp(self, logic, c, before, after):
        if logic == "stale" and before and after:
            return
        if after:
            c.put("grps", after[0], after)
        else:
            c.drop("grps", before[0])

    def fold_item(self, logic, c, before, after):
        old = None
        if before:
            if not (logic == "leaky" and after is None):
                self.count(logic, c, *before[1:], -1)
            old = c.get("items", before[0])
            c.drop("items", before[0])
        if after:
            c.put("items", after[0], (after[0], after[1], old[2] if logic == "frozen" and old else after[2], after[3]))
            self.count(logic, c, *after[1:], +1)

    def expected(self, source):
        out = super().expected(source)
        return {"items": sorted(source["item"]), **{t: out[t] for t in ("totals", "grps", "tick")}}

    def files(self, name, db, store, logic, mark):
        s = store.dialect

        def add(prefix, sign):
            """One statement: what others do between two of them would be lost."""
            on = "1 = 1" if logic == "spam" else f":{prefix}state = 'on'"
            new = s.put("totals", "grp", ("grp", "members", "total", "mark"),
                        (f":{prefix}grp", f"CASE WHEN {on} THEN {sign}1 ELSE 0 END", f"CASE WHEN {on} THEN {sign}:{prefix}amount ELSE 0 END", str(mark)),
                        {c: "totals.{0} + {1}".format(c, s.new(c)) for c in ("members", "total")})
            return new + f"DELETE FROM totals WHERE grp = :{prefix}grp AND members = 0 AND total = 0;\n"

        amount = "" if logic == "frozen" else "amount = :amount, "
        on = {
            "tick.insert": s.upsert("tick", "one", ("one", "n", "mark"), (":one", ":n", str(mark))),
            "tick.update": "UPDATE tick SET n = :n WHERE one = :one;\n",
            "grp.insert": s.upsert("grps", "id", ("id", "name", "mark"), (":id", ":name", str(mark))),
            "grp.update": "UPDATE grps SET name = :name WHERE id = :id;\n",
            "grp.delete": "DELETE FROM grps WHERE id = :id;\n",
            "item.insert": s.values("items", ("id", "grp", "amount", "state", "mark"), (":id", ":grp", ":amount", ":state", str(mark))) + add("", ""),
            "item.update": f"UPDATE items SET grp = :grp, {amount}state = :state WHERE id = :id;\n" + add("before_", "0 - ") + add("", ""),
            "item.delete": "DELETE FROM items WHERE id = :id;\n" + ("" if logic == "leaky" else add("", "0 - ")),
        }
        if logic == "stale":
            del on["grp.update"]
        inputs = ", ".join(f"{name}.{db}.{t}" for t in ("item", "grp", "tick"))
        tables = TABLES_SQL.replace("gname VARCHAR(40), ", "").replace("CREATE TABLE newest (one INTEGER PRIMARY KEY, id BIGINT NOT NULL, item INTEGER NOT NULL, mark INTEGER NOT NULL);\n", "")
        parts = [part for part in SOURCE_SQL.format(db=db, mark=mark, where=" WHERE state = 'on'").split("\n\n") if "newest" not in part and "items" not in part]
        items = f"-- table: items\nSELECT id, grp, amount, state, {mark} AS mark FROM {db}.item"
        return {"view.conf": f"owner = views\ndoc = {logic}, mark {mark}\nkind = sql\norder = partition\nworkers = 2\nstore = {store.name}\ninputs = {inputs}\n",
                "tables.sql": tables, "source.sql": "\n\n".join([items, *parts]), **{f"on/{db}.{handler}.sql": text for handler, text in on.items()}}


KINDS = {kind.name: kind for kind in (Sql(), Mirror(), Query(), Partition())}
