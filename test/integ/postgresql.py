"""A private PostgreSQL for the suites: a cluster of its own in a temporary folder, and connections to it.

The server refuses to run as root: then it runs as the user that its package made. Nothing of the distribution's own cluster
is touched.
"""
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

PROGRAMS = Path("/usr/lib/postgresql/15/bin")


def missing():
    """Why there is none here; empty: there is one."""
    return "" if (PROGRAMS / "postgres").exists() else "PostgreSQL 15 is not installed: scripts/setup"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgresql:
    """One cluster with a role `millrace` that may make schemas in the database `views`, and a role `reader` that may not."""

    def __init__(self, folder=None, **settings):
        self.folder = Path(folder or tempfile.mkdtemp(prefix="millrace-pg-"))
        self.folder.chmod(0o755)
        self.data, self.log_path = self.folder / "data", self.folder / "log"
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.password_file = self.folder / "password"
        self.password_file.write_text("secret of millrace\n")
        self.password_file.chmod(0o600)
        self.port, self.process = free_port(), None
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.user)
        self.run("initdb", "-D", str(self.data), "-U", "admin", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-N")
        with open(self.data / "postgresql.conf", "a", encoding="ascii") as conf:
            conf.write(f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{self.folder}'\nfsync = off\n"
                       "shared_buffers = 64MB\nmax_connections = 100\nlog_min_messages = warning\ndeadlock_timeout = 1s\nmax_wal_size = 2GB\n")
            for name, value in settings.items():
                conf.write(f"{name} = {value}\n")
        (self.data / "pg_hba.conf").write_text("local all all trust\nhost all millrace 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
        try:
            self.start()
            with self.connect("admin", "postgres") as c:
                c.execute("CREATE ROLE millrace LOGIN PASSWORD 'secret of millrace'")
                c.execute("CREATE ROLE reader LOGIN")
            self.new_database()
        except BaseException:
            self.remove()
            raise

    def run(self, program, *words):
        as_user = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"] if os.geteuid() == 0 else []
        subprocess.run([*as_user, str(PROGRAMS / program), *words], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self):
        as_user = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"] if os.geteuid() == 0 else []
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*as_user, str(PROGRAMS / "postgres"), "-D", str(self.data)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd="/", start_new_session=True)
        end = time.monotonic() + 90
        while True:
            try:
                self.connect("admin", "postgres").close()
                return self
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"PostgreSQL did not start: {self.log_path.read_text(errors='replace')[-2000:]}") from None
                time.sleep(0.05)

    def stop(self, how=signal.SIGINT):
        """SIGINT: ends all sessions; SIGQUIT: as in a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(90)
            self.process = None

    def remove(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, user="admin", database="views", **more):
        return psycopg.connect(host="127.0.0.1", port=self.port, user=user, dbname=database, autocommit=True, connect_timeout=10,
                               **({"password": "secret of millrace"} if user == "millrace" else {}), **more)

    def ask(self, sql, values=None, user="admin"):
        with self.connect(user) as c:
            cursor = c.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def new_database(self):
        with self.connect("admin", "postgres") as c:
            c.execute("DROP DATABASE IF EXISTS views WITH (FORCE)")
            c.execute("CREATE DATABASE views OWNER admin")
            c.execute("GRANT CREATE ON DATABASE views TO millrace")

    def settings(self):
        """For Setup: the daemon's settings, as keyword arguments."""
        return {"postgresql__host": "127.0.0.1", "postgresql__port": self.port, "postgresql__database": "views",
                "postgresql__user": "millrace", "postgresql__password_file": str(self.password_file)}


@contextlib.contextmanager
def postgresql(**settings):
    made = Postgresql(**settings)
    try:
        yield made
    finally:
        made.remove()
