"""kill -9 of each daemon at random moments under load: nothing lost, nothing twice."""
import random
import threading
import time

from fold import check_seq, compare
from harness import run_sql, source_position, wait_until
from test_rows import ALL_TYPES, traffic

TYPES_KEY = ["id", "part"]


class Load(threading.Thread):
    """Writes random traffic until told to stop."""

    def __init__(self, servers, db, seed):
        super().__init__(daemon=True)
        self.connection, self.random, self.stopping, self.failure = servers.connect(database=db), random.Random(seed), False, None
        self.live, self.next_id = set(), [1]

    def run(self):
        try:
            while not self.stopping:
                traffic(self.random, self.connection, "t", 5, self.live, self.next_id)
        except Exception as failure:  # shown by stop()
            self.failure = failure

    def stop(self):
        self.stopping = True
        self.join()
        if self.failure:
            raise self.failure


def test_capture_killed_at_random_moments(servers, database, make_setup):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    run_sql(connection, ALL_TYPES.format("t"))
    setup = make_setup(f"{db}.t", copy__chunk_rows=40)
    run = setup.daemon("run")
    load = Load(servers, db, seed)
    run_sql(load.connection, "SET sql_mode = ''")
    traffic(r, load.connection, "t", 100, load.live, load.next_id)
    load.start()
    for _ in range(8):
        run.start()
        time.sleep(r.uniform(0.2, 2.5))
        run.kill()
    load.stop()
    run.start()
    setup.wait_delivered(source_position(connection), run)
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", TYPES_KEY)
    assert check_seq(setup) > 500
    run.stop()
    run.start()
    run_sql(connection, f"DELETE FROM {db}.t LIMIT 3")
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    compare(setup.reader.records(setup.topic(f"{db}.t")), connection, db, "t", TYPES_KEY)
    check_seq(setup)


def test_source_and_broker_restart_under_the_daemon(servers, database, make_setup):
    db, connection = database
    run_sql(connection, ALL_TYPES.format("t"), "SET sql_mode = ''")
    setup = make_setup(f"{db}.t")
    run = setup.daemon("run").start()
    live, next_id, r = set(), [1], random.Random(7)
    traffic(r, connection, "t", 60, live, next_id)
    servers.script("kill", servers.folder, "mariadb")
    time.sleep(1)
    servers.script("start", servers.folder, "--mariadb", "--kafka")
    again = servers.connect(database=db)
    run_sql(again, "SET sql_mode = ''")
    live = set(run_sql(again, "SELECT id, part FROM t"))
    traffic(r, again, "t", 60, live, next_id)
    servers.script("kill", servers.folder, "kafka")
    traffic(r, again, "t", 60, live, next_id)
    servers.script("start", servers.folder, "--mariadb", "--kafka")
    traffic(r, again, "t", 60, live, next_id)
    setup.wait_delivered(source_position(again), run, timeout=120)
    compare(setup.reader.records(setup.topic(f"{db}.t")), again, db, "t", TYPES_KEY)
    check_seq(setup)
    run.stop()
    again.close()


def test_project_killed_at_random_moments(servers, make_setup, site):
    r = random.Random(site.seed)
    setup = site.setup
    run, project = setup.daemon("run").start(), setup.daemon("project")
    load = site.start_load(seconds=25, rate=400)
    for _ in range(8):
        project.start()
        time.sleep(r.uniform(0.3, 2.5))
        project.kill()
    project.start()
    assert load.wait(60) == 0
    for view in ("group_members", "member_groups"):
        out = wait_until(f"verify of {view}", lambda v=view: site.verify(v), timeout=60, every=1)
        assert out.returncode == 0, out.stdout + out.stderr
    project.stop()
    run.stop()
