"""One history: a view that is built, fixed, replayed, swapped and rolled back under traffic and readers, its daemon killed meanwhile."""
import contextlib
import os
import random
import subprocess
import time
import traceback

from confluent_kafka.admin import AdminClient

import harness
import readers
from daemon import WINDOW_OF, Project, Refused, Strike, points_of
from harness import Servers, Setup, run_sql, source_position, wait_until
from kinds import KINDS
from members import Members
from model import COLUMNS, TABLES, Model, Traffic, first_rows, sql_of
from process import free_port
from stores import STORES, closing

MOST_PROBLEMS = 8


class Site:
    """The servers of one lane; histories follow each other on them."""

    def __init__(self, folder, lane):
        self.folder, self.lane, self.stores = folder, lane, {}
        self.servers = Servers(folder / "servers", lasting=True)

    def store(self, name):
        if name not in self.stores:
            self.stores[name] = STORES[name](self)
        return self.stores[name]

    def stop(self):
        for store in self.stores.values():
            store.stop()
        self.servers.stop()


class History:
    def __init__(self, site, seed, folder, store, kind, swaps):
        self.site, self.seed, self.folder, self.swaps_wanted = site, seed, folder, swaps
        self.store = site.store(store)
        self.kind = getattr(self.store, "kind", KINDS[kind])
        # a read is one moment of the source; else only at rest
        self.strict = getattr(self.store, "exact", True) and self.kind.ordered
        self.random = random.Random(f"{seed} {store} {kind}")
        self.db = self.name = f"w{seed}{store[0]}{kind[0]}{random.randrange(1 << 24):x}"
        self.view = f"accounts{self.name[1:]}"
        self.model, self.logic_of, self.problems, self.notes, self.fingerprints = Model(getattr(self.store, "most_changes", 200)), {}, [], [], {}
        self.begun = time.monotonic()
        self.swaps, self.kills, self.strike, self.figures = 0, [], None, {"reads": 0, "opened": 0, "transactions": 0}
        self.traffic = self.readers = self.run = self.project = None
        self.mark = 0

    # ---- telling

    def note(self, text):
        self.notes.append(f"{time.monotonic() - self.begun:7.2f} {text}")

    def wrong(self, text):
        """Threads may call it."""
        self.note(f"WRONG {text}")
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(f"{time.monotonic() - self.begun:.2f} {text}")

    def check(self, condition, text):
        if not condition:
            self.wrong(text)

    # ---- before

    def prepare(self):
        r = self.random
        self.keep = r.choice((3, 5, 3600, 3600))
        self.connection = self.site.servers.connect()
        run_sql(self.connection, f"CREATE DATABASE {self.db} CHARACTER SET utf8mb4", f"USE {self.db}", *TABLES.values())
        first = first_rows(r)
        self.model.commit(0, first)
        with self.connection.cursor() as cursor:
            cursor.execute("BEGIN")
            for change in first:
                cursor.execute(*sql_of(change))
            cursor.execute("COMMIT")
        self.setup = Setup(self.site.servers, self.folder, self.name, ", ".join(f"{self.db}.{t}" for t in TABLES))
        self.setup.settings.update({
            "kafka.partitions": str(r.choice((1, 2, 3, 5))), "kafka.schemas_topic": f"{self.name}._schemas", "project.keep_applied": f"{self.keep}s",
            "capture.commit_interval": r.choice(("25ms", "100ms", "250ms")), "source.server_id": str(20000 + self.seed % 1000000), "log.level": "debug",
            **self.store.settings(self)})
        self.setup.write()
        self.setup.http["run"] = f"127.0.0.1:{free_port(self.site.lane)}"
        self.setup.reader.schemas_topic = f"{self.name}._schemas"
        self.run = self.setup.daemon("run").start()
        self.setup.wait_delivered(source_position(self.connection), self.run, timeout=180)
        self.project = Project(self) if self.kind.ordered else Members(self)
        self.traffic = Traffic(lambda: self.connect(), self.model, random.Random(r.random()), r.choice((1, 2, 3)))

    def connect(self):
        made = self.site.servers.connect()
        run_sql(made, f"USE {self.db}")
        return made

    def define(self, logic=None):
        """The next definition, in the view's folder: its mark."""
        self.mark += 1
        self.logic_of[self.mark] = logic or self.random.choice(self.kind.logics)
        folder, made = self.folder / "views" / self.view, self.folder / f"definition{self.mark}"
        for path, text in self.kind.files(self.name, self.db, self.store, self.logic_of[self.mark], self.mark).items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_text(text)
        folder.parent.mkdir(exist_ok=True)
        if folder.exists():     # processes that begin just now find the one or the other
            folder.rename(self.folder / f"definition{self.mark}.before")
        made.rename(folder)
        return self.mark

    # ---- what there is

    def public_mark(self):
        """The definition that what is live was built with."""
        with closing(self.store.public(self)) as reader:
            mark = readers.judge(self, reader.read())[0]
        return mark or self.mark_by_definition(self.project.settled(), lambda v: v["state"] == "live")

    def mark_of(self, version):
        with closing(self.store.version(self, version)) as reader:
            mark = readers.judge(self, reader.read())[0]
        return mark or self.mark_by_definition(self.project.settled(), lambda v: v["version"] == version)

    def mark_by_definition(self, state, which):
        """Where rows have no marks: by the definition's fingerprint. One that wasn't seen yet is the newest definition's."""
        version = next(v for v in state["versions"] if which(v))
        self.fingerprints.setdefault(version["definition"], self.mark)
        return self.fingerprints[version["definition"]]

    def version_in(self, state, wanted):
        found = [v for v in state["versions"] if v["state"] == wanted]
        return max(found, key=lambda v: (v.get("superseded_us", 0), v["version"]), default=None)

    # ---- strikes

    def aim(self, windows, chance=1.0):
        """A kill to come in one of these windows, sometimes."""
        r = self.random
        self.shaken = self.project.shaken
        if r.random() > chance:
            return
        window = r.choice(windows)
        if r.random() < 0.25:
            self.strike = Strike(self.project, window, None, 0, r.uniform(0, 1.2))
        else:
            point = r.choice(points_of(self.store.name, window, self.kind.ordered))
            times = r.randint(1, 40 if point == "applied" else 4 if point.startswith("view_") and WINDOW_OF[point] == "live" else 1)
            self.strike = Strike(self.project, window, point, times, 0)

    def strike_now(self):
        """Kills and starts again, if it is time for it."""
        s = self.strike
        if s is None or not s.due():
            return
        at = self.project.standing()
        time.sleep(self.random.choice((0, 0, 0.05, 0.3)))      # readers find it standing there
        self.project.kill()
        s.done = True
        self.kills.append(f"{s.window}: {at or 'any time'}")
        self.note(f"killed at {at or 'any time'}, during {s.window}")
        time.sleep(self.random.choice((0, 0.1, 0.5)))
        self.project.start()

    def struck(self):
        """Whether the strike has happened; it doesn't any more."""
        s, self.strike = self.strike, None
        if s is not None:
            s.cancel()
            standing = self.project.standing() if not s.done else None
            if standing is not None:        # it came just when it was called off
                self.strike, s.point = s, standing
                self.strike_now()
                self.strike = None
        return (s is not None and s.done) or self.project.shaken != self.shaken

    # ---- steps

    def verb(self, *words, timeout=600):
        """A command to its end, while what is to strike strikes: (exit code, what it said)."""
        path = self.folder / "verb.out"
        with open(path, "wb") as out:
            process = subprocess.Popen([str(harness.MILLRACE), words[0], "-c", str(self.setup.conf), *words[1:]], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       cwd=self.folder, env=self.environment())
            begun = time.monotonic()
            end = begun + timeout
            try:
                while process.poll() is None:
                    self.strike_now()
                    self.slow_down(begun)
                    assert time.monotonic() < end, f"millrace {' '.join(words)}: not within {timeout} s"
                    time.sleep(0.005)
            finally:
                self.model.drag = 1
                if process.poll() is None:
                    process.kill()
                    process.wait()
        said = path.read_text(errors="replace")
        self.note(f"{' '.join(words)}: exit code {process.returncode}")
        return process.returncode, said

    def slow_down(self, begun):
        """On a machine that does much else the writers may be ahead of a build for ever: they write less, the longer it takes."""
        self.model.drag = 1 + max(0, time.monotonic() - begun - 4) / 4

    def environment(self):
        return {**os.environ, **self.setup.env}

    def first_build(self):
        self.project.lay_points()
        self.aim(("build", "swap"), 0.5)
        self.project.run()
        wait_until("the first version", self.public_is_there, 240, 0.02)
        self.project.settled()
        self.struck()
        self.public_mark()

    def public_is_there(self):
        self.strike_now()
        assert self.project.alive(), f"the daemon has ended: {self.project.tail()}"
        return self.store.live(self) != 0

    def replay(self, no_swap=False, logic=None):
        before = self.public_mark()
        mark = self.define(logic)
        self.aim(("build", "build", "build", "diff", "diff", *(() if no_swap else ("swap", "swap")), "drop"), 0.75)
        for attempt in range(3):
            code, said = self.verb("replay", self.view, *(["--no-swap"] if no_swap else []))
            state = self.project.settled()
            struck = self.struck()
            state = self.project.settled() if struck else state
            now = self.public_mark()
            ready = self.version_in(state, "ready")
            there = ready is not None and self.mark_of(ready["version"]) == mark if no_swap else now == mark
            if there:
                break
            self.check(struck, f"replay to mark {mark} didn't come about, and nothing struck: {said[-800:]}")
            self.check(now == before, f"a replay to mark {mark} that a kill ended has left mark {now} live, not {before}")
            if not struck or attempt == 2:
                raise AssertionError(f"no version of mark {mark}")
        self.check(code == 0 or struck or attempt > 0, f"replay: exit code {code}: {said[-800:]}")
        if no_swap:
            self.check(self.public_mark() == before, f"replay --no-swap has changed what is live: mark {self.public_mark()}, not {before}")
        else:
            self.swapped(before, mark)

    def swapped(self, before, after):
        if before == after:
            return
        self.swaps += 1
        self.note(f"mark {after} is live, was {before}")
        state = self.project.settled()
        live = [v["version"] for v in state["versions"] if v["state"] == "live"]
        self.check(live == [self.store.live(self)] == [state["live"]], f"live are {live} and {state['live']}, but the store has {self.store.live(self)}")
        old = [v for v in state["versions"] if v["state"] == "superseded"]
        young = [v for v in old if time.time() - v["superseded_us"] / 1e6 < self.keep - 1.5]
        self.check(old or self.keep < 3600, f"the version of mark {before} is gone at once: {state['versions']}")
        if young and self.random.random() < 0.3:
            self.check_old(max(young, key=lambda v: v["superseded_us"]), before)

    def check_old(self, version, mark):
        """What was live before is there, applied, and right."""
        self.check(version["applied"], f"version {version['version']}, which was live before, isn't applied any more: {version}")
        try:
            self.check(self.mark_of(version["version"]) == mark, f"version {version['version']} isn't the one of mark {mark}")
        except Exception as failure:
            state = self.project.settled()
            if any(v["version"] == version["version"] for v in state["versions"]) or self.keep >= 3600:     # else its time was over meanwhile
                self.wrong(f"version {version['version']}, superseded: {type(failure).__name__}: {failure}")

    def move(self, what, to):
        """--swap or --rollback; to: the state of the version that it goes to."""
        state = self.project.settled()
        target = self.version_in(state, to)
        if target is None:
            self.check(to == "superseded" and self.keep < 3600, f"nothing is {to}: {state['versions']}")
            return False
        mark, before = self.mark_of_or_none(target), self.public_mark()
        if mark is None:
            return False
        self.aim(("swap",), self.moves_struck)
        struck = False
        for attempt in range(3):
            code, said = self.ask_or_verb(what)
            state = self.project.settled()
            struck = self.struck() or struck
            state = self.project.settled() if struck else state
            now = self.public_mark()
            if now == mark:
                break
            self.check(now == before, f"{what} to mark {mark} leads to mark {now}")
            gone = not any(v["version"] == target["version"] for v in state["versions"])
            if gone and to == "superseded":
                self.check(self.keep < 3600, f"version {target['version']} is gone: {state['versions']}")
                return False
            self.check(struck, f"{what} to mark {mark} didn't come about, and nothing struck: {code} {said[-800:]}")
            if not struck or attempt == 2:
                raise AssertionError(f"{what} to mark {mark}: not possible")
        self.swapped(before, mark)
        return True

    def mark_of_or_none(self, version):
        try:
            return self.mark_of(version["version"])
        except Exception as failure:
            state = self.project.settled()
            if self.keep < 3600 and not any(v["version"] == version["version"] for v in state["versions"]):
                return None     # dropped meanwhile
            self.wrong(f"version {version['version']} ({version['state']}): {type(failure).__name__}: {failure}")
            raise

    def ask_or_verb(self, what):
        if self.random.random() < 0.2:
            return self.verb("replay", self.view, f"--{what}")
        try:
            self.project.ask("POST", f"/{what}")
        except Refused as no:
            return 3, str(no)
        return 0, ""

    def rollback(self):
        return self.move("rollback", "superseded")

    def shadow(self):
        """Both versions stay applied, then the new one goes live."""
        self.replay(no_swap=True)
        if self.random.random() < 0.5:
            self.kill()
        time.sleep(self.random.uniform(0, 0.5))
        ready = self.version_in(self.project.settled(), "ready")
        self.check(ready is not None, "the version that was ready is gone")
        self.move("swap", "ready")

    def kill(self):
        self.aim(("live",))
        end = time.monotonic() + 6
        while self.strike and not self.strike.done and time.monotonic() < end:
            self.strike_now()
            time.sleep(0.01)
        self.struck()
        self.project.settled()

    def restart(self):
        code = self.project.stop()
        self.note(f"stopped: exit code {code}")
        self.check(code == 0, f"SIGTERM ended with {code}: {self.project.tail()}")
        self.project.start()
        self.project.settled()

    def refused(self):
        """Nothing has changed since the version that is live was built."""
        mark = self.public_mark()
        if mark != self.mark:
            return
        code, said = self.verb("replay", self.view)
        self.check(code == 3 and "--force" in said, f"a replay of what hasn't changed: exit code {code}: {said[-500:]}")

    def drop(self):
        """A kill while a version is dropped, where versions are dropped soon."""
        if self.keep >= 3600:
            return
        if self.version_in(self.project.settled(), "superseded") is None:
            self.replay()
        self.aim(("drop",))
        end = time.monotonic() + self.keep + 4
        while not self.strike.done and time.monotonic() < end:
            self.strike_now()
            time.sleep(0.01)
        self.struck()
        self.project.settled()

    def verify_verb(self):
        """Again when the process that it asked has ended meanwhile, as others do all the time."""
        for _ in range(8):
            shaken = self.project.shaken
            code, said = self.verb("verify", self.view)
            if code != 5 or self.project.shaken == shaken:
                break
            self.project.settled()
        return code, said

    def verify(self):
        """Under traffic. A view of another logic may differ; the right one may not."""
        mark = self.public_mark()
        code, said = self.verify_verb()
        right = self.logic_of[mark] == "right"
        self.check(code == 0 or (code == 1 and not right), f"verify of mark {mark}, logic {self.logic_of[mark]}: exit code {code}: {said[-1500:]}")

    def exact(self):
        """At rest, verify counts the rows that differ as we do."""
        self.traffic.rest()
        n = self.await_head()
        mark = self.public_mark()
        have, want = (self.model.content(self.kind, logic, n) for logic in (self.logic_of[mark], "right"))
        differ = sum(have.get(k) != want.get(k) for k in {*have, *want})
        code, said = self.verify_verb()
        self.check(code == (1 if differ else 0), f"verify at rest: exit code {code}, but {differ} rows differ: {said[-1500:]}")
        self.check(f"{differ} difference" in said.replace(",", ""), f"verify doesn't say {differ} differences: {said[-1500:]}")
        self.traffic.go_on()

    # ---- all of it

    def steps(self):
        r = self.random
        replays, shadows = r.randint(1, 3), r.randint(1, 2)
        replays = min(replays, max(1, self.swaps_wanted - shadows - 2))
        rest = max(0, self.swaps_wanted - replays - shadows - 2)
        some = [self.replay] * replays + [self.shadow] * shadows + [self.kill] * 2 + [self.restart, self.refused, self.drop, self.drop, self.verify, self.exact]
        bursts = [r.randint(1, 8) for _ in range(rest)]
        while sum(bursts) > rest:
            bursts.pop()
        some += [lambda n=n: [self.rollback() for _ in range(n)] for n in [*bursts, rest - sum(bursts)]]
        r.shuffle(some)
        return [self.replay, *some]

    def carry_out(self):
        self.prepare()
        self.moves_struck = self.random.uniform(0, min(0.3, 3 / self.swaps_wanted))     # chance of each
        self.define("right" if self.random.random() < 0.3 else None)
        self.traffic.start()
        self.first_build()
        self.project.others(self.random.choice((1, 2, 2)))
        self.readers = readers.Readers(self, self.random.randrange(1 << 30))
        for step in self.steps():
            step()
            if self.problems:
                break
        while not self.problems and self.swaps < self.swaps_wanted - 1:     # some had no version to go back to any more
            if not self.rollback():
                self.replay()
        if not self.problems:
            self.replay(logic="right")
            self.judge()
        self.readers.end()

    def await_content(self, version=None):
        """The traffic rests: until the view (or a version of it) holds what its logic makes of all that was written."""
        n, found = self.model.now(), [0, "nothing was read"]

        def there():
            with closing(self.store.version(self, version) if version else self.store.public(self)) as reader:
                read = reader.read()
            mark, _ = readers.judge(self, read)
            rows = {table: [tuple(row[:-1]) for row in some] for table, some in read.items()}
            found[:] = mark, readers.difference(self, self.logic_of[mark], n, rows)
            return found[1].startswith("0 rows")

        try:
            wait_until("all rows", there, 150)
        except AssertionError:
            raise AssertionError(f"{f'version {version}' if version else 'the view'} doesn't become what the source gives: "
                                 f"mark {found[0]}, logic {self.logic_of.get(found[0])}, {found[1]}") from None
        return n

    def await_head(self):
        if not self.kind.ordered:
            return self.await_content()
        n = self.model.now()

        def there():
            with closing(self.store.public(self)) as reader:
                return self.kind.n(reader.read()) >= n

        wait_until(f"transaction {n} in the view", there, 120)
        return n

    def judge(self):
        """The view and the source, both asked here; then `verify`."""
        self.traffic.rest()
        if not self.kind.ordered:
            self.project.rest()
        n = self.await_head()
        source = {t: [tuple(row) for row in run_sql(self.connection, f"SELECT {', '.join(COLUMNS[t])} FROM {t}")] for t in TABLES}
        source = {t: [tuple(c if isinstance(c, str) else int(c) for c in row) for row in rows] for t, rows in source.items()}
        with self.model.lock:
            mine = {t: sorted(rows.values()) for t, rows in self.model.source.items()}
        self.check(mine == {t: sorted(rows) for t, rows in source.items()}, "the model lost its way: it isn't what the source holds")
        with closing(self.store.public(self)) as reader:
            read = reader.read()
        have = {t: sorted(tuple(row[:-1] if self.kind.marked else row) for row in rows) for t, rows in read.items()}
        want = self.kind.expected(source)
        for table in self.kind.tables:
            self.check(have[table] == want[table], f"{table} isn't what the source gives: {sorted({*have[table]} ^ {*want[table]}, key=str)[:6]}")
        code, said = self.verify_verb()
        self.check(code == 0, f"verify: exit code {code}: {said[-1500:]}")
        self.check_versions(n)
        # a daemon that is started while a verb does the work itself says so and ends (Project.settled)
        errors = [line for line in self.project.log().splitlines() if "level=error" in line and "belongs to process" not in line]
        self.check(not errors, f"the daemon's log has errors: {errors[:3]}")

    def check_versions(self, n):
        """Each that is still applied has followed, and nothing is left of others."""
        state = self.project.settled()
        for version in state["versions"]:
            if version["state"] == "superseded" and self.keep >= 3600:
                self.check_old(version, self.mark_of(version["version"]))
                if not self.kind.ordered:
                    self.await_content(version["version"])

        def clean():
            listed = {v["version"] for v in self.project.settled()["versions"]}
            return self.store.there(self) <= listed

        try:
            wait_until("the end of what was dropped", clean, 10)
        except AssertionError:
            self.wrong(f"left of versions that are gone: {self.store.there(self)}, there are {[v['version'] for v in state['versions']]}")
        self.note(f"{n} transactions at the end")

    def end(self):
        for part in (self.readers, self.traffic):
            if part is not None:
                part.end()
        if self.readers is not None:
            self.figures = {"reads": self.readers.reads(), "opened": self.readers.opened(), "transactions": self.model.now()}
        if isinstance(self.project, Members):
            self.project.end()
        if self.project is not None and self.project.alive():
            self.project.kill()
        if self.run is not None:
            self.run.kill()
        with contextlib.suppress(Exception):
            self.store.end(self)
        run_sql(self.connection, f"DROP DATABASE {self.db}")
        self.connection.close()
        admin = AdminClient({"bootstrap.servers": self.site.servers.bootstrap})
        names = [t for t in admin.list_topics(timeout=30).topics if t.startswith(self.name + ".")]
        for gone in admin.delete_topics(names).values() if names else ():
            gone.result(60)


def carry_out(history):
    """Whatever happens, it is told."""
    try:
        history.carry_out()
    except Exception:
        history.wrong("the history broke off: " + traceback.format_exc()[-3000:])
