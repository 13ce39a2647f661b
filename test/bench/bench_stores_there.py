"""The stores that bench_stores.py measures: the view's table and handler in each one's words, and its own bulk load."""
import subprocess
import sqlite3
import time


class Sqlite:
    name, suffix, loads_by, ratio = "sqlite", "sql", ".import", 0.4

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def settings():
        return {}

    @staticmethod
    def table(name):
        return (f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, s1 TEXT, s2 TEXT, s3 TEXT, amount TEXT,"
                " created INTEGER, updated INTEGER, flag INTEGER, ratio REAL);\n")

    @staticmethod
    def upsert(name, columns):
        return (f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({', '.join(':' + c for c in columns)})\n"
                f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in columns[1:])};\n")

    def find(self, state, _):
        self.path = state / "rows.db"

    def count(self):
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute("SELECT COUNT(*) FROM rows").fetchone()[0]
        finally:
            connection.close()

    def bulk_load(self, csv):
        """Seconds."""
        fresh = self.folder / "import.db"
        fresh.unlink(missing_ok=True)
        subprocess.run(["sqlite3", str(fresh), self.table("rows")], check=True)
        began = time.monotonic()
        subprocess.run(["sqlite3", "-csv", str(fresh), f".import {csv} rows"], check=True)
        seconds = time.monotonic() - began
        fresh.unlink()
        return seconds

    def stop(self):
        pass


STORES = (Sqlite,)
