"""DynamoDB Local as bench_stores.py measures it: few rows (it is a test service, of some thousand items a second), no requirement."""
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "integ"))

from dynamo import Local, View  # noqa: E402

TEXTS = ("s1", "s2", "s3")


class Dynamodb:
    name, suffix, loads_by, ratio, tables_file = "dynamodb", "json", "BatchWriteItem", None, "tables.json"
    conf = ""
    most, each, threads = 50_000, 25, 8     # rows in all; items a request, the service's limit; requests side by side

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.server = Local(folder / "server")
        self.service = self.server.service

    def settings(self):
        return self.server.settings(self.folder)

    @staticmethod
    def table(name):
        columns = ("id", "n", *TEXTS, "amount", "created", "updated", "flag", "ratio")
        return json.dumps({name: {"key": ["id"], "attributes": {c: "string" if c in TEXTS else "number" for c in columns}}})

    @staticmethod
    def upsert(name, columns):
        return json.dumps([{"put": name, "item": {c: f":{c}" for c in columns}}])

    def find(self, _):
        pass

    def pages(self, **more):
        _, tables = View(self.service, "rows").public()
        return self.service.get_paginator("scan").paginate(TableName=tables["rows"], ConsistentRead=True, **more)

    def count(self):
        return sum(page["Count"] for page in self.pages(Select="COUNT"))

    def dump(self, path):
        """Not as CSV: items as the service gives and takes them, one a line."""
        with open(path, "w") as out:
            for page in self.pages():
                out.writelines(json.dumps(item) + "\n" for item in page["Items"])

    def load(self, request):
        while request:
            request = self.service.batch_write_item(RequestItems=request).get("UnprocessedItems")

    def bulk_load(self, path):
        with open(path) as lines:
            items = [{"PutRequest": {"Item": json.loads(line)}} for line in lines]
        requests = [{"loaded": items[i:i + self.each]} for i in range(0, len(items), self.each)]
        self.service.create_table(TableName="loaded", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                                  AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}])
        began = time.monotonic()
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(self.load, requests))
        seconds = time.monotonic() - began
        self.service.delete_table(TableName="loaded")
        return seconds

    def stop(self):
        self.server.stop()
