"""Stores that are servers, when something goes wrong with the server: no room on its disk, killed within a build, another certificate."""
import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pymysql
import pytest

import harness
import postgresql
from certificates import Authority
from harness import Servers, run_sql, source_position, wait_until, with_fault_points

ROWS = 10000
WORDS = 400


@contextlib.contextmanager
def folder_for_servers(prefix="millrace-troubles-"):
    """One that servers can reach that run as others than root."""
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def give(user, *paths):
    if os.geteuid() == 0:
        for path in paths:
            shutil.chown(path, user)
    for path in paths:
        path.chmod(0o600)


class Place:
    def answers(self):
        try:
            self.ask("SELECT 1")
        except (psycopg.Error, pymysql.err.MySQLError):
            return False
        return True


class InPostgresql(Place):
    name, handler_end = "postgresql", "ON CONFLICT ({key}) DO UPDATE SET part = excluded.part"

    def __init__(self, folder, small=None, certificate=None):
        (folder / "pg").mkdir()
        tls = {}
        if certificate:
            give("postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name, *certificate)
            tls = {"ssl": "on", "ssl_key_file": f"'{certificate[0]}'", "ssl_cert_file": f"'{certificate[1]}'"}
        self.server = postgresql.Postgresql(folder / "pg", session_preload_libraries="'auto_explain'", **tls)
        if small:       # its tables; the log of what it writes has room
            place = small / "tables"
            place.mkdir()
            if os.geteuid() == 0:
                shutil.chown(place, "postgres")
            with self.server.connect("admin", "postgres") as c:
                c.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
                c.execute("ALTER DATABASE views SET TABLESPACE small")

    def settings(self, **more):
        return {k.replace("__", "."): str(v) for k, v in {**self.server.settings(), **more}.items()}

    def ask(self, sql):
        return self.server.ask(sql)

    def versions(self):
        return [n for (n,) in self.ask("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'shop\\_v%' ORDER BY 1")]

    def is_live(self):
        return bool(self.ask("SELECT 1 FROM pg_views WHERE schemaname = 'shop' AND viewname = 'item'"))

    def encrypted(self):
        return self.ask("SELECT bool_and(ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'millrace'") == [(True,)]

    def kill(self):
        self.server.stop(signal.SIGQUIT)

    def start(self):
        self.server.start()

    def remove(self):
        self.server.remove()


class InMariadb(Place):
    name, handler_end = "mariadb", "ON DUPLICATE KEY UPDATE part = VALUES(part)"

    def __init__(self, folder, small=None, certificate=None):
        options = ["--mariadb-option=--skip-log-bin"]
        if certificate:
            give("nobody", *certificate)
            options += [f"--mariadb-option=--ssl-key={certificate[0]}", f"--mariadb-option=--ssl-cert={certificate[1]}"]
        self.server = Servers((small or folder) / "servers", *options, kafka=False)
        self.password = folder / "password"
        self.password.write_text(self.server.env["DATABASE_SITE_PASSWORD"])
        self.password.chmod(0o600)

    def settings(self, **more):
        env = self.server.env
        return {"mariadb.host": "127.0.0.1", "mariadb.port": env["DATABASE_PORT"], "mariadb.user": env["DATABASE_SITE_USER"], "mariadb.password_file": str(self.password),
                "mariadb.tls": "off", **{k.replace("__", "."): str(v) for k, v in more.items()}}

    def ask(self, sql):
        with contextlib.closing(self.server.connect()) as c:
            return [tuple(int(v) if isinstance(v, str) and v.isdigit() else v for v in row) for row in run_sql(c, sql)]

    def versions(self):
        return [n for (n,) in self.ask("SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'shop\\_v%' ORDER BY 1")]

    def is_live(self):
        return bool(self.ask("SELECT 1 FROM information_schema.views WHERE table_schema = 'shop' AND table_name = 'item'"))

    def encrypted(self):
        return self.ask("SHOW GLOBAL STATUS LIKE 'Ssl_finished_accepts'")[0][1] > 0

    def said(self):
        return (Path(self.server.env["SERVERS_HOME"]) / "mariadb" / "error.log").read_text(errors="replace")

    def kill(self):
        self.server.script("kill", self.server.folder, "mariadb")

    def start(self):
        self.server.script("restart", self.server.folder, "mariadb")

    def remove(self):
        self.server.stop()


PLACES = {"postgresql": InPostgresql, "mariadb": InMariadb}


@pytest.fixture(params=PLACES)
def make_place(request):
    """make(small=..., certificate=...): a server of its own for views."""
    if request.param == "postgresql" and postgresql.missing():
        pytest.skip(postgresql.missing())
    made = []
    with folder_for_servers() as folder:
        def make(**more):
            made.append(PLACES[request.param](folder, **more))
            return made[-1]

        yield make
        for place in made:
            place.remove()


class Shop:
    """A source table, its capture, and a view of it in that place."""

    def __init__(self, database, make_setup, place, key="id", **more):
        self.db, self.connection = database
        self.place, self.key = place, key
        run_sql(self.connection, f"CREATE TABLE item (id BIGINT, part VARCHAR(400), n INT, PRIMARY KEY ({key}))")
        self.add(1, ROWS)
        self.setup = make_setup(f"{self.db}.item")
        self.setup.settings.update(place.settings(**more))
        self.setup.write()
        self.write_view()
        self.run, self.project = self.setup.daemon("run").start(), self.setup.daemon("project")
        # tests change the settings that follow: it must have read its own
        wait_until("capture to begin", lambda: " starts; " in self.run.log() or not self.run.alive(), 120)

    def add(self, first, last):
        run_sql(self.connection, f"INSERT INTO item SELECT seq, REPEAT(CHAR(97 + seq % 26), {WORDS}), seq FROM seq_{first}_to_{last}")

    def write_view(self):
        folder = self.setup.folder / "views" / "shop"
        (folder / "on").mkdir(parents=True, exist_ok=True)
        put = f"INSERT INTO item (id, part, n) VALUES (:id, :part, :n) {self.place.handler_end.format(key=self.key)};\n"
        texts = {"view.conf": f"owner = tests\nstore = {self.place.name}\ninputs = {self.setup.name}.{self.db}.item\nkey.item = {self.key}\n",
                 "tables.sql": f"CREATE TABLE item (id BIGINT, part VARCHAR({WORDS}), n INT NOT NULL, PRIMARY KEY ({self.key}));\n",
                 "source.sql": f"-- table: item\nSELECT id, part, n FROM {self.db}.item\n", f"on/{self.db}.item.insert.sql": put, f"on/{self.db}.item.update.sql": put,
                 f"on/{self.db}.item.delete.sql": "DELETE FROM item WHERE id = :before_id;\n", f"on/{self.db}.item.truncate.sql": "DELETE FROM item;\n"}
        for name, text in texts.items():
            (folder / name).write_text(text)

    def live(self):
        """Waits for the first version."""
        def there():
            assert self.project.alive(), self.project.log_tail()
            return self.place.is_live()
        wait_until("the view", there, 180, every=0.3)
        self.setup.wait_delivered(source_position(self.connection), self.run)

    def count(self):
        return self.place.ask("SELECT COUNT(*) FROM shop.item")[0][0]

    def status(self):
        out = json.loads(self.setup.millrace("lag", "--json").stdout)
        return next((p for p in out["processes"] if p["key"] == "view:shop"), {"state": "", "message": ""})

    def verified(self, *words):
        out = wait_until("verify", lambda: (lambda o: o if o.returncode in (0, 1) else None)(self.setup.millrace("verify", "shop", *words)), 180, every=1)
        assert out.returncode == 0, out.stdout + out.stderr
        return out.stdout

    def begin(self, *words):
        return subprocess.Popen([str(harness.MILLRACE), words[0], "-c", str(self.setup.conf), *words[1:]], cwd=self.setup.folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **self.setup.env})

    def stop(self):
        self.project.stop()
        self.run.stop()


# ---- no room ---------------------------------------------------------------------------------------------------------


class SmallDisk:
    """A file system in memory, and a file that takes the room in it."""

    def __init__(self, path, megabytes):
        self.path, self.ballast = path, path / "ballast"
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "millrace-test", str(path)], check=True)

    def fill(self, leave_mb):
        there = os.statvfs(self.path)
        subprocess.run(["fallocate", "-l", str(there.f_bavail * there.f_frsize - leave_mb * 1024 * 1024), str(self.ballast)], check=True)

    def make_room(self):
        self.ballast.unlink()

    def remove(self):
        subprocess.run(["umount", str(self.path)], check=True)


@pytest.fixture
def small_disk():
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    with folder_for_servers("millrace-small-") as folder:
        disk = SmallDisk(folder / "disk", 600)
        try:
            yield disk
        finally:
            disk.remove()


def test_no_room_on_the_stores_disk(small_disk, make_place, database, make_setup):
    """A replay gives way, the live view waits and says why; no source transaction is half applied; it goes on when there is room.

    InnoDB needs room to take back, too: where it finds none the server ends itself, which nobody here can help. Then the view waits for
    the server, and the replay with it."""
    place = make_place(small=small_disk.path)
    shop = Shop(database, make_setup, place)
    shop.project.start()
    shop.live()
    assert shop.count() == ROWS
    small_disk.fill(2)

    replay = shop.begin("replay", "shop", "--force")
    wait_until("the replay to give way", lambda: replay.poll() is not None or not place.answers(), 180, every=0.5)
    if place.answers():
        said = replay.communicate(timeout=60)[1]
        assert replay.returncode == 6 and "room" in said, said
        wait_until("the version that gave way to go", lambda: place.versions() == ["shop_v1"])
        assert shop.count() == ROWS

    shop.add(ROWS + 1, 3 * ROWS)
    wait_until("the view to wait", lambda: shop.status()["state"] == "retrying", 120, every=0.5)
    if place.answers():
        assert "room" in shop.status()["message"], shop.status()
        assert shop.count() == ROWS
    assert "aaaa" not in shop.project.log()

    small_disk.make_room()
    if not place.answers():
        assert place.name == "mariadb" and "Out of disk space" in place.said(), place.said()
        place.start()
    wait_until("the view to go on", lambda: shop.count() == 3 * ROWS, 120, every=0.5)
    assert shop.project.alive()
    said = replay.communicate(timeout=240)[1]
    assert replay.returncode in (0, 6), said
    shop.verified()
    out = shop.setup.millrace("replay", "shop", "--force", timeout=240)
    assert out.returncode == 0, out.stdout + out.stderr
    assert shop.count() == 3 * ROWS
    shop.stop()


# ---- killed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", [pytest.param("view_rows", marks=pytest.mark.long), "view_position", pytest.param("view_built", marks=pytest.mark.long)])
def test_the_server_is_killed_within_a_build(point, make_place, database, make_setup):
    """Millrace rests with a transaction under way, the server is killed with -9 and comes back: nothing is lost, nothing is there twice."""
    place = make_place()
    shop = Shop(database, make_setup, place)
    shop.setup.wait_delivered(source_position(shop.connection), shop.run)
    slots = with_fault_points(shop.setup, shop.project, point)
    slots.arm(point, 1)
    shop.project.start()
    wait_until(f"the build to rest at {point}", lambda: slots.stopped_at() == point, 180)
    assert place.versions() == ["shop_v1"] and not place.is_live()
    place.kill()
    slots.disarm(point)
    place.start()
    shop.project.process.send_signal(signal.SIGCONT)
    shop.live()
    wait_until("all rows", lambda: shop.count() == ROWS, 120, every=0.3)
    shop.add(ROWS + 1, ROWS + 10)
    wait_until("what comes later", lambda: shop.count() == ROWS + 10, 120, every=0.3)
    shop.verified()
    assert "trying again" in shop.project.log()
    shop.stop()


# ---- certificates ----------------------------------------------------------------------------------------------------


def test_certificates(make_place, database, make_setup):
    """tls = verify: the server that the authority has signed, by the name that it has signed; nobody else."""
    with folder_for_servers() as folder:
        authority, other = Authority(folder, "authority"), Authority(folder, "other")
        place = make_place(certificate=authority.server("localhost"))
        s = place.name
        good = {f"{s}__host": "localhost", f"{s}__tls": "verify", f"{s}__tls_ca": authority.path}
        shop = Shop(database, make_setup, place, **good)

        def with_(**changed):
            shop.setup.settings.update({f"{s}.{k}": str(v) for k, v in changed.items()})
            shop.setup.write()
            return shop.setup.millrace("check", "project")

        for changed in ({"tls_ca": other.path}, {"tls_ca": authority.path, "host": "127.0.0.1"}):
            out = with_(**changed)
            said = out.stdout + out.stderr
            assert out.returncode != 0 and "certificate" in said.lower(), said
            assert "secret" not in said
        assert place.versions() == []
        out = with_(host="localhost")
        assert out.returncode == 0, out.stdout + out.stderr
        shop.project.start()
        shop.live()
        assert place.encrypted()
        shop.verified()
        shop.stop()


def test_a_server_without_tls_is_refused(make_place, database, make_setup):
    with folder_for_servers() as folder:
        place = make_place()
        shop = Shop(database, make_setup, place, **{f"{place.name}__host": "localhost", f"{place.name}__tls": "verify",
                                                    f"{place.name}__tls_ca": Authority(folder, "authority").path})
        for tls in ("verify", "on"):
            shop.setup.settings[f"{place.name}.tls"] = tls
            shop.setup.write()
            out = shop.setup.millrace("check", "project")
            said = out.stdout + out.stderr
            assert out.returncode != 0 and ("SSL" in said or "TLS" in said), (tls, said)
            assert f"{place.name}.tls" in said, (tls, said)
        assert place.versions() == []
        shop.run.stop()
