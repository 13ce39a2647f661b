"""The DynamoDB store, against DynamoDB Local: build, live, replay, swap, rollback, verify; writers that are killed, replaced
and woken; a service that throttles, loses answers and goes away; readers who look the public item up."""
import json
import random
import signal
import subprocess
import threading
import time
from decimal import Decimal

import pytest

from dynamo import KEY, REGION, SECRET, Between, View, cancelled, client, refusal
from harness import ROOT, run_sql, source_position, wait_until

TABLES = {"items": {"key": ["id"], "attributes": {"id": "number", "name": "string", "price": "number", "data": "binary"},
                    "indexes": {"by_name": ["name", "id"]}},
          "prices": {"key": ["shop", "id"], "attributes": {"shop": "string", "id": "number", "price": "number"}}}
ROW = {"id": ":id", "name": ":name", "price": ":price", "data": ":data"}
SOURCE = """-- table: items
SELECT id, name, price, data FROM {db}.item WHERE hidden = 0
-- table: prices
SELECT 'main' AS shop, id, price FROM {db}.item WHERE price IS NOT NULL
"""


def handlers(hidden=True):
    """With hidden=False the view has a bug: it shows what is hidden."""
    shown = {"when": {":hidden": 0}} if hidden else {}
    key = {"shop": "main", "id": ":id"}
    put = [{"put": "items", "item": ROW, **shown}, {"put": "prices", "item": {**key, "price": ":price"}, "unless": {":price": None}}]
    gone = [{"delete": "items", "key": {"id": ":id"}, "unless": {":hidden": 0}}] if hidden else []
    update = [{"update": "items", "key": {"id": ":id"}, "set": {n: f":{n}" for n in ("name", "price", "data")}, **shown}, *gone,
              {"delete": "prices", "key": key, "when": {":price": None}},
              {"update": "prices", "key": key, "set": {"price": ":price"}, "unless": {":price": None}}]
    return {"insert": put, "update": update,
            "delete": [{"delete": "items", "key": {"id": ":id"}}, {"delete": "prices", "key": key}],
            "truncate": [{"clear": "items"}, {"clear": "prices"}]}


@pytest.fixture(scope="session")
def dynamodb(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dynamodb")
    folder.chmod(0o755)
    home = folder / "servers"
    subprocess.run([str(ROOT / "scripts" / "servers"), "start", str(home), "--dynamodb"], check=True, stdout=subprocess.DEVNULL)
    env = subprocess.run([str(ROOT / "scripts" / "servers"), "env", str(home)], check=True, capture_output=True, text=True).stdout
    endpoint = dict(line.split("=", 1) for line in env.splitlines())["DYNAMODB_ENDPOINT"]
    yield endpoint, home
    subprocess.run([str(ROOT / "scripts" / "servers"), "remove", str(home)], check=True)


class Shop:
    """A table at the source, and the view of it in DynamoDB; Millrace goes through a Between."""

    def __init__(self, dynamodb, database, make_setup, **settings):
        self.name, self.c = database
        endpoint, self.home = dynamodb
        self.between = Between(endpoint)
        self.service = client(endpoint)
        run_sql(self.c, "CREATE TABLE item (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(100), price DECIMAL(20,4), hidden INT NOT NULL "
                        "DEFAULT 0, data LONGBLOB)")
        self.make_setup = make_setup
        self.setup = make_setup(f"{self.name}.item", **{"dynamodb__prefix": f"{self.name}-"}, **settings)
        self.configure(self.setup)
        self.view = View(self.service, "shop", f"{self.name}-")
        self.define(handlers())
        self.random = random.Random(int(time.time()))

    def configure(self, setup):
        (setup.folder / "secret").write_text(SECRET)
        setup.settings.update({"dynamodb.endpoint": self.between.endpoint, "dynamodb.region": REGION, "dynamodb.access_key": KEY,
                               "dynamodb.secret_key_file": "secret"})
        setup.write()

    def define(self, on, folder=None):
        folder = folder or self.setup.folder / "views" / "shop"
        (folder / "on").mkdir(parents=True, exist_ok=True)
        (folder / "view.conf").write_text(f"owner = shops\nstore = dynamodb\ninputs = {self.setup.name}.{self.name}.item\n")
        (folder / "tables.json").write_text(json.dumps(TABLES, indent=2))
        (folder / "source.sql").write_text(SOURCE.format(db=self.name))
        for what, operations in on.items():
            (folder / "on" / f"{self.name}.item.{what}.json").write_text(json.dumps(operations, indent=1))

    def insert(self, *ids):
        for some in (ids[i:i + 500] for i in range(0, len(ids), 500)):
            rows = ", ".join(f"({i}, 'item {i}', {i % 97}.{i % 10000:04}, {i % 5 == 0}, UNHEX('00FF{i % 256:02X}'))" for i in some)
            run_sql(self.c, f"INSERT INTO item VALUES {rows}")

    def change(self, times, ids=400):
        """As an application does: small transactions, and some large ones."""
        r = self.random
        for _ in range(times):
            i, dice = r.randrange(1, ids), r.random()
            if dice < 0.5:
                run_sql(self.c, f"UPDATE item SET price = {r.choice(['NULL', r.randrange(10**9) / 1000])}, name = 'n{r.random()}' WHERE id = {i}")
            elif dice < 0.65:
                run_sql(self.c, f"UPDATE item SET hidden = 1 - hidden WHERE id = {i}")
            elif dice < 0.75:
                run_sql(self.c, f"DELETE FROM item WHERE id = {i}")
            elif dice < 0.95:
                run_sql(self.c, f"REPLACE INTO item VALUES ({i}, 'again {i}', {i}.5, 0, NULL)")
            else:
                run_sql(self.c, f"UPDATE item SET price = price + 1 WHERE id > {i}")

    def start(self):
        run, project = self.setup.daemon("run").start(), self.setup.daemon("project").start()
        wait_until("the view", lambda: self.alive(project) and self.public(), 120)
        return run, project

    def public(self):
        try:
            return self.view.public()
        except self.service.exceptions.ResourceNotFoundException:
            return None

    @staticmethod
    def alive(project):
        assert project.alive(), project.log_tail()
        return True

    def verify(self, *words, timeout=180):
        out = wait_until("verify", lambda: (o := self.setup.millrace("verify", "shop", *words)).returncode in (0, 1) and o, timeout, every=0.5)
        return out.returncode, out.stdout

    def expected(self, hidden=True):
        where = "WHERE hidden = 0" if hidden else ""
        items = {int(i): (n, p, d) for i, n, p, d in run_sql(self.c, f"SELECT id, name, price, data FROM item {where}")}
        return items, {int(i): p for i, p in run_sql(self.c, "SELECT id, price FROM item WHERE price IS NOT NULL")}

    def found(self):
        items = {int(i["id"]): (i.get("name"), Decimal(i["price"]) if "price" in i else None, i.get("data")) for i in self.view.scan("items")}
        return items, {int(i["id"]): Decimal(i["price"]) for i in self.view.scan("prices")}

    def same(self, hidden=True):
        """Does the view hold what the source does?  Asked of both by the test itself."""
        return self.found() == self.expected(hidden)

    def close(self):
        self.between.close()


@pytest.fixture
def shop(dynamodb, database, make_setup):
    made = Shop(dynamodb, database, make_setup)
    yield made
    made.close()


class ShopReader(threading.Thread):
    """Reads by the protocol all the time: never an error, never an empty view."""

    def __init__(self, shop):
        super().__init__(daemon=True)
        self.shop, self.stopping, self.reads, self.versions, self.failure = shop, False, 0, set(), None

    def run(self):
        try:
            while not self.stopping:
                version, _ = self.shop.view.public()
                items = self.shop.view.scan("items")
                assert items, "an empty view"
                self.versions.add(version)
                self.reads += 1
        except BaseException as failure:
            self.failure = failure

    def stop(self):
        self.stopping = True
        self.join(120)
        if self.failure:
            raise self.failure


def test_build_live_replay_swap_and_roll_back(shop):
    shop.define(handlers(hidden=False))
    shop.insert(*range(1, 1500))
    run, project = shop.start()
    assert shop.public()[0] == 1
    shop.change(30)
    wait_until("the changes", lambda: shop.alive(project) and shop.same(hidden=False), 120)
    code, said = shop.verify()
    assert code == 1, said                              # the bug

    reader = ShopReader(shop)
    reader.start()
    shop.define(handlers())
    out = shop.setup.millrace("replay", "shop", "--json")
    assert out.returncode == 0, out.stdout + out.stderr
    (items, prices) = json.loads(out.stdout)["diff"]["compare"]["tables"]
    hidden = run_sql(shop.c, "SELECT COUNT(*) FROM item WHERE hidden = 1")[0][0]
    assert [items[k] for k in ("only_left", "only_right", "changed")] == [int(hidden), 0, 0], items
    assert [prices[k] for k in ("only_left", "only_right", "changed")] == [0, 0, 0], prices
    assert shop.public()[0] == 2
    shop.change(30)
    wait_until("the changes", lambda: shop.alive(project) and shop.same(), 120)
    code, said = shop.verify()
    assert code == 0, said

    back = shop.setup.millrace("replay", "shop", "--rollback")
    assert back.returncode == 0, back.stdout + back.stderr
    assert shop.public()[0] == 1
    shop.change(10)
    wait_until("the changes", lambda: shop.alive(project) and shop.same(hidden=False), 120)
    again = shop.setup.millrace("replay", "shop", "--rollback")
    assert again.returncode == 0, again.stdout + again.stderr
    assert shop.public()[0] == 2 and shop.verify()[0] == 0
    reader.stop()
    assert reader.versions == {1, 2} and shop.between.refused == 0
    print("readings:", reader.reads)
    project.stop()
    run.stop()
