"""DynamoDB Local for the suites; what a service that reads a view does; and something between Millrace and the service that
checks signatures as the service does, and misbehaves on request."""
import contextlib
import hashlib
import http.client
import json
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from harness import ROOT

REGION, KEY, SECRET = "eu-west-1", "MILLRACEKEY", "a+secret/with=signs"


def client(endpoint):
    return boto3.client("dynamodb", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
                        config=Config(retries={"max_attempts": 8, "mode": "standard"}, read_timeout=120))


class Local:
    """DynamoDB Local, started in a folder of scripts/servers."""

    def __init__(self, folder):
        self.folder = folder
        self.script("start", "--dynamodb")
        env = dict(line.split("=", 1) for line in self.script("env").splitlines() if "=" in line)
        self.endpoint = env["DYNAMODB_ENDPOINT"].strip("'\"")
        self.service = client(self.endpoint)

    def script(self, verb, *words):
        return subprocess.run([str(ROOT / "scripts" / "servers"), verb, str(self.folder), *words], check=True, stdout=subprocess.PIPE, text=True).stdout

    def settings(self, folder):
        """Section [dynamodb]; its secret is a file in `folder`."""
        secret = folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(SECRET)
        return {"dynamodb.endpoint": self.endpoint, "dynamodb.region": REGION, "dynamodb.access_key": KEY, "dynamodb.secret_key_file": secret}

    def stop(self):
        self.script("remove")


class View:
    """A view as a service reads it: the documented protocol (docs/STORES.md). Look the public item up, read the tables that it
    names; when one of them is gone, look it up again."""

    def __init__(self, service, view, prefix=""):
        self.service, self.book = service, f"{prefix}{view}.millrace"

    def public(self):
        """(version, {table: its name in the service})"""
        item = self.service.get_item(TableName=self.book, Key={"item": {"S": "public"}}, ConsistentRead=True).get("Item")
        if item is None:
            return None
        return int(item["version"]["N"]), {name: value["S"] for name, value in item["tables"]["M"].items()}

    def read(self, read):
        """What read(tables) gives, of one version."""
        while True:
            _, tables = self.public()
            try:
                return read(tables)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceNotFoundException":
                    raise

    def scan(self, table):
        def read(tables):
            pages = self.service.get_paginator("scan").paginate(TableName=tables[table], ConsistentRead=True)
            return [plain(item) for page in pages for item in page["Items"]]
        return self.read(read)

    def get(self, table, **key):
        def read(tables):
            found = self.service.get_item(TableName=tables[table], Key={k: {"N": str(v)} for k, v in key.items()}, ConsistentRead=True)
            return plain(found["Item"]) if "Item" in found else None
        return self.read(read)

    def book_item(self, name):
        return self.service.get_item(TableName=self.book, Key={"item": {"S": name}}, ConsistentRead=True).get("Item")


def plain(item):
    return {name: next(iter(value.values())) for name, value in item.items()}


class Between:
    """An endpoint before the real one. It recomputes every signature with botocore, and refuses a wrong one as the service
    does. `trouble` may be set to a function (operation, body) -> None (go on), bytes with a status (answer that), "drop"
    (cut the connection without passing the request on) or "lose" (pass it on, and lose the answer)."""

    def __init__(self, endpoint, secret=SECRET, token=None):
        self.real, self.secret, self.token = urlsplit(endpoint), secret, token
        self.trouble, self.seen, self.held, self.refused = None, [], [], 0
        self.lock = threading.Lock()
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                between.answer(self, body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def signed_well(self, headers, body):
        given = headers.get("Authorization", "")
        fields = dict(part.strip().split("=", 1) for part in given.partition(" ")[2].split(",") if "=" in part)
        names = fields.get("SignedHeaders", "").split(";")
        if not {"host", "x-amz-date", "x-amz-target"} <= set(names) or self.token and headers.get("X-Amz-Security-Token") != self.token:
            return False
        request = AWSRequest("POST", f"{self.endpoint}/", data=body, headers={n: headers[n] for n in names if n != "host"})
        request.context["timestamp"] = headers["X-Amz-Date"]
        request.headers["X-Amz-Date"] = headers["X-Amz-Date"]
        auth = SigV4Auth(Credentials(KEY, self.secret), "dynamodb", REGION)
        canonical = "\n".join(["POST", "/", "", *[f"{n}:{' '.join((headers[n] or '').split())}" for n in names], "", ";".join(names),
                               hashlib.sha256(body).hexdigest()])
        signature = auth.signature(auth.string_to_sign(request, canonical), request)
        return fields.get("Credential", "").split("/")[0] == KEY and signature == fields.get("Signature")

    def pass_on(self, headers, body):
        connection = http.client.HTTPConnection(self.real.hostname, self.real.port, timeout=120)
        try:
            connection.request("POST", "/", body, {n: headers[n] for n in ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def answer(self, handler, body):
        operation = handler.headers["X-Amz-Target"].partition(".")[2]
        with self.lock:
            self.seen.append(operation)
        if not self.signed_well(handler.headers, body):
            self.refused += 1
            status, data = 400, refusal("InvalidSignatureException")
        else:
            said = self.trouble(operation, body) if self.trouble else None
            if said == "drop":
                return cut(handler)
            if said == "hold":
                self.held.append((dict(handler.headers), body))
                time.sleep(600)
            try:
                status, data = said if isinstance(said, tuple) else self.pass_on(handler.headers, body)
            except OSError:
                return cut(handler)
            if said == "lose":
                return cut(handler)
        with contextlib.suppress(OSError):                           # who asked may have been killed
            handler.send_response(status)
            handler.send_header("Content-Type", "application/x-amz-json-1.0")
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
        return None


def cut(handler):
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.connection.shutdown(socket.SHUT_RDWR)


def refusal(kind, **more):
    return json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", **more}).encode()


def cancelled(*codes):
    return refusal("TransactionCanceledException", CancellationReasons=[{"Code": c} for c in codes])
