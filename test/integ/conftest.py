"""Servers once per session; a setup of its own for each test."""
import itertools
import os
import shutil
import subprocess
import time

import pytest

from harness import ROOT, Setup, run_sql, servers_of

counter = itertools.count(1)

# Files that take over a minute, the longest first: begun last, they would keep one worker busy while the others are done.
LONG = ("test_hostile", "test_copy", "test_store_dynamodb", "test_order", "test_mysql_too", "test_store_mysql", "test_catalog_mode", "test_hostile_brokers",
        "test_config", "test_ddl", "test_views_random", "test_mysql", "test_hostile_cluster", "test_binlog_forms", "test_takeover", "test_verify", "test_memory",
        "test_types", "test_parked", "test_faults", "test_views", "test_reconcile", "test_mysql_newest", "test_store_postgresql", "test_delivery",
        "test_rollback", "test_crash", "test_failover", "test_verify_stores", "test_readme", "test_view_troubles")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: minutes, of what is also tested in small or on another server; make test leaves it to make test-long")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session")
def servers():
    with servers_of(os.environ.get("DATABASE") or "mariadb:10.11") as made:
        yield made


@pytest.fixture
def database(servers):
    """A database of its own: (name, connection)."""
    name = f"db{next(counter)}"
    connection = servers.connect()
    run_sql(connection, f"CREATE DATABASE {name} CHARACTER SET utf8mb4", f"USE {name}")
    yield name, connection
    connection.close()


@pytest.fixture
def make_setup(servers, tmp_path, request):
    made = []

    def make(tables, **settings):
        setup = Setup(servers, tmp_path / f"m{len(made)}", f"t{next(counter)}x{os.getpid()}", tables, **settings)
        made.append(setup)
        return setup

    yield make
    for setup in made:
        setup.kill_all()
        if request.node.stash.get("failed", False):
            for daemon in setup.started:
                print(f"--- {daemon.log_path}\n{daemon.log_tail()}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.stash["failed"] = outcome.get_result().failed


class MeetupSite:
    """The example site in its own database server schema, with its configuration and load generator."""

    def __init__(self, servers, setup, seed):
        self.servers, self.setup, self.seed = servers, setup, seed

    def load(self, *words):
        env = self.servers.env
        return [str(ROOT / "build" / "meetup-load"), "-h", env["DATABASE_HOST"], "-P", env["DATABASE_PORT"], "-u",
                env["DATABASE_SITE_USER"], "-p", str(self.setup.folder / "site.password"), "-s", str(self.seed),
                *[str(w) for w in words]]

    def start_load(self, seconds, rate):
        return subprocess.Popen(self.load("run", seconds, rate), stdout=subprocess.DEVNULL)

    def verify(self, view, *words):
        """None while the view is not ready to be verified, else the finished command."""
        out = self.setup.millrace("verify", view, *words)
        return out if out.returncode in (0, 1) else None


@pytest.fixture
def site(servers, make_setup):
    seed = int(time.time())
    print("seed", seed)
    connection = servers.connect()
    run_sql(connection, "DROP DATABASE IF EXISTS chapstick")
    for statement in (ROOT / "examples" / "meetup" / "tables.sql").read_text().split(";\n"):
        if statement.strip():
            run_sql(connection, statement)
    setup = make_setup("chapstick.member, chapstick.groups_, chapstick.group_member", capture__events="events",
                       kafka__partitions=4)
    (setup.folder / "site.password").write_text(servers.env["DATABASE_SITE_PASSWORD"])
    example = ROOT / "examples" / "meetup"
    for folder in ("events", "views"):
        shutil.copytree(example / folder, setup.folder / folder, dirs_exist_ok=True)
    for path in [*setup.folder.glob("events/*.avsc"), *setup.folder.glob("views/*/view.conf")]:
        path.write_text(path.read_text().replace("meetup.", f"{setup.name}."))  # topics of its own
    made = MeetupSite(servers, setup, seed)
    made.connection = connection
    subprocess.run(made.load("seed", 3000, 200, 9000), check=True, stdout=subprocess.DEVNULL)
    yield made
    connection.close()
