"""The stores: how a view asks for one, and how a reader finds the public name there, and a version."""
import contextlib
import sqlite3
import time

from dynamo_store import DynamodbStore
from sql_servers import MariadbStore, MysqlStore, PostgresqlStore
from words import Standard


class SqliteReader:
    """One connection to one path. `read` is one transaction over all tables."""

    def __init__(self, path, kind):
        self.connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20, isolation_level=None, check_same_thread=False)
        self.kind = kind

    def read(self, pause=0.0):
        """{table: rows with the mark behind}"""
        out = {}
        self.connection.execute("BEGIN")
        try:
            for table in self.kind.tables:
                out[table] = self.connection.execute(self.kind.select(table, table)).fetchall()
                if pause:
                    time.sleep(pause)
        finally:
            self.connection.execute("COMMIT")
        return out

    def superseded(self):
        """What a reader that keeps its connection must look at (OPERATIONS.md): it opens the name again then."""
        return self.connection.execute("SELECT state FROM millrace_view").fetchone()[0] == "superseded"

    def close(self):
        self.connection.close()


class Sqlite:
    name = "sqlite"
    dialect = Standard()
    kinds = ("sql", "mirror", "query")
    stays = True       # a connection held open stays on its version
    styles = ("anew", "anew", "slow", "held", "stubborn")

    def __init__(self, site):
        self.site = site

    @staticmethod
    def missing():
        """Why it can't be tried here; empty: it can."""
        return ""

    def settings(self, _):
        return {}

    @staticmethod
    def public(history, _="anew"):
        return SqliteReader(history.folder / "state" / f"{history.view}.db", history.kind)

    @staticmethod
    def versions_folder(history):
        return history.folder / "state" / "views" / history.view

    def version(self, history, version):
        return SqliteReader(self.versions_folder(history) / f"v{version}.db", history.kind)

    def there(self, history):
        """Numbers of the versions of which anything is left."""
        return {int(path.name[1:].split(".")[0]) for path in self.versions_folder(history).glob("v*.db*")}

    def live(self, history):
        """The version that the public name leads to, as the store has it."""
        path = history.folder / "state" / f"{history.view}.db"
        return int(path.readlink().name[1:-3]) if path.is_symlink() else 0

    def end(self, history):
        pass

    def stop(self):
        pass


STORES = {store.name: store for store in (Sqlite, PostgresqlStore, MariadbStore, MysqlStore, DynamodbStore)}


@contextlib.contextmanager
def closing(reader):
    try:
        yield reader
    finally:
        reader.close()
