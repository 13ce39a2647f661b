"""The DynamoDB store, against DynamoDB Local: build, live, replay, swap, rollback, verify; writers that are killed, replaced
and woken; a service that throttles, loses answers and goes away; readers who look the public item up."""
import json
import random
import signal
import threading
import time
from decimal import Decimal

import pytest

from dynamo import KEY, REGION, SECRET, Between, Local, View, cancelled, client, refusal
from harness import run_sql, source_position, wait_until

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
    local = Local(folder / "servers")
    yield local
    local.stop()


class Shop:
    """A table at the source, and the view of it in DynamoDB; Millrace goes through a Between."""

    def __init__(self, dynamodb, database, make_setup, **settings):
        self.name, self.c = database
        self.server, self.service = dynamodb, dynamodb.service
        self.between = Between(dynamodb.endpoint)
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
                price = r.choice(["NULL", r.randrange(10**9) / 1000])
                run_sql(self.c, f"UPDATE item SET price = {price}, name = 'n{r.random()}' WHERE id = {i}")
            elif dice < 0.65:
                run_sql(self.c, f"UPDATE item SET hidden = 1 - hidden WHERE id = {i}")
            elif dice < 0.75:
                run_sql(self.c, f"DELETE FROM item WHERE id = {i}")
            elif dice < 0.95:
                run_sql(self.c, f"REPLACE INTO item VALUES ({i}, 'again {i}', {i}.5, 0, NULL)")
            else:
                run_sql(self.c, f"UPDATE item SET price = price + 1 WHERE id BETWEEN {i} AND {i + 150}")

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
        def run():
            out = self.setup.millrace("verify", "shop", *words)
            return out if out.returncode in (0, 1) else None

        out = wait_until("verify", run, timeout, every=0.5)
        return out.returncode, out.stdout

    def expected(self, hidden=True):
        where = "WHERE hidden = 0" if hidden else ""
        items = {int(i): (n, p, d) for i, n, p, d in run_sql(self.c, f"SELECT id, name, price, data FROM item {where}")}
        return items, {int(i): p for i, p in run_sql(self.c, "SELECT id, price FROM item WHERE price IS NOT NULL")}

    def found(self):
        items = {int(i["id"]): (i.get("name"), Decimal(i["price"]) if "price" in i else None, i.get("data"))
                 for i in self.view.scan("items")}
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


def test_a_replay_to_another_key_and_back(shop):
    shop.insert(*range(1, 120))
    run, project = shop.start()
    tables = json.loads(json.dumps(TABLES))
    tables["prices"]["key"] = ["id", "shop"]
    (shop.setup.folder / "views" / "shop" / "tables.json").write_text(json.dumps(tables))
    out = shop.setup.millrace("replay", "shop", "--json")
    assert out.returncode == 0, out.stdout + out.stderr
    compared = json.loads(out.stdout)["diff"]["compare"]["tables"]
    assert all(t[k] == 0 for t in compared for k in ("only_left", "only_right", "changed")), compared
    assert all(t["left_rows"] == t["right_rows"] > 90 for t in compared), compared
    keys = [k["AttributeName"] for k in shop.service.describe_table(TableName=shop.public()[1]["prices"])["Table"]["KeySchema"]]
    assert keys == ["id", "shop"] and shop.public()[0] == 2
    shop.change(10)
    wait_until("the changes", lambda: shop.alive(project) and shop.same(), 60)
    assert shop.verify()[0] == 0
    project.stop()
    run.stop()


def test_killed_at_random_moments(shop):
    shop.insert(*range(1, 3000))
    run = shop.setup.daemon("run").start()
    shop.setup.wait_delivered(source_position(shop.c), run)
    project = shop.setup.daemon("project")
    writing = threading.Event()

    def write():
        connection = shop.setup.servers.connect()
        run_sql(connection, f"USE {shop.name}")
        shop.c, kept = connection, shop.c
        while not writing.is_set():
            shop.change(3)
            time.sleep(0.05)
        shop.c = kept
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(8):
            project.start()
            if number % 2 == 0:                  # somewhere in the build, or when it has just begun
                time.sleep(shop.random.uniform(0.1, 3))
            else:
                begin = len(shop.between.seen)
                enough = begin + shop.random.randrange(20, 200)
                wait_until("requests", lambda n=enough: shop.alive(project) and len(shop.between.seen) > n, 60)
            project.kill()
        project.start()
        wait_until("the view", lambda: shop.alive(project) and shop.public(), 120)
        for _ in range(4):
            time.sleep(shop.random.uniform(0.2, 1.5))
            project.kill()
            project.start()
    finally:
        writing.set()
        thread.join(60)
    wait_until("what the source has", lambda: shop.alive(project) and shop.same(), 120)
    assert shop.verify()[0] == 0
    project.stop()
    run.stop()


def writes_items(body):
    return body.startswith(b'{"TransactItems"') and b'.items"' in body


def test_a_request_of_a_killed_writer_that_comes_late_writes_nothing(shop):
    shop.insert(*range(1, 60))
    run, project = shop.start()
    wait_until("the rows", lambda: shop.same(), 60)
    held = []
    shop.between.trouble = lambda operation, body: "hold" if writes_items(body) and not held and not held.append(1) else None
    run_sql(shop.c, "UPDATE item SET name = 'late' WHERE id = 7")
    wait_until("the request", lambda: shop.between.held, 60)
    project.kill()
    shop.between.trouble = None
    project.start()
    run_sql(shop.c, "UPDATE item SET name = 'newer' WHERE id = 7")
    wait_until("the newer one", lambda: shop.alive(project) and shop.view.get("items", id=7)["name"] == "newer", 60)
    status, said = shop.between.pass_on(*shop.between.held[0])      # only now it arrives
    assert status == 400 and b"ConditionalCheckFailed" in said, said
    assert shop.view.get("items", id=7)["name"] == "newer" and shop.same()
    project.stop()
    run.stop()


def test_a_stopped_writer_is_replaced_and_finds_itself_fenced(shop):
    """As on another machine: a state folder, and so a lease, of its own."""
    shop.insert(*range(1, 60))
    run, project = shop.start()
    other = shop.setup.daemon("project", "--millrace.state=elsewhere", f"--http.listen=127.0.0.1:{next(shop.setup.ports)}")
    other.log_path = shop.setup.folder / "other.log"
    busy = []
    shop.between.trouble = lambda operation, body: time.sleep(0.3) if writes_items(body) and not busy.append(1) else None
    run_sql(shop.c, "UPDATE item SET name = 'first', price = id")
    wait_until("a write", lambda: busy, 60)
    project.process.send_signal(signal.SIGSTOP)                     # in the middle of it
    shop.between.trouble = None
    other.start()
    run_sql(shop.c, "UPDATE item SET name = 'second' WHERE id < 30")
    wait_until("the other one", lambda: shop.alive(other) and shop.same(), 120)
    project.process.send_signal(signal.SIGCONT)
    run_sql(shop.c, "UPDATE item SET name = 'third' WHERE id < 20")
    wait_until("what the log says", lambda: "another process writes this version" in project.log(), 90)
    wait_until("the third", lambda: shop.alive(other) and shop.same(), 120)
    time.sleep(1)
    assert shop.same()
    assert project.ended(60) == 7
    other.stop()
    run.stop()


def test_a_service_that_throttles_loses_answers_and_cuts_connections(shop):
    r, counts = random.Random(5), {}

    def trouble(operation, body):
        dice = r.random()
        kind = ("throttle" if dice < 0.05 else "conflict" if dice < 0.1 else "error" if dice < 0.13 else "drop" if dice < 0.16
                else "lose" if dice < 0.2 else None)
        if kind is None or operation in ("CreateTable", "DeleteTable") and kind == "conflict":
            return None
        counts[kind] = counts.get(kind, 0) + 1
        if kind == "conflict":
            transaction = operation == "TransactWriteItems"
            return 400, cancelled("TransactionConflict", "None") if transaction else refusal("ThrottlingException")
        return {"throttle": (400, refusal("ProvisionedThroughputExceededException", message="slow down")),
                "error": (500, refusal("InternalServerError"))}.get(kind, kind)

    shop.between.trouble = trouble
    shop.insert(*range(1, 2000))
    run, project = shop.start()
    for _ in range(6):
        shop.change(10)
        time.sleep(0.5)
    wait_until("what the source has", lambda: shop.alive(project) and shop.same(), 180)
    assert {"throttle", "conflict", "error", "drop", "lose"} <= set(counts), counts
    print(counts)
    shop.between.trouble = None
    assert shop.verify()[0] == 0
    project.stop()
    run.stop()


def test_the_service_goes_away_and_comes_back(shop):
    shop.insert(*range(1, 300))
    run, project = shop.start()
    shop.server.script("kill", "dynamodb")
    shop.change(20)
    wait_until("a complaint", lambda: shop.alive(project) and "trying again soon" in project.log(), 90)
    out = shop.setup.millrace("check", timeout=180)
    assert out.returncode != 0 and shop.between.endpoint in out.stdout + out.stderr, out.stdout + out.stderr
    shop.server.script("restart", "dynamodb")
    wait_until("what the source has", lambda: shop.alive(project) and shop.same(), 120)
    project.stop()
    run.stop()


def test_credentials_that_the_service_refuses(shop):
    (shop.setup.folder / "secret").write_text("wrong")
    out = shop.setup.millrace("check")
    said = out.stdout + out.stderr
    assert out.returncode == 3 and "InvalidSignatureException" in said and "dynamodb.secret_key_file" in said, said
    assert "wrong" not in said.replace("wrong:", "")
    run = shop.setup.daemon("run").start()
    shop.setup.wait_delivered(source_position(shop.c), run)
    out = shop.setup.millrace("project")
    assert out.returncode == 3 and "InvalidSignatureException" in out.stderr, out.stderr
    shop.setup.settings["dynamodb.access_key"] = ""
    shop.setup.write()
    out = shop.setup.millrace("project", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert out.returncode == 3 and "AWS_ACCESS_KEY_ID" in out.stderr, out.stderr
    run.stop()


def test_credentials_of_the_environment_with_a_session_token(shop):
    shop.between.token = "session+token=="
    for name in ("dynamodb.access_key", "dynamodb.secret_key_file", "dynamodb.region"):
        del shop.setup.settings[name]
    shop.setup.write()
    shop.setup.env.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, AWS_SESSION_TOKEN=shop.between.token, AWS_REGION=REGION)
    shop.insert(1, 2, 3)
    run, project = shop.start()
    wait_until("the rows", lambda: shop.same(), 60)
    assert shop.between.refused == 0
    project.stop()
    run.stop()


def test_an_item_that_is_too_large_is_parked_and_the_others_go_on(shop):
    shop.insert(*range(1, 20))
    run, project = shop.start()
    run_sql(shop.c, "UPDATE item SET data = REPEAT('x', 600000) WHERE id = 8", "UPDATE item SET name = 'after' WHERE id = 8",
            "UPDATE item SET name = 'other' WHERE id = 9")
    wait_until("the other", lambda: shop.alive(project) and shop.view.get("items", id=9)["name"] == "other", 60)
    assert shop.view.get("items", id=8)["name"] == "item 8"

    def kept():
        pages = shop.service.get_paginator("scan").paginate(TableName=shop.view.book, ConsistentRead=True)
        return [i for page in pages for i in page["Items"] if "/parked/" in i["item"]["S"]]

    heads = wait_until("both of them", lambda: len(h := [i for i in kept() if "#" not in i["item"]["S"]]) == 2 and h, 60)
    assert len(kept()) > 2                                           # one is larger than an item, and kept in pieces
    assert any("600" in h["reason"]["S"] and "409600" in h["reason"]["S"] for h in heads), heads
    assert all("xxxx" not in h["reason"]["S"] for h in heads) and "xxxx" not in project.log()
    project.kill()                                                   # what is parked is remembered
    project.start()
    run_sql(shop.c, "UPDATE item SET name = 'more' WHERE id = 11")
    wait_until("the next", lambda: shop.alive(project) and shop.view.get("items", id=11)["name"] == "more", 60)
    project.stop()
    run.stop()


def test_poison_stops_a_replay_and_a_fixed_definition_takes_it(shop):
    shop.insert(*range(1, 60))
    run, project = shop.start()
    run_sql(shop.c, "UPDATE item SET data = REPEAT('x', 600000) WHERE id = 8", "INSERT INTO item VALUES (500, 'last', 1, 0, NULL)")
    wait_until("the last one", lambda: shop.alive(project) and shop.view.get("items", id=500), 60)
    listed = json.loads(shop.setup.millrace("parked", "list", "--view", "shop", "--json").stdout)
    assert len(listed) == 1 and "409600" in listed[0]["reason"] and shop.verify()[0] == 1
    out = shop.setup.millrace("parked", "retry", listed[0]["id"], "--view", "shop")
    assert out.returncode == 0 and "1 still parked" in out.stdout, out.stdout + out.stderr
    out = shop.setup.millrace("replay", "shop", "--force")
    assert out.returncode == 4 and "409600" in out.stderr and "live version is untouched" in out.stderr, out.stdout + out.stderr
    assert "xxxx" not in out.stderr + project.log() and shop.public()[0] == 1
    tables, on = json.loads(json.dumps(TABLES)), json.loads(json.dumps(handlers()).replace(', "data": ":data"', ""))
    del tables["items"]["attributes"]["data"]
    shop.define(on)
    (shop.setup.folder / "views" / "shop" / "tables.json").write_text(json.dumps(tables))
    source = shop.setup.folder / "views" / "shop" / "source.sql"
    source.write_text(source.read_text().replace(", data FROM", " FROM"))
    out = shop.setup.millrace("replay", "shop")
    assert out.returncode == 0, out.stdout + out.stderr
    assert shop.verify()[0] == 0 and "data" not in shop.view.get("items", id=8)
    assert json.loads(shop.setup.millrace("parked", "list", "--view", "shop", "--json").stdout) == []
    project.stop()
    run.stop()


def test_a_removal_that_was_broken_off_is_finished(shop):
    """Killed between the two tables of a version; and those who list versions meanwhile go on."""
    shop.setup.settings["project.keep_applied"] = "1s"
    shop.setup.write()
    shop.insert(*range(1, 60))
    run, project = shop.start()
    deletes = []

    def trouble(operation, body):
        if operation == "DeleteTable" and b"shop.v1." in body:
            deletes.append(body)
            return "hold" if len(deletes) > 1 else None

    shop.between.trouble = trouble
    out = shop.setup.millrace("replay", "shop", "--force")
    assert out.returncode == 0, out.stdout + out.stderr
    wait_until("the second table", lambda: len(deletes) > 1, 60)

    def left():
        items = [i["item"]["S"] for i in shop.service.scan(TableName=shop.view.book, ConsistentRead=True)["Items"]]
        return [i for i in items if i.partition("/")[0] == "v1"] + [t for t in shop.service.list_tables()["TableNames"] if t.startswith(f"{shop.name}-shop.v1.")]

    assert len([n for n in left() if "shop.v1." in n]) == 1 and "v1" in left()
    for words in (("parked", "list", "--view", "shop"), ("verify", "shop")):
        out = shop.setup.millrace(*words)
        assert out.returncode == 0, out.stdout + out.stderr
    project.kill()
    shop.between.trouble = None
    project.start()
    wait_until("nothing left", lambda: shop.alive(project) and not left(), 60)
    shown = json.loads(shop.setup.millrace("view", "show", "shop", "--json").stdout)
    assert [v["version"] for v in shown["versions"]] == [2] and shop.verify()[0] == 0
    project.stop()
    run.stop()


def test_large_transactions_and_a_table_emptied_at_once(shop):
    shop.insert(*range(1, 1200))
    run, project = shop.start()
    wait_until("the rows", lambda: shop.same(), 60)
    run_sql(shop.c, "UPDATE item SET price = id / 8, name = CONCAT('n', id)")       # one source transaction, 1200 items and prices
    wait_until("the changes", lambda: shop.alive(project) and shop.same(), 60)
    project.kill()
    run_sql(shop.c, "UPDATE item SET price = id / 16", "TRUNCATE item", "INSERT INTO item VALUES (5, 'new', NULL, 0, '')")
    project.start()
    wait_until("the only one", lambda: shop.alive(project) and shop.same(), 60)
    assert shop.verify()[0] == 0 and set(shop.found()[0]) == {5}
    project.stop()
    run.stop()


def test_a_source_transaction_is_written_whole(shop):
    """Up to 98 items: a reader that asks for items at one moment (TransactGetItems) sees all of its changes or none."""
    shop.insert(*range(1, 41))
    run_sql(shop.c, "UPDATE item SET hidden = 0, name = '0'")
    run, project = shop.start()
    wait_until("the rows", lambda: shop.same(), 60)
    _, tables = shop.public()
    seen, stopping = [], threading.Event()

    def read():
        service = client(shop.between.endpoint)
        while not stopping.is_set():
            gets = [{"Get": {"TableName": tables["items"], "Key": {"id": {"N": str(i)}}}} for i in range(1, 41)]
            try:
                found = service.transact_get_items(TransactItems=gets)["Responses"]
            except service.exceptions.TransactionCanceledException:
                continue                                             # a write came between: ask again
            seen.append({f["Item"]["name"]["S"] for f in found})

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(1, 300):                                     # many at once, so that they share store transactions
        run_sql(shop.c, f"UPDATE item SET name = '{number}'")
        if number % 15 == 0:
            time.sleep(0.3)
        if len(seen) > 60 and len(set.union(*seen)) > 10:
            break
    wait_until("the changes", lambda: shop.alive(project) and shop.same(), 60)
    stopping.set()
    thread.join(60)
    assert len(set.union(*seen)) > 10, "too few moments were seen"
    assert all(len(names) == 1 for names in seen), [names for names in seen if len(names) > 1]
    project.stop()
    run.stop()


def test_verify_of_what_takes_long_to_read_while_it_is_written_to(shop):
    """Longer than a hold lasts by itself (20 s): whoever reads holds on. And a daemon that starts reads no items."""
    shop.setup.settings["dynamodb.timeout"] = "60s"
    shop.setup.write()
    shop.insert(*range(1, 400))
    run, project = shop.start()
    scans, slow, writing = [], 12.0, threading.Event()

    def trouble(operation, body):
        if operation == "Scan" and b"shop.v" in body:
            scans.append(body)
            time.sleep(slow)

    def write():
        shop.c = shop.setup.servers.connect()
        run_sql(shop.c, f"USE {shop.name}")
        while not writing.is_set():
            shop.change(3)
            time.sleep(0.1)

    first, thread = shop.c, threading.Thread(target=write)
    thread.start()
    try:
        shop.between.trouble = trouble
        begun = time.monotonic()
        out = shop.setup.millrace("verify", "shop", timeout=180)
        took = time.monotonic() - begun
        assert out.returncode == 0 and took > 20 and len(scans) == 8, f"{took:.0f} s, {len(scans)} scans: {out.stdout[-300:]} {out.stderr}"
        project.stop()
        del scans[:]
        project.start()
        begin = len(shop.between.seen)
        wait_until("requests", lambda: shop.alive(project) and len(shop.between.seen) > begin + 50, 60)
        assert not scans
    finally:
        shop.between.trouble = None
        writing.set()
        thread.join(60)
        shop.c.close()
        shop.c = first
    wait_until("what the source has", lambda: shop.alive(project) and shop.same(), 60)
    project.stop()
    run.stop()


def test_a_new_view_runs_as_it_is(shop):
    """The skeleton of item templates: its case passes, it is built and verified."""
    run_sql(shop.c, "CREATE TABLE booking (id BIGINT UNSIGNED, place VARCHAR(20), at DATETIME(6), fee DECIMAL(20,4), day DATE, note LONGBLOB, ratio DOUBLE, "
            "PRIMARY KEY (place, id))",
            "INSERT INTO booking SELECT 18446744073709551615 - seq, CONCAT('p', seq % 3), NOW(6), seq / 7, '2024-02-29', UNHEX('00FF'), 1 / seq FROM seq_1_to_200",
            "INSERT INTO booking (place, id) VALUES ('p9', 1)", "CREATE TABLE wide (a INT, b INT, c INT, PRIMARY KEY (a, b, c))", "INSERT INTO wide VALUES (1, 2, 3)")
    shop.setup.settings["capture.tables"] += f", {shop.name}.booking, {shop.name}.wide"
    shop.setup.write()
    shop.insert(1)
    run = shop.setup.daemon("run").start()
    shop.setup.wait_delivered(source_position(shop.c), run)
    out = shop.setup.millrace("view", "new", "wide", "--table", f"{shop.name}.wide", "--store", "dynamodb")
    assert out.returncode == 3 and "--key" in out.stderr and not (shop.setup.folder / "views" / "wide").exists(), out.stderr
    out = shop.setup.millrace("view", "new", "bookings", "--table", f"{shop.name}.booking", "--store", "dynamodb")
    assert out.returncode == 0, out.stderr
    out = shop.setup.millrace("view", "test", "views/bookings")
    assert out.returncode == 0 and "1 passed, 0 failed" in out.stdout, out.stdout + out.stderr
    project = shop.setup.daemon("project", "bookings").start()

    def verify():
        out = shop.setup.millrace("verify", "bookings")
        return out if out.returncode in (0, 1) else None

    out = wait_until("verify", lambda: shop.alive(project) and verify(), 180, every=0.5)
    assert out.returncode == 0 and "201" in out.stdout, out.stdout
    run_sql(shop.c, "UPDATE booking SET fee = NULL, note = '' WHERE place = 'p1'", "UPDATE booking SET place = 'moved' WHERE place = 'p2'",
            "DELETE FROM booking WHERE place = 'p0'")
    out = wait_until("verify again", verify, 180, every=0.5)
    assert out.returncode == 0, out.stdout
    run_sql(shop.c, "TRUNCATE booking", "INSERT INTO booking (place, id) VALUES ('p', 5)")
    out = wait_until("verify again", verify, 180, every=0.5)
    assert out.returncode == 0 and [i["id"] for i in View(shop.service, "bookings", f"{shop.name}-").scan("booking")] == ["5"], out.stdout
    project.stop()
    run.stop()


def test_versions_of_another_millrace_are_refused(shop):
    shop.insert(1, 2)
    run, project = shop.start()
    project.stop()
    other = shop.make_setup(f"{shop.name}.item", **{"dynamodb__prefix": f"{shop.name}-"})
    shop.configure(other)
    shop.define(handlers(), other.folder / "views" / "shop")
    out = other.millrace("replay", "shop")
    assert out.returncode == 3 and f"belongs to the Millrace named '{shop.setup.name}'" in out.stderr, out.stderr
    assert "dynamodb.prefix" in out.stderr
    run.stop()


@pytest.mark.parametrize("operation, said", [
    ({"update": "items", "key": {"id": ":id"}, "add": {"price": ":price"}}, "relative updates are refused"),
    ({"update": "items", "key": {"id": ":id"}, "set": {"price": "price + :price"}}, "relative updates are refused"),
    ({"put": "items", "item": {"id": ":id", "nam": ":name"}}, "Did you mean name?"),
    ({"put": "prices", "item": {"shop": "main", "price": ":price"}}, "the key lacks id"),
    ({"delete": "item", "key": {"id": ":id"}}, "no table in tables.json: item"),
    ({"put": "items", "item": {"id": ":id", "name": ":title"}}, ":title is not a column"),
])
def test_mistakes_in_templates_are_found_by_check(shop, operation, said):
    shop.insert(1)
    run = shop.setup.daemon("run").start()
    shop.setup.wait_delivered(source_position(shop.c), run)
    shop.define({"insert": operation, "delete": {"delete": "items", "key": {"id": ":id"}}})
    out = shop.setup.millrace("check")
    assert out.returncode == 3 and said in out.stdout + out.stderr, out.stdout + out.stderr
    run.stop()


@pytest.mark.long
def test_a_diff_of_more_than_a_minute(shop):
    """Longer than both versions are held for by themselves; all of both is scanned, table by table."""
    shop.setup.settings["dynamodb.timeout"] = "60s"
    shop.setup.write()
    shop.insert(*range(1, 400))
    run, project = shop.start()
    slow = 20.0

    def trouble(operation, body):
        if operation == "Scan" and b"shop.v" in body:
            time.sleep(slow)

    try:
        shop.between.trouble = trouble
        begun = time.monotonic()
        out = shop.setup.millrace("replay", "shop", "--force", timeout=300)
        took = time.monotonic() - begun
    finally:
        shop.between.trouble = None
    assert out.returncode == 0 and took > 4 * slow and shop.public()[0] == 2, f"{took:.0f} s: {out.stdout} {out.stderr} {project.log_tail()}"
    shop.change(20)
    wait_until("what the source has", lambda: shop.alive(project) and shop.same(), 60)
    project.stop()
    run.stop()
