"""order = partition: members of a consumer group apply one view's partitions side by side, into one version."""
import contextlib
import json
import random
import signal
import time
import urllib.request

import psycopg

from harness import run_sql, source_position, wait_until
from order_world import PARTITIONS, Load, store, world, write_view  # noqa: F401


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
    check_shown(world)
    world.run.stop()


def check_shown(world):
    """Who has which partition, and how far it is, wherever people look."""
    topic, members = world.setup.topic(world.table), world.members()
    out = world.setup.millrace("view", "show", world.view)
    assert out.returncode == 0, out.stdout + out.stderr
    rows = [line.split(None, 5) for line in out.stdout.splitlines() if line.split()[:1] == [topic]]
    assert [int(row[1]) for row in rows] == list(range(PARTITIONS)), out.stdout
    in_store = {part: (seq, who) for part, _, seq, who, _ in world.shares()}
    for _, part, offset, seq, _, rest in rows:
        assert int(offset) > 0 and int(seq) <= in_store[int(part)][0] and in_store[int(part)][1] in rest, (out.stdout, in_store)

    def told():
        out = world.setup.millrace("lag")
        lines = [line for line in out.stdout.splitlines() if f": {topic} " in line]
        return out.returncode == 0 and {line.strip().split(": ")[0] for line in lines} == members

    wait_until("all members in `lag`", told, 60, every=0.5)
    with urllib.request.urlopen(f"http://{world.leader().address}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    up = [line for line in text.splitlines() if line.startswith("millrace_view_share_up{")]
    assert len(up) == PARTITIONS and all(line.split()[-1] == "1" and f'topic="{topic}"' in line for line in up), up
    assert text.count("\nmillrace_view_share_seq{") == text.count("\nmillrace_view_share_lag_seconds{") == PARTITIONS


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


def stand_in_the_way(world, schema):
    """Another client holds the second row that a member will want, and then asks for the first, which the member has. The server
    gives up who did less (InnoDB), or who waited first and asks after a second (PostgreSQL): the member, nearly always."""
    with world.store.session() as run:
        run("BEGIN")
        run(f"INSERT INTO other.rows_of_mine VALUES {', '.join(f'({i})' for i in range(3000))}")
        run(f'SELECT total FROM "{schema}".sums WHERE b = 3 FOR UPDATE')
        run_sql(world.connection, "BEGIN", "UPDATE u SET n = n + 1 WHERE b = 0", "UPDATE u SET n = n + 1 WHERE b = 3", "COMMIT")
        wait_until("a member to wait", lambda: world.store.ask(world.store.waits)[0][0] > 0, 60, every=0.2)
        time.sleep(0.2)
        with contextlib.suppress(psycopg.errors.DeadlockDetected):
            run(f'SELECT total FROM "{schema}".sums WHERE b = 0 FOR UPDATE')
        run("ROLLBACK")


def test_a_deadlock_is_tried_again(world):
    """Sums over rows of all partitions: members lock each other's rows. What comes out is right all the same, and the Kafka clients
    are not opened anew for it."""
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
    daemon.address = setup.http["project"]
    world.processes.append(daemon)
    wait_until("the view", world.live, 120)
    schema = world.schema()
    store.ask("CREATE SCHEMA IF NOT EXISTS other")
    store.ask("CREATE TABLE IF NOT EXISTS other.rows_of_mine (i INT PRIMARY KEY)")
    for _ in range(10):
        stand_in_the_way(world, schema)
        if "from the last commit" in daemon.log():
            break
    setup.wait_delivered(source_position(world.connection), world.run)
    expected = {b: int(total) for b, total in run_sql(world.connection, "SELECT b, SUM(n) FROM u GROUP BY b")}
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
