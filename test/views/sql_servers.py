"""Views in servers: PostgreSQL, MariaDB, MySQL. One server of each for a lane, beside the source; readers with each one's own driver."""
import os
import pwd
import secrets
import shutil
import subprocess
import time
from pathlib import Path

import psycopg
import pymysql

from harness import Servers, those_there
from process import free_port
from words import MysqlWords, Standard

POSTGRESQL = Path("/usr/lib/postgresql/15/bin")


class Postgresql:
    """A private cluster, run as nobody where we are root."""

    # kill -9 doesn't come to it; a power cut neither
    small = "-c fsync=off -c max_connections=200 -c shared_buffers=64MB"

    def __init__(self, folder, lane, options=small):
        self.folder, self.port, self.password = folder, free_port(lane), secrets.token_hex(8)
        folder.mkdir()
        self.password_file = folder / "password"
        self.password_file.write_text(self.password)
        self.be = []
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.be = ["setpriv", "--reuid", str(nobody.pw_uid), "--regid", str(nobody.pw_gid), "--clear-groups"]
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        self.run("initdb", "-D", "data", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-A", "scram-sha-256", "--pwfile=password", "--no-sync")
        self.password_file.chmod(0o600)
        options = f"-c port={self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} {options}"
        self.run("pg_ctl", "-D", "data", "-l", "log", "-w", "-t", "120", "-o", options, "start")
        for user, dbname, sql in (("postgres", "postgres", f"CREATE ROLE millrace LOGIN PASSWORD '{self.password}'; CREATE ROLE reader LOGIN PASSWORD '{self.password}'"),
                                  ("postgres", "postgres", "CREATE DATABASE millrace OWNER millrace"),
                                  ("millrace", "millrace", "ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO reader; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader")):
            with self.connect(user, dbname) as connection:
                connection.execute(sql)

    def run(self, program, *words):
        out = subprocess.run([*self.be, str(POSTGRESQL / program), *words], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if program != "pg_ctl" else
                             subprocess.DEVNULL, stderr=subprocess.STDOUT if program != "pg_ctl" else subprocess.DEVNULL, check=False)
        assert out.returncode == 0, f"{program}: {(out.stdout or b'').decode()[-800:]} {self.log()}"

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace")[-800:] if path.exists() else ""

    def connect(self, user="reader", dbname="millrace"):
        return psycopg.connect(host="127.0.0.1", port=self.port, user=user, password=self.password, dbname=dbname, autocommit=True)

    def stop(self):
        self.run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


def plain(rows):
    """Values as the model has them: drivers give decimals and bytes here and there."""
    return [tuple(v if v is None or isinstance(v, (str, int)) else v.decode() if isinstance(v, bytes) else int(v) for v in row) for row in rows]


class PgReader:
    """One connection. A read is one transaction over all tables, in one snapshot; style `old`: that begins elsewhere, and takes its time."""

    def __init__(self, server, schema, kind, style):
        self.schema, self.kind, self.style = schema, kind, style
        self.connection = server.connect()

    def read(self, pause=0.0):
        out, prepare = {}, True if self.style == "prepared" else None
        self.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if self.style == "old":
            self.connection.execute("SELECT count(*) FROM pg_class").fetchall()
            time.sleep(pause * 3)
        try:
            for table in self.kind.tables:
                out[table] = plain(self.connection.execute(self.kind.select(table, f"{self.schema}.{table}"), prepare=prepare).fetchall())
                if pause:
                    time.sleep(pause)
        finally:
            self.connection.execute("ROLLBACK")
        return out

    def close(self):
        self.connection.close()


class PostgresqlStore:
    name = "postgresql"
    dialect = Standard()
    kinds = ("sql", "mirror", "query", "partition")
    stays = False
    styles = ("anew", "slow", "held", "prepared", "old")

    def __init__(self, site):
        self.server = Postgresql(site.folder / "postgresql", site.lane)

    @staticmethod
    def missing():
        return "" if (POSTGRESQL / "postgres").exists() else "PostgreSQL 15 isn't installed"

    def settings(self, _):
        s = self.server
        return {"postgresql.host": "127.0.0.1", "postgresql.port": s.port, "postgresql.user": "millrace", "postgresql.password_file": s.password_file,
                "postgresql.database": "millrace"}

    def public(self, history, style="anew"):
        return PgReader(self.server, history.view, history.kind, style)

    def version(self, history, version):
        return PgReader(self.server, f"{history.view}_v{version}", history.kind, "anew")

    def ask(self, sql, *values):
        with self.server.connect("millrace") as connection:
            return connection.execute(sql, values).fetchall()

    def there(self, history):
        names = self.ask("SELECT nspname FROM pg_namespace WHERE nspname LIKE %s", f"{history.view}\\_v%")
        return {int(n.rpartition("_v")[2]) for (n,) in names if n.rpartition("_v")[2].isdigit()}

    def live(self, history):
        if not self.ask("SELECT 1 FROM pg_views WHERE schemaname = %s AND viewname = 'tick'", history.view):
            return 0
        return self.ask(f"SELECT version FROM {history.view}.millrace_public")[0][0]

    def end(self, history):
        with self.server.connect("millrace") as connection:
            for (name,) in connection.execute("SELECT nspname FROM pg_namespace WHERE nspname = %s OR nspname LIKE %s", (history.view, f"{history.view}\\_%")).fetchall():
                connection.execute(f'DROP SCHEMA "{name}" CASCADE')

    def stop(self):
        self.server.stop()


class MysqlReader:
    """As PgReader. style `prepared`: statements that the server keeps."""

    def __init__(self, server, database, kind, style):
        self.kind, self.style = kind, style
        self.connection = server.connect(read_timeout=120)
        self.cursor = self.connection.cursor()
        self.statements = {table: kind.select(table, f"`{database}`.`{table}`") for table in kind.tables}
        if style == "prepared":
            for table, sql in self.statements.items():
                self.cursor.execute(f"PREPARE {table} FROM %s", (sql,))
                self.statements[table] = f"EXECUTE {table}"

    def read(self, pause=0.0):
        out = {}
        self.cursor.execute("BEGIN")
        try:
            for table, sql in self.statements.items():
                self.cursor.execute(sql)
                out[table] = plain(self.cursor.fetchall())
                if pause:
                    time.sleep(pause)
        finally:
            self.cursor.execute("ROLLBACK")
        return out

    def close(self):
        self.connection.close()


class MysqlFamily:
    dialect = MysqlWords()
    kinds = ("sql", "mirror", "query", "partition")
    stays = False
    styles = ("anew", "slow", "held", "prepared", "slow")

    def __init__(self, site):
        self.server = Servers(site.folder / self.name, database=self.database, kafka=False)
        self.ask("SET GLOBAL max_connections = 300")     # members of three processes, for each version that is still applied (docs/ORDER.md)

    @classmethod
    def missing(cls):
        return "" if those_there(cls.database) else f"{cls.database} isn't there: make servers"

    def settings(self, _):
        env = self.server.env
        password = Path(env["DATABASE_PASSWORD_FILE"]).with_name("site.password")
        if not password.exists():
            password.write_text(env["DATABASE_SITE_PASSWORD"])
        return {f"{self.name}.host": "127.0.0.1", f"{self.name}.port": env["DATABASE_PORT"], f"{self.name}.user": env["DATABASE_SITE_USER"],
                f"{self.name}.password_file": password, f"{self.name}.tls": "on" if self.name == "mysql" else "off"}

    def public(self, history, style="anew"):
        return MysqlReader(self.server, history.view, history.kind, style)

    def version(self, history, version):
        return MysqlReader(self.server, f"{history.view}_v{version}", history.kind, "anew")

    def ask(self, sql, *values):
        connection = self.server.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall()
        finally:
            connection.close()

    def there(self, history):
        names = self.ask("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE %s", f"{history.view}\\_v%")
        return {int(n.rpartition("_v")[2]) for (n,) in names if n.rpartition("_v")[2].isdigit()}

    def live(self, history):
        if not self.ask("SELECT 1 FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'millrace_view'", history.view):
            return 0    # the first version's tables appear one by one, this one last
        return int(self.ask(f"SELECT version FROM `{history.view}`.millrace_view")[0][0])

    def end(self, history):
        for (name,) in self.ask("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s OR SCHEMA_NAME LIKE %s", history.view, f"{history.view}\\_%"):
            self.ask(f"DROP DATABASE `{name}`")

    def stop(self):
        self.server.stop()


class MariadbStore(MysqlFamily):
    name, database = "mariadb", "mariadb:10.11"


class MysqlStore(MysqlFamily):
    name, database = "mysql", "mysql:8.0"


