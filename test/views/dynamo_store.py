"""Views in DynamoDB Local, read as docs/VIEWS.md says: the public item is looked up, then the tables that it names.

Readers there see source transactions whole, but not in one snapshot, and behind a crash some of them again. So a read is judged by what
holds all the same: no error, not empty, one version's rows only. What the view holds is judged when it is at rest.
"""
import json
import time

from botocore.exceptions import ClientError

from dynamo import Local
from harness import ROOT
from kinds import Sql
from model import COLUMNS


class Items(Sql):
    """What templates can say: values that don't depend on what is stored."""
    tables = {"items": COLUMNS["item"], "grps": ("id", "name"), "newest": ("one", "id", "item"), "tick": ("one", "n")}
    logics = ("right", "stale", "frozen", "leaky")

    def fold_grp(self, logic, c, before, after):
        if logic == "stale" and before and after:
            return
        if after:
            c.put("grps", after[0], after)
        else:
            c.drop("grps", before[0])

    def fold_item(self, logic, c, before, after):
        if after:
            old = c.get("items", after[0])
            c.put("items", after[0], (*after[:2], old[2], after[3]) if logic == "frozen" and before and old else after)
        elif logic != "leaky":
            c.drop("items", before[0])

    def expected(self, source):
        return {"items": sorted(source["item"]), "grps": sorted(source["grp"]), "newest": [(1, *max(source["entry"]))], "tick": sorted(source["tick"])}

    def files(self, name, db, store, logic, mark):
        def item(*columns, **more):
            return {**{c: f":{c}" for c in columns}, **more, "mark": mark}

        put = {"put": "items", "item": item(*COLUMNS["item"])}
        # behind a crash an update may come again for what a later delete has removed: it makes the item, for a moment
        changed = {**{c: f":{c}" for c in COLUMNS["item"][1:] if not (logic == "frozen" and c == "amount")}, "mark": mark}
        on = {"tick.insert": {"put": "tick", "item": item("one", "n")}, "tick.update": {"put": "tick", "item": item("one", "n")},
              "entry.insert": {"put": "newest", "item": item("id", "item", one=1)},
              "grp.insert": {"put": "grps", "item": item("id", "name")}, "grp.delete": {"delete": "grps", "key": {"id": ":id"}},
              "item.insert": put, "item.update": {"update": "items", "key": {"id": ":id"}, "set": changed}}
        if logic != "stale":
            on["grp.update"] = on["grp.insert"]
        if logic != "leaky":
            on["item.delete"] = {"delete": "items", "key": {"id": ":id"}}
        types = {"name": "string", "state": "string"}
        tables = {t: {"key": [columns[0]], "attributes": {c: types.get(c, "number") for c in (*columns, "mark")}} for t, columns in self.tables.items()}
        sources = {"items": ", ".join(COLUMNS["item"]) + ", {mark} AS mark FROM {db}.item", "grps": "id, name, {mark} AS mark FROM {db}.grp",
                   "newest": "1 AS one, id, item, {mark} AS mark FROM {db}.entry WHERE id = (SELECT MAX(id) FROM {db}.entry)", "tick": "one, n, {mark} AS mark FROM {db}.tick"}
        source = "\n".join(f"-- table: {t}\nSELECT {text.format(db=db, mark=mark)}\n" for t, text in sources.items())
        inputs = ", ".join(f"{name}.{db}.{t}" for t in ("item", "grp", "entry", "tick"))
        return {"view.conf": f"owner = views\ndoc = {logic}, mark {mark}\nkind = sql\nstore = dynamodb\ninputs = {inputs}\n", "tables.json": json.dumps(tables),
                "source.sql": source, **{f"on/{db}.{what}.json": json.dumps([operation]) for what, operation in on.items()}}


class DynamoReader:
    def __init__(self, service, view, kind, version=None):
        self.service, self.view, self.kind, self.given = service, view, kind, version

    def names(self):
        if self.given is not None:
            return {t: f"{self.view}.v{self.given}.{t}" for t in self.kind.tables}
        item = self.service.get_item(TableName=f"{self.view}.millrace", Key={"item": {"S": "public"}}, ConsistentRead=True)["Item"]
        return {name: value["S"] for name, value in item["tables"]["M"].items()}

    def scan(self, table, name, pause):
        pages = self.service.get_paginator("scan").paginate(TableName=name, ConsistentRead=True)
        items = [i for page in pages for i in page["Items"]]
        if pause:
            time.sleep(pause)
        return [tuple(self.value(i.get(c)) for c in (*self.kind.tables[table], "mark")) for i in items]

    @staticmethod
    def value(v):
        return None if v is None else int(v["N"]) if "N" in v else v["S"]

    def read(self, pause=0.0):
        while True:
            names = self.names()
            try:
                return {table: self.scan(table, names[table], pause) for table in self.kind.tables}
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceNotFoundException" or self.given is not None:
                    raise

    def close(self):
        pass


class DynamodbStore:
    name = "dynamodb"
    kinds = ("sql",)
    stays, exact = False, False
    styles = ("anew", "slow", "held")
    kind = Items()
    most_changes = 60       # source transactions beyond 98 items are cut

    def __init__(self, site):
        self.server = Local(site.folder / "dynamodb")
        self.service = self.server.service

    @staticmethod
    def missing():
        return "" if (ROOT / "build" / "dynamodb" / "stamp").exists() else "DynamoDB Local isn't there: scripts/setup --test"

    def settings(self, history):
        return self.server.settings(history.folder)

    def public(self, history, _="anew"):
        return DynamoReader(self.service, history.view, history.kind)

    def version(self, history, version):
        return DynamoReader(self.service, history.view, history.kind, version)

    def tables(self, history):
        pages = self.service.get_paginator("list_tables").paginate()
        return [t for page in pages for t in page["TableNames"] if t.startswith(f"{history.view}.")]

    def there(self, history):
        parts = [t[len(history.view) + 1:].split(".") for t in self.tables(history)]
        return {int(p[0][1:]) for p in parts if p[0][:1] == "v" and p[0][1:].isdigit()}

    def live(self, history):
        try:
            item = self.service.get_item(TableName=f"{history.view}.millrace", Key={"item": {"S": "public"}}, ConsistentRead=True).get("Item")
        except ClientError:
            return 0
        return int(item["version"]["N"]) if item else 0

    def end(self, history):
        for table in self.tables(history):
            self.service.delete_table(TableName=table)

    def stop(self):
        self.server.stop()
