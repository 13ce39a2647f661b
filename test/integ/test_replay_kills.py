"""The daemon is killed at named moments of a replay, a rollback, a removal, the end of a build; and several replays at once."""
import json
import os
import random
import signal
import sqlite3
import subprocess
import time

import pytest

from harness import MILLRACE, faults_build, run_sql, source_position, wait_until, with_fault_points
from test_projection import write_view
from test_view_troubles import answer, verified
from test_view_verbs import shown, states
from test_views import live

POINTS = ("view_held", "view_naming", "view_named", "view_published", "view_built", "view_finished", "view_dropping", "view_dropped")


class Slotted:
    """A daemon with fault points, and a view of a table that is always written to."""

    def __init__(self, setup, db, connection):
        self.setup, self.db, self.connection, self.random = setup, db, connection, random.Random(int(time.time()))
        self.folder = write_view(setup, db, columns=["id", "part"], key=("id",))
        tables = self.folder / "tables.sql"
        indexes = "".join(f"CREATE INDEX rows_{i} ON rows (part, id + {i});\n" for i in range(6))
        tables.write_text(tables.read_text() + "-- after build\n" + indexes)
        self.run, self.project = setup.daemon("run").start(), setup.daemon("project")
        self.slots = with_fault_points(setup, self.project)
        free = next(n for n in range(1, 64) if not self.slots.read(n)[0])
        for number, point in enumerate(POINTS, free):
            self.slots.write(number, point)
        self.start()
        wait_until("the first build", self.serves, 120)

    def start(self):
        self.slots.set_armed(0, 0)
        self.project.start()

    def serves(self):
        assert self.project.alive(), self.project.log_tail()
        return live(self.setup, "copy")

    def edit(self, number):
        """Another definition: part gets a mark."""
        for what in ("insert", "update"):
            handler = self.folder / "on" / f"{self.db}.t.{what}.sql"
            handler.write_text(handler.read_text().split("-- mark")[0] + f"-- mark {number}\n")

    def write(self, count=20):
        for _ in range(count):
            run_sql(self.connection, f"REPLACE INTO t VALUES ({self.random.randrange(3000)}, {self.random.randrange(1000)})")

    def ask(self, *words):
        return subprocess.Popen([str(MILLRACE), words[0], "-c", str(self.setup.conf), *words[1:]], cwd=self.setup.folder,
                                env={**os.environ, **self.setup.env, "MILLRACE_FAULT_FILE": ""}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def killed_at(self, point, *words, after=0.0):
        """Asks, and kills the daemon when it has come to the point (or so many seconds behind it); the outcome of who asked."""
        self.slots.arm(point, 1)
        asked = self.ask(*words)
        wait_until(f"the daemon to come to {point}", lambda: self.slots.stopped_at() == point, 120)
        self.slots.disarm(point)
        if after:
            self.project.process.send_signal(signal.SIGCONT)
            time.sleep(after)
        self.project.kill()
        self.write(5)
        self.start()
        wait_until("the view", self.serves, 120)
        out, err = asked.communicate(timeout=120)
        return asked.returncode, out, err

    def equals(self):
        self.setup.wait_delivered(source_position(self.connection), self.run)
        verified(self.setup)

    def stop(self):
        self.project.stop()
        self.run.stop()


@pytest.fixture
def slotted(database, make_setup):
    faults_build()
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t SELECT seq, seq % 1000 FROM seq_1_to_3000")
    made = Slotted(make_setup(f"{db}.t"), db, connection)
    yield made
    made.stop()


def test_a_rollback_is_killed(slotted):
    """Before the store knows of it it is lost, and who asked is told so; behind that it is done. Never is there a third thing."""
    setup = slotted.setup
    slotted.edit(1)
    out = setup.millrace("replay", "copy")
    assert out.returncode == 0 and states(setup) == {1: "superseded", 2: "live"}, out.stdout + out.stderr
    now = 2
    for point, moves in (("view_held", False), ("view_naming", True), ("view_named", True), ("view_published", True)):
        code, out, err = slotted.killed_at(point, "replay", "copy", "--rollback")
        now = 3 - now if moves else now
        assert states(setup) == {now: "live", 3 - now: "superseded"}, (point, states(setup))
        assert answer(setup, "SELECT version, state FROM millrace_view") == (now, "live"), point
        if moves:
            assert code == 0 and f"version {now} of copy is live" in out, (point, code, out, err)
        else:
            assert code == 5 and "was not made live" in err and "Ask again" in err, (point, code, out, err)
        slotted.write()
        slotted.equals()
        again = setup.millrace("replay", "copy", "--rollback")      # it can be asked again at once
        assert again.returncode == 0, (point, again.stdout, again.stderr)
        now = 3 - now
        assert states(setup)[now] == "live"
    slotted.equals()


def test_a_swap_is_killed(slotted):
    """The same of a version that was ready: lost it is ready again, and who asked is told so, too."""
    setup, now = slotted.setup, 1
    for number, (point, moves) in enumerate((("view_held", False), ("view_named", True)), 1):
        slotted.edit(number)
        out = setup.millrace("replay", "copy", "--no-swap")
        assert out.returncode == 0, out.stdout + out.stderr
        ready = max(states(setup))
        code, out, err = slotted.killed_at(point, "replay", "copy", "--swap")
        if moves:
            now = ready
            assert code == 0 and f"version {now} of copy is live" in out, (point, code, out, err)
        else:
            assert code == 5 and "was not made live" in err and "Ask again" in err, (point, code, out, err)
            assert states(setup)[ready] == "ready" and states(setup)[now] == "live", (point, states(setup))
            again = setup.millrace("replay", "copy", "--swap")
            assert again.returncode == 0, (point, again.stdout, again.stderr)
            now = ready
        assert answer(setup, "SELECT version, state FROM millrace_view") == (now, "live"), point
        slotted.equals()


def test_the_end_of_a_build_is_killed(slotted):
    """Between its indexes too: the version that comes out has all of them."""
    setup, r = slotted.setup, slotted.random
    for number, (point, after) in enumerate((("view_built", 0), ("view_built", r.uniform(0.001, 0.03)), ("view_built", r.uniform(0.01, 0.2)),
                                             ("view_finished", 0)), 1):
        slotted.edit(number)
        code, out, err = slotted.killed_at(point, "replay", "copy", after=after)
        assert code == 0, (point, code, out, err)       # taken up where it stood, and who asked has waited for it
        assert states(setup)[number + 1] == "live", (point, states(setup))
        names = {n for (n,) in sqlite3.connect(setup.folder / "state" / "copy.db").execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
        assert names >= {f"rows_{i}" for i in range(6)}, (point, after, names)
    slotted.write()
    slotted.equals()


def test_a_removal_is_killed(slotted):
    """It is gone, or it is there: nothing of a version is left that nobody lists."""
    setup, r = slotted.setup, slotted.random
    for number, (point, after) in enumerate((("view_dropping", 0), ("view_dropped", 0), ("view_dropping", r.uniform(0.001, 0.02))), 2):
        slotted.edit(number)
        out = setup.millrace("replay", "copy", "--no-swap")
        assert out.returncode == 0, out.stdout + out.stderr
        version = max(states(setup))
        slotted.killed_at(point, "view", "drop", "copy", str(version), after=after)
        wait_until("no job", lambda: shown(setup)["job"]["phase"] in ("idle", "ready", "done"), 60)
        files = {f.name for f in (setup.folder / "state" / "views" / "copy").iterdir()}
        if version in states(setup):
            assert f"v{version}.db" in files
            assert setup.millrace("view", "drop", "copy", str(version)).returncode == 0
            files = {f.name for f in (setup.folder / "state" / "views" / "copy").iterdir()}
        assert not {f for f in files if f.startswith(f"v{version}.")}, (point, after, files)
        assert states(setup) == {1: "live"}
    slotted.equals()


def thread_seconds(pid):
    """CPU seconds of each thread of a process."""
    out = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as stat:
                words = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        out[task] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return out


def test_several_at_once(database, make_setup):
    """Three views of one daemon are replayed side by side, one of them nicely, while a fourth is live; each its own way."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t SELECT seq, 1 FROM seq_1_to_150000")
    setup = make_setup(f"{db}.t", project__nice_share=10)
    names = ("copy", "copy2", "copy3", "copy4")
    folders = [write_view(setup, db, name, columns=["id", "part"], key=("id",)) for name in names]
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first builds", lambda: live(setup, *names), 120, every=0.5)
    for folder in folders:
        handler = folder / "on" / f"{db}.t.insert.sql"
        handler.write_text(handler.read_text().replace(":part", ":part + 1"))
    asked = {name: subprocess.Popen([str(MILLRACE), "replay", "-c", str(setup.conf), name, "--json", *words], cwd=setup.folder,
                                    env={**os.environ, **setup.env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
             for name, words in (("copy", []), ("copy2", ["--nice"]), ("copy3", ["--no-swap"]))}
    nice = wait_until("the nice one", lambda: next((v for v in shown(setup, "copy2")["versions"] if v["version"] == 2), None), 60)
    assert nice["share"] == 10
    run_sql(connection, "INSERT INTO t VALUES (200000, 1)")
    wait_until("the live one, meanwhile", lambda: any(
        p["name"] == "copy4" and p["seq"] > 150000 for p in json.loads(setup.millrace("lag", "--json").stdout)["processes"] if p["kind"] == "view"), 60)
    for name, process in asked.items():
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, (name, out, err)
        said = json.loads(out)
        assert said["live"] == (1 if name == "copy3" else 2) and said["diff"]["compare"]["tables"][0]["changed"] >= 150000, (name, said["diff"])
    assert [states(setup, name) for name in names] == [{1: "superseded", 2: "live"}, {1: "superseded", 2: "live"}, {1: "live", 2: "ready"}, {1: "live"}]
    assert project.peak_rss_mb() < 256      # project.memory, and what four views cost besides
    print("peak RSS", project.peak_rss_mb(), "MB")
    project.stop()
    run.stop()


def test_nicely_is_a_share_of_a_core(database, make_setup):
    """Of the daemon's threads the one that builds takes no more than its share, by the kernel's count."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part VARCHAR(60))", "INSERT INTO t SELECT seq, REPEAT('x', 60) FROM seq_1_to_300000")
    setup = make_setup(f"{db}.t", project__nice_share=5)
    write_view(setup, db, columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (300000,), 120)
    setup.wait_delivered(source_position(connection), run)
    before = thread_seconds(project.process.pid)
    asked = subprocess.Popen([str(MILLRACE), "replay", "-c", str(setup.conf), "copy", "--force", "--nice"], cwd=setup.folder,
                             env={**os.environ, **setup.env}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("the build", lambda: any(v["version"] == 2 and v["records"] > 0 for v in shown(setup)["versions"]), 60)
    begun, first = time.monotonic(), thread_seconds(project.process.pid)
    time.sleep(6)
    took, now = time.monotonic() - begun, thread_seconds(project.process.pid)
    state = shown(setup)
    assert state["job"]["phase"] == "building", state["job"]     # 5 % of a core: it takes longer than we looked
    fresh = {t: now[t] - first.get(t, 0) for t in now if t not in before}
    most = max(fresh.values())
    print(f"the busiest new thread: {most:.2f} s in {took:.1f} s; all new ones {sum(fresh.values()):.2f} s")
    assert 0.01 < most < took * 0.05 + 0.25, (most, took)
    asked.terminate()
    asked.wait(30)
    version = next(v for v in shown(setup)["versions"] if v["version"] == 2)
    assert version["state"] == "building"       # the daemon goes on with it
    assert setup.millrace("view", "drop", "copy", "2").returncode == 0
    project.stop()
    run.stop()
