"""Views: replay under live traffic, the diff, swap and rollback, verify; and the big replay."""
import json
import shutil
import sqlite3
import subprocess
import threading
import time

from harness import ROOT, run_sql, source_position, wait_until

FIX = ROOT / "examples" / "meetup" / "fix"


class PublicReader(threading.Thread):
    """Opens the public name again and again, as a service would: never an error, never an empty view."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.stopping, self.reads, self.failure = path, False, 0, None

    def run(self):
        try:
            while not self.stopping:
                connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=5)
                (count,) = connection.execute("SELECT COUNT(*) FROM members").fetchone()
                connection.close()
                assert count > 0, "an empty view"
                self.reads += 1
        except Exception as failure:
            self.failure = failure

    def stop(self):
        self.stopping = True
        self.join()
        if self.failure:
            raise self.failure


def live(setup, *views):
    out = setup.millrace("lag", "--json")
    if out.returncode != 0:
        return False
    states = {p["name"]: p["state"] for p in json.loads(out.stdout)["processes"] if p["kind"] == "view"}
    return all(states.get(v) == "live" for v in views)


def verify(site, view, *words):
    out = wait_until(f"verify {view}", lambda: site.verify(view, *words), every=1)
    return out.returncode, out.stdout


def start(site):
    setup = site.setup
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "group_members", "member_groups"), every=0.5)
    return run, project


def public(setup, view, query):
    connection = sqlite3.connect(f"file:{setup.folder}/state/{view}.db?mode=ro", uri=True, timeout=5)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_fix_replay_swap_and_roll_back_under_traffic(site):
    setup = site.setup
    run, project = start(site)
    load = site.start_load(seconds=40, rate=300)
    reader = PublicReader(setup.folder / "state" / "group_members.db")
    reader.start()
    assert verify(site, "group_members")[0] == 0
    fixed = FIX / "group_members" / "source.sql"
    code, said = verify(site, "group_members", "--source", str(fixed))
    assert code == 1, said

    refused = setup.millrace("replay", "group_members")
    assert refused.returncode == 3 and "--force" in refused.stderr, refused.stderr

    shutil.copytree(FIX / "group_members", setup.folder / "views" / "group_members", dirs_exist_ok=True)
    out = setup.millrace("replay", "group_members", "--json")
    assert out.returncode == 0, out.stdout + out.stderr
    answer = json.loads(out.stdout)
    print("replay", json.dumps(answer)[:2000])
    assert verify(site, "group_members")[0] == 0
    now = public(setup, "group_members", "SELECT version, state FROM millrace_view")
    assert now == [(2, "live")], now

    back = setup.millrace("replay", "group_members", "--rollback")
    assert back.returncode == 0, back.stdout + back.stderr
    assert public(setup, "group_members", "SELECT version, state FROM millrace_view") == [(1, "live")]
    assert verify(site, "group_members", "--source", str(fixed))[0] == 1
    again = setup.millrace("replay", "group_members", "--rollback")
    assert again.returncode == 0, again.stdout + again.stderr
    assert verify(site, "group_members", "--source", str(fixed))[0] == 0

    assert load.wait(90) == 0
    assert verify(site, "member_groups")[0] == 0
    reader.stop()
    print("reads of the public name:", reader.reads)
    project.stop()
    run.stop()


def test_the_difference_is_exactly_the_disabled_members(site):
    setup = site.setup
    run, project = start(site)
    shutil.copytree(FIX / "group_members", setup.folder / "views" / "group_members", dirs_exist_ok=True)
    setup.wait_delivered(source_position(site.connection), run)
    (disabled,) = run_sql(site.connection, "SELECT COUNT(*) FROM chapstick.group_member WHERE status = 'active' AND disabled_at IS NOT NULL")[0]
    out = setup.millrace("replay", "group_members", "--json")
    assert out.returncode == 0, out.stdout + out.stderr
    diff = json.loads(out.stdout)["diff"]
    (table,) = diff["compare"]["tables"]
    totals = [table[k] for k in ("only_left", "only_right", "changed")]
    assert totals == [disabled, 0, 0] and disabled > 0, diff
    project.stop()
    run.stop()


def test_replay_without_a_daemon_and_after_a_kill(site):
    setup = site.setup
    run, project = start(site)
    project.stop()
    shutil.copytree(FIX / "group_members", setup.folder / "views" / "group_members", dirs_exist_ok=True)
    out = setup.millrace("replay", "group_members", "--no-swap")
    assert out.returncode == 0, out.stdout + out.stderr
    assert public(setup, "group_members", "SELECT version FROM millrace_view") == [(1,)]
    project.start()
    wait_until("the views", lambda: live(setup, "group_members"), every=0.5)
    assert verify(site, "group_members")[0] == 0
    run.stop()
    project.stop()


def test_many_events_from_two_topics_of_four_partitions(servers, site):
    """The second view: a published topic and a row topic, four partitions each."""
    setup, c = site.setup, site.connection
    for _ in range(3):  # make bench does it with millions
        subprocess.run(site.load("import", 75000), check=True, stdout=subprocess.DEVNULL)
    run_sql(c, "USE chapstick", "UPDATE groups_ SET about = 'x'")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(c), run, timeout=240)
    run_sql(c, "UPDATE group_member SET disabled_at = NOW() WHERE member_id % 7 = 0 AND disabled_at IS NULL")
    for i in range(40):
        run_sql(c, f"UPDATE groups_ SET name = CONCAT('g', id, 'v{i}')")
    setup.wait_delivered(source_position(c), run, timeout=240)
    topics = [f"{setup.name}.membership", f"{setup.name}.chapstick.groups_"]
    assert [setup.reader.topics()[t] for t in topics] == [4, 4]
    total = sum(int(t["records"]) for commit in setup.commits() for t in commit["partitions"] if t["topic"] in topics)
    begin = time.monotonic()
    project = setup.daemon("project", "member_groups").start()
    wait_until("the view", lambda: live(setup, "member_groups"), timeout=300, every=0.5)
    took = time.monotonic() - begin
    rss = project.peak_rss_mb()
    print(f"{total} events in {took:.1f} s ({total / took:.0f} events/s, start included), peak RSS {rss:.0f} MB")
    assert total >= 600_000
    assert rss < 128
    assert verify(site, "member_groups")[0] == 0
    project.stop()
    run.stop()


def test_a_new_view_of_events_runs_as_it_is(site):
    """Of each topic that the site's events are published to: what is made passes its case, is built, and is what the source says."""
    setup = site.setup
    shutil.rmtree(setup.folder / "views")
    for view, topic in (("joined", "membership"), ("people", "members")):
        out = setup.millrace("view", "new", view, "--topic", f"{setup.name}.{topic}")
        assert out.returncode == 0, out.stderr
        tried = setup.millrace("view", "test", f"views/{view}")
        assert tried.returncode == 0 and "1 passed, 0 failed" in tried.stdout, tried.stdout + tried.stderr
    for words, why in ((("--topic", f"{setup.name}.nothing"), "is published to topic"), (("--topic", f"{setup.name}.members", "--kind", "query"), "kind sql"),
                       (("--topic", f"{setup.name}.members", "--table", "chapstick.member"), "write:")):
        out = setup.millrace("view", "new", "refused", *words)
        assert out.returncode in (2, 3) and why in out.stderr and not (setup.folder / "views" / "refused").exists(), (words, out.stderr)
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "joined", "people"), every=0.5)
    subprocess.run(site.load("run", 4, 100), check=True, stdout=subprocess.DEVNULL)
    setup.wait_delivered(source_position(site.connection), run)
    code, said = verify(site, "joined")
    assert code == 0, said
    assert public(setup, "joined", "SELECT COUNT(*) FROM membership") > [(1000,)]
    # the site changes members, and no event says so: that is told, and found
    assert "-- No event says when these change: name, email, disabled, created_at.\n" in (setup.folder / "views" / "people" / "source.sql").read_text()
    code, said = verify(site, "people", "--json")
    (table,) = json.loads(said)["compare"]["tables"]
    assert code == 1 and table["only_left"] == table["only_right"] == 0 and set(table["changed_columns"]) <= {"name", "disabled", "email"}, table
    project.stop()
    run.stop()
