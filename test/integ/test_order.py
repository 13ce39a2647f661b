"""order = partition: members of a consumer group apply one view's partitions side by side, into one version.

What must come out is computed here, from the source's own rows and from the records on the topic: `rows` are the table's, and
`times` counts the records of each key, so that one applied twice or never shows."""
import collections
import json
import os
import random
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

import postgresql as pg
from harness import Servers, Setup, run_sql, source_position, wait_until

PARTITIONS = 6


class InPostgresql:
    name = "postgresql"

    def __init__(self, folder):
        self.server = pg.Postgresql(folder)

    def settings(self):
        return self.server.settings()

    def ask(self, sql):
        return self.server.ask(sql)

    def end(self):
        self.server.remove()

    @staticmethod
    def upsert(table, columns, values, changes):
        return f"INSERT INTO {table} VALUES ({values}) ON CONFLICT ({columns}) DO UPDATE SET {changes};\n"

    new = "excluded.{}"


class InMariadb:
    """A server of its own: the source's is refused."""
    name, kind = "mariadb", "mariadb:10.11"

    def __init__(self, folder):
        self.server = Servers(folder / "servers", database=self.kind, kafka=False)
        self.password = folder / "password"
        self.password.write_text("s3cret\n")
        self.password.chmod(0o600)
        self.connection = self.server.connect()
        run_sql(self.connection, "CREATE USER views@'%' IDENTIFIED BY 's3cret'", "GRANT ALL ON *.* TO views@'%'")

    def settings(self):
        env = self.server.env
        return {f"{self.name}__host": env["DATABASE_HOST"], f"{self.name}__port": env["DATABASE_PORT"], f"{self.name}__user": "views",
                f"{self.name}__password_file": str(self.password)}

    def ask(self, sql):
        return run_sql(self.connection, sql.replace('"', "`"))

    def end(self):
        self.connection.close()
        self.server.stop()

    @staticmethod
    def upsert(table, columns, values, changes):
        return f"INSERT INTO {table} VALUES ({values}) ON DUPLICATE KEY UPDATE {changes};\n"

    new = "VALUES({})"


class InMysql(InMariadb):
    name, kind = "mysql", "mysql:8.0"


@pytest.fixture(scope="module", params=[InPostgresql, InMariadb, InMysql], ids=lambda kind: kind.name)
def store(request):
    if request.param is InPostgresql and pg.missing():
        pytest.fail(pg.missing())
    with tempfile.TemporaryDirectory(prefix="millrace-order-") as folder:
        os.chmod(folder, 0o755)
        made = request.param(Path(folder))
        yield made
        made.end()


def write_view(setup, store, table, name, workers=2, wrong=""):
    folder = setup.folder / "views" / name
    (folder / "on").mkdir(parents=True, exist_ok=True)
    (folder / "view.conf").write_text(f"owner = tests\nstore = {store.name}\norder = partition\nworkers = {workers}\n"
                                      f"inputs = {setup.name}.{table}\n")
    (folder / "tables.sql").write_text("CREATE TABLE item (id bigint PRIMARY KEY, n bigint NOT NULL, v varchar(100));\n"
                                       "CREATE TABLE times (id bigint PRIMARY KEY, times bigint NOT NULL);\n"
                                       "-- after build\nCREATE INDEX item_n ON item (n);\n")
    count = store.upsert("times", "id", ":id, 1", "times = times.times + 1")
    put = store.upsert("item", "id", f":id, :n{wrong}, :v", ", ".join(f"{c} = {store.new.format(c)}" for c in "nv"))
    (folder / "on" / f"{table}.insert.sql").write_text(put + count)
    (folder / "on" / f"{table}.update.sql").write_text(put + count)
    (folder / "on" / f"{table}.delete.sql").write_text("DELETE FROM item WHERE id = :id;\n" + count)
    (folder / "on" / f"{table}.truncate.sql").write_text("DELETE FROM item;\n")
    (folder / "source.sql").write_text(f"-- table: item\nSELECT id, n, v FROM {table}\n")
    return name


class Load(threading.Thread):
    """Writes at random until told to stop."""

    def __init__(self, servers, db, seed, keys=400):
        super().__init__(daemon=True)
        self.connection, self.random, self.keys = servers.connect(database=db), random.Random(seed), keys
        self.stopping, self.failure, self.count = False, None, 0

    def run(self):
        try:
            while not self.stopping:
                statements = []
                for _ in range(self.random.randint(1, 8)):
                    key, n = self.random.randrange(self.keys), self.random.randrange(1000)
                    statements.append(self.random.choice((
                        f"REPLACE INTO t VALUES ({key}, {n}, 'value {n}')", f"UPDATE t SET n = n + 1 WHERE id = {key}",
                        f"UPDATE t SET n = n + 1 WHERE id % 50 = {key % 50}", f"DELETE FROM t WHERE id = {key}")))
                run_sql(self.connection, "BEGIN", *statements, "COMMIT")
                self.count += 1
                time.sleep(0.005)
        except Exception as failure:
            self.failure = failure

    def stop(self):
        self.stopping = True
        self.join()
        if self.failure:
            raise self.failure
        self.connection.close()


class World:
    """A table, its capture, and processes that keep up a view of it."""

    def __init__(self, servers, store, make_setup, database, **settings):
        self.servers, self.store = servers, store
        self.db, self.connection = database
        run_sql(self.connection, "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL, v VARCHAR(100))",
                "INSERT INTO t SELECT seq, seq, 'from the beginning' FROM seq_1_to_300")
        self.setup = make_setup(f"{self.db}.t", kafka__partitions=PARTITIONS, **store.settings(), **settings)
        self.table = f"{self.db}.t"
        self.view = write_view(self.setup, store, self.table, f"{self.db}_rows")
        self.run = self.setup.daemon("run").start()
        self.processes = []

    def start(self, count=1):
        for _ in range(count):
            self.setup.http["project"] = f"127.0.0.1:{next(Setup.ports)}"
            self.processes.append(self.setup.daemon("project").start())
        return self.processes[-1]

    def live(self):
        for p in self.processes:
            assert p.alive(), p.log_tail()
        return self.version("live") != 0

    def shares(self):
        schema = self.schema()
        return self.store.ask(f'SELECT part, epoch, seq, who, trouble FROM "{schema}".millrace_share ORDER BY part')

    def version(self, *states):
        """The newest version in one of these states; 0: none."""
        found = 0
        for (schema,) in self.store.ask(f"SELECT table_schema FROM information_schema.tables WHERE table_name = 'millrace_view'"):
            number = schema.removeprefix(f"{self.view}_v")
            if number.isdigit() and (self.store.ask(f'SELECT state FROM "{schema}".millrace_view') or [("",)])[0][0] in states:
                found = max(found, int(number))
        return found

    def schema(self):
        return f"{self.view}_v{self.version('live')}"

    def members(self):
        """Those that say something now."""
        return {who for *_, who, _ in self.shares() if who}

    def expected(self):
        self.setup.wait_delivered(source_position(self.connection), self.run)
        rows = {r[0]: (r[1], r[2]) for r in run_sql(self.connection, "SELECT id, n, v FROM t")}
        times = collections.Counter()
        for *_, value in self.setup.reader.records(self.setup.topic(self.table)):
            if value["op"] != "t":
                times[(value["after"] or value["before"])["id"]] += 1
        return rows, times

    def applied(self, schema=None):
        schema = schema or self.schema()
        rows = {r[0]: (r[1], r[2]) for r in self.store.ask(f'SELECT id, n, v FROM "{schema}".item')}
        return rows, collections.Counter(dict(self.store.ask(f'SELECT id, times FROM "{schema}".times')))

    def check(self, schema=None):
        expected = self.expected()

        def same():
            for p in self.processes:
                assert p.alive() or p in self.gone, p.log_tail()
            return self.applied(schema) == expected

        try:
            wait_until("the view to be the source", same, 120, every=0.3)
        except AssertionError:
            rows, times = self.applied(schema)
            wrong = {k for k in rows.keys() | expected[0].keys() if rows.get(k) != expected[0].get(k)}
            twice = {k: (times[k], expected[1][k]) for k in times.keys() | expected[1].keys() if times[k] != expected[1][k]}
            raise AssertionError(f"{len(wrong)} rows differ, applied/delivered {twice}; {self.shares()}") from None

    gone = ()


@pytest.fixture
def world(servers, store, make_setup, database):
    made = World(servers, store, make_setup, database)
    yield made
    made.connection.ping()


def test_members_share_the_partitions(world):
    world.start(2)
    wait_until("the view", world.live, 120)
    world.check()
    wait_until("all four members", lambda: len(world.members()) == 4, 60, every=0.3)
    load = Load(world.servers, world.db, 1)
    load.start()
    time.sleep(5)
    load.stop()
    world.check()
    out = world.setup.millrace("verify", world.view)
    assert out.returncode == 0, out.stdout + out.stderr
    world.run.stop()


def test_truncate_comes_between_what_was_before_and_after(world):
    world.start(2)
    wait_until("the view", world.live, 120)
    for i in range(12):
        run_sql(world.connection, f"INSERT INTO t SELECT seq, {i}, 'again' FROM seq_1_to_200 ON DUPLICATE KEY UPDATE n = {i}", "TRUNCATE t",
                f"INSERT INTO t SELECT seq, {i}, 'behind it' FROM seq_{i}_to_{50 + i}")
    world.check()


def test_killed_stopped_and_joined_at_random(world):
    chance = random.Random(7)
    world.start(3)
    wait_until("the view", world.live, 120)
    load = Load(world.servers, world.db, 2)
    load.start()
    world.gone = []
    for i in range(6):
        time.sleep(chance.uniform(1, 4))
        victim = chance.choice([p for p in world.processes if p.alive()])
        if i % 3 == 2:
            victim.stop()
        else:
            victim.kill()
        world.gone.append(victim)
        time.sleep(chance.uniform(0, 2))
        world.start()
    load.stop()
    world.check()


def test_a_stopped_member_that_wakes_cannot_write(world):
    """SIGSTOP longer than the group's session: others take its partitions; when it wakes it is fenced, and joins again."""
    world.start(2)
    wait_until("the view", world.live, 120)
    wait_until("all four members", lambda: len(world.members()) == 4, 60, every=0.3)
    load = Load(world.servers, world.db, 3)
    load.start()
    time.sleep(1)
    victim = world.processes[1]
    pid = victim.process.pid
    victim.process.send_signal(signal.SIGSTOP)
    wait_until("others to take all it had", lambda: not any(f"process {pid}," in who for who in world.members()), 90, every=0.3)
    time.sleep(2)
    victim.process.send_signal(signal.SIGCONT)
    wait_until("it to work again", lambda: any(f"process {pid}," in who for who in world.members()), 90, every=0.3)
    load.stop()
    world.check()


def test_replay_swap_and_roll_back_under_traffic(world):
    write_view(world.setup, world.store, world.table, world.view, wrong=" + 1")
    world.start(2)
    wait_until("the view", world.live, 120)
    load = Load(world.servers, world.db, 4)
    load.start()
    write_view(world.setup, world.store, world.table, world.view)
    out = world.setup.millrace("replay", world.view, "--as-of", "2030-01-01 00:00:00")
    assert out.returncode == 3 and "order = partition" in out.stderr, out.stderr
    out = world.setup.millrace("replay", world.view, "--json", timeout=300)
    assert out.returncode == 0, out.stdout + out.stderr
    answer = json.loads(out.stdout)
    diff = {t["table"]: t for t in answer["diff"]["compare"]["tables"]}
    (item, times) = diff["item"], diff["times"]
    assert [item[k] for k in ("only_left", "only_right")] == [0, 0] and item["changed"] == item["right_rows"] > 0, diff
    assert [times[k] for k in ("only_left", "only_right", "changed")] == [0, 0, 0] and times["right_rows"] > 0, diff
    out = world.setup.millrace("verify", world.view)
    assert out.returncode == 0, out.stdout + out.stderr
    out = world.setup.millrace("replay", world.view, "--rollback")
    assert out.returncode == 0, out.stdout + out.stderr
    assert world.setup.millrace("verify", world.view).returncode == 1
    out = world.setup.millrace("replay", world.view, "--rollback")
    assert out.returncode == 0, out.stdout + out.stderr
    load.stop()
    world.check()


def test_the_leader_is_killed_while_it_builds(world):
    load = Load(world.servers, world.db, 5)
    load.start()
    leader = world.start()
    wait_until("a build", lambda: world.version("building", "live"), 120, every=0.05)
    world.start(2)
    world.gone = [leader]
    leader.kill()
    wait_until("the view", lambda: world.version("live"), 120, every=0.3)
    load.stop()
    world.check()


def test_deadlocks_between_members_are_tried_again(world):
    """Sums over rows of all partitions: members lock each other's rows, in every order. What comes out is right all the same, and
    the Kafka clients are not opened anew for it."""
    db, setup, store = world.db, world.setup, world.store
    run_sql(world.connection, "CREATE TABLE u (id BIGINT PRIMARY KEY, b BIGINT NOT NULL, n BIGINT NOT NULL)")
    name = f"{db}_sums"
    folder = setup.folder / "views" / name
    (folder / "on").mkdir(parents=True)
    (folder / "view.conf").write_text(f"owner = tests\nstore = {store.name}\norder = partition\nworkers = 3\ninputs = {setup.name}.{db}.u\n")
    (folder / "tables.sql").write_text("CREATE TABLE sums (b bigint PRIMARY KEY, total bigint NOT NULL);\n")
    new = store.new.format("total")
    add = store.upsert("sums", "b", ":b, :n", f"total = sums.total + {new}")
    (folder / "on" / f"{db}.u.insert.sql").write_text(add)
    (folder / "on" / f"{db}.u.update.sql").write_text(add + "UPDATE sums SET total = total - :before_n WHERE b = :b;\n")
    (folder / "source.sql").write_text(f"-- table: sums\nSELECT b, CAST(SUM(n) AS SIGNED) AS total FROM {db}.u GROUP BY b\n")
    setup.settings["capture.tables"] = f"{db}.t, {db}.u"
    setup.write()
    wait_until("it runs", lambda: "starts" in world.run.log(), 60)
    world.run.stop()
    world.run.start()
    run_sql(world.connection, "INSERT INTO u SELECT seq, seq % 7, seq FROM seq_1_to_500")
    world.view = name
    daemon = setup.daemon("project", name).start()
    world.processes.append(daemon)
    wait_until("the view", world.live, 120)
    chance = random.Random(11)
    until = time.monotonic() + 150      # a machine with little else to do seldom lets two of them meet
    while time.monotonic() < until and "from the last commit" not in daemon.log():
        for _ in range(50):
            run_sql(world.connection, "BEGIN", *[f"UPDATE u SET n = n + 1 WHERE id = {chance.randrange(500) + 1}" for _ in range(60)], "COMMIT")
    setup.wait_delivered(source_position(world.connection), world.run)
    expected = {b: int(total) for b, total in run_sql(world.connection, "SELECT b, SUM(n) FROM u GROUP BY b")}
    schema = world.schema()
    wait_until("the sums", lambda: dict(store.ask(f'SELECT b, total FROM "{schema}".sums')) == expected, 120, every=0.3)
    assert daemon.alive() and "from the last commit" in daemon.log(), daemon.log_tail()
    assert "trying again soon" not in daemon.log().split("is live")[-1], daemon.log_tail()


def test_whose_epoch_is_over_commits_nothing(world):
    """The epochs of all shares are raised, as other members would: from then on no member may write rows that its position doesn't
    cover. Each finds out at its next commit, and takes its shares again after a while."""
    world.start()
    wait_until("the view", world.live, 120)
    load = Load(world.servers, world.db, 6)
    load.start()
    time.sleep(1)
    world.store.ask(f'UPDATE "{world.schema()}".millrace_share SET epoch = epoch + 1')
    time.sleep(2)
    load.stop()
    world.gone = list(world.processes)
    world.processes[0].kill()
    world.start()
    world.check()
    assert "another member has taken" in world.processes[0].log(), world.processes[0].log_tail()
