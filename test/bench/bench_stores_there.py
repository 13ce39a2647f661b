"""The stores that bench_stores.py measures: the view's table and handler in each one's words, and its own bulk load."""
import contextlib
import csv
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pymysql
import pymysql.cursors

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test" / part) for part in ("integ", "fault", "views")]

from bench_dynamodb import Dynamodb  # noqa: E402
from harness import Servers  # noqa: E402
from sql_servers import POSTGRESQL, Postgresql  # noqa: E402


class Sqlite:
    name, suffix, loads_by, ratio, tables_file = "sqlite", "sql", ".import", 0.4, "tables.sql"
    conf, most = "key.rows = id\n", None
    types = {"text": "TEXT", "decimal": "TEXT", "long": "INTEGER", "double": "REAL"}
    id = "INTEGER"

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def settings():
        return {}

    def table(self, name):
        t = self.types
        return (f"CREATE TABLE {name} (id {self.id} PRIMARY KEY, n INTEGER NOT NULL, s1 {t['text']}, s2 {t['text']}, s3 {t['text']}, amount {t['decimal']},"
                f" created {t['long']}, updated {t['long']}, flag INTEGER, ratio {t['double']});\n")

    @staticmethod
    def upsert(name, columns):
        return (f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({', '.join(':' + c for c in columns)})\n"
                f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in columns[1:])};\n")

    def find(self, state):
        self.path = state / "rows.db"

    def count(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute("SELECT COUNT(*) FROM rows").fetchone()[0]

    def dump(self, path):
        """The view's rows, as bulk_load() takes them."""
        with open(path, "wb") as out:
            subprocess.run(["sqlite3", "-readonly", "-csv", str(self.path), "SELECT * FROM rows ORDER BY id"], stdout=out, check=True)

    def bulk_load(self, path):
        """Seconds."""
        fresh = self.folder / "import.db"
        fresh.unlink(missing_ok=True)
        subprocess.run(["sqlite3", str(fresh), self.table("rows")], check=True)
        began = time.monotonic()
        subprocess.run(["sqlite3", "-csv", str(fresh), f".import {path} rows"], check=True)
        seconds = time.monotonic() - began
        fresh.unlink()
        return seconds

    def stop(self):
        pass


class PostgresqlThere(Sqlite):
    name, loads_by, ratio = "postgresql", "COPY", 0.3
    types = {"text": "VARCHAR(200)", "decimal": "NUMERIC(12,2)", "long": "BIGINT", "double": "DOUBLE PRECISION"}
    id = "BIGINT"

    def __init__(self, folder):
        super().__init__(folder)
        if not (POSTGRESQL / "postgres").exists():
            raise OSError("PostgreSQL 15 isn't installed")
        self.server = Postgresql(folder / "server", 15, "-c shared_buffers=256MB -c max_wal_size=4GB")

    def settings(self):
        s = self.server
        return {"postgresql.host": "127.0.0.1", "postgresql.port": s.port, "postgresql.user": "millrace", "postgresql.password_file": s.password_file,
                "postgresql.database": "millrace"}

    def find(self, _):
        pass

    def psql(self, *words):
        return subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.server.port), "-U", "millrace", "-d", "millrace",
                               *[w for sql in words for w in ("-c", sql)]], env={**os.environ, "PGPASSWORD": self.server.password, "PGOPTIONS": "-c client_min_messages=warning"}, check=True,
                              stdout=subprocess.PIPE, text=True).stdout.strip()

    def count(self):
        return int(self.psql("SELECT COUNT(*) FROM rows.rows"))

    def dump(self, path):
        self.psql(rf"\copy (SELECT * FROM rows.rows ORDER BY id) TO '{path}' WITH (FORMAT csv)")

    def bulk_load(self, path):
        self.psql("DROP SCHEMA IF EXISTS loaded CASCADE", "CREATE SCHEMA loaded", self.table("loaded.rows"))
        began = time.monotonic()
        self.psql(rf"\copy loaded.rows FROM '{path}' WITH (FORMAT csv)")
        return time.monotonic() - began

    def stop(self):
        self.server.stop()


class Mariadb(Sqlite):
    name, loads_by, ratio, database = "mariadb", "LOAD DATA", 0.3, "mariadb:10.11"
    types = {"text": "VARCHAR(200)", "decimal": "DECIMAL(12,2)", "long": "BIGINT", "double": "DOUBLE"}
    id = "BIGINT"
    options = ("--mariadb-option=--innodb-buffer-pool-size=2G", "--mariadb-option=--innodb-log-file-size=512M", "--mariadb-option=--local-infile=ON",
               "--mariadb-option=--skip-log-bin")

    def __init__(self, folder):
        super().__init__(folder)
        self.server = Servers(folder / "server", *self.options, database=self.database, kafka=False)
        self.password_file = folder / "site.password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(self.server.env["DATABASE_SITE_PASSWORD"])

    def settings(self):
        env = self.server.env
        return {f"{self.name}.host": "127.0.0.1", f"{self.name}.port": env["DATABASE_PORT"], f"{self.name}.user": env["DATABASE_SITE_USER"],
                f"{self.name}.password_file": self.password_file, f"{self.name}.tls": "on" if self.name == "mysql" else "off"}

    def table(self, name):
        return super().table("`rows`" if name == "rows" else name)      # a word of its SQL

    @staticmethod
    def upsert(name, columns):
        return (f"INSERT INTO `{name}` ({', '.join(columns)}) VALUES ({', '.join(':' + c for c in columns)})\n"
                f"ON DUPLICATE KEY UPDATE {', '.join(f'{c} = VALUES({c})' for c in columns[1:])};\n")

    def find(self, _):
        pass

    def ask(self, *statements):
        connection = self.server.connect(local_infile=True)
        with contextlib.closing(connection), connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)
            return cursor.fetchall()

    def count(self):
        return int(self.ask("SELECT COUNT(*) FROM `rows`.`rows`")[0][0])

    def dump(self, path):
        connection = self.server.connect(cursorclass=pymysql.cursors.SSCursor)
        with contextlib.closing(connection), connection.cursor() as cursor, open(path, "w", encoding="utf-8", newline="") as out:
            cursor.execute("SELECT * FROM `rows`.`rows` ORDER BY id")
            csv.writer(out, lineterminator="\n").writerows(cursor)

    def bulk_load(self, path):
        self.ask("DROP DATABASE IF EXISTS loaded", "CREATE DATABASE loaded", self.table("loaded.`rows`"))
        began = time.monotonic()
        self.ask(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE loaded.`rows` FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"'")
        return time.monotonic() - began

    def stop(self):
        self.server.stop()


class Mysql(Mariadb):
    name, ratio, database = "mysql", None, "mysql:8.0"
    options = tuple(o.replace("mariadb", "mysql", 1) for o in Mariadb.options if "log-file-size" not in o)


STORES = (Sqlite, PostgresqlThere, Mariadb, Mysql, Dynamodb)
