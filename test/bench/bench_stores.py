"""scripts/bench stores: how fast each store takes a replay, beside its own bulk load of the same rows, and verify. docs/BENCHMARKS.md.

One source is captured once: five times --rows, with an event for each row, and others for the first of them: --rows for most stores,
fewer for a slow one. In each round, and for each store in turn, the view over those events is replayed beside the live one, then the
same rows are loaded by the store's own fastest means into a table like the view's. So both meet the same machine.
"""
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import time
import urllib.request

from bench_stores_there import STORES, Sqlite
from bench_world import DATA, STALL_S, Daemon, Failed, Servers, cpu_seconds, free_port, peak_rss_mb

EVENTS_S, VERIFY_S = 250_000, 500_000     # what is required
LOAD_S = 900        # longest load of the source, capture, or replay

COLUMNS = ["id", "n", "s1", "s2", "s3", "amount", "created", "updated", "flag", "ratio"]


def event(name, topic, where):
    return json.dumps({
        "type": "record", "namespace": "bench", "name": name, "doc": "A row of t10 was inserted.",
        "millrace": {"owner": "bench", "topic": topic, "key": ["id"], "from": "bench.t10", "when": "enters", **({"where": where} if where else {})},
        "fields": [{"name": "id", "type": "long"}, {"name": "n", "type": "int"}] +
                  [{"name": n, "type": ["null", "string"], "default": None} for n in ("s1", "s2", "s3")] +
                  [{"name": "amount", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}], "default": None},
                   {"name": "created", "type": ["null", {"type": "long", "logicalType": "local-timestamp-micros"}], "default": None},
                   {"name": "updated", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": None},
                   {"name": "flag", "type": ["null", "int"], "default": None}, {"name": "ratio", "type": ["null", "double"], "default": None}]}, indent=1)


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Project:
    """The projection daemon with one view, and what its API says."""

    def __init__(self, folder, settings, view, progress):
        self.view, self.address, self.progress, self.what = view, settings["http.listen"], progress, ""
        self.daemon = Daemon("project", folder, settings)
        self.pid = self.daemon.pid

    def state(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/views/{self.view}", timeout=30) as answer:
                return json.load(answer)
        except OSError:
            return None

    def until(self, what, condition, began=None):
        """The state for which condition is true; every is short: phases are told apart by looking."""
        end = time.monotonic() + LOAD_S
        while True:
            self.daemon.check()
            state = self.state()
            if state and state["job"]["phase"] == "failed":
                raise Failed(f"{what}: {state['job'].get('error')}")
            if state and condition(state):
                return state
            if state:
                self.tell(state)
            if time.monotonic() > end:
                raise Failed(f"{what}: not within {LOAD_S} s: {self.daemon.tail()}")
            time.sleep(0.02)

    def tell(self, state):
        job = state["job"]
        at = next((v for v in state["versions"] if v["version"] == job["version"]), {}) if job["phase"] == "building" else {}
        self.progress.at(f"{self.what}: {job['phase']}", at.get("records", 0), at.get("records_total", 0))


class StoresBench:
    def __init__(self, bench):
        self.bench, self.report, self.work, self.rounds = bench, bench.report, bench.work, bench.rounds
        self.there = [make for make in STORES if make.name in bench.stores_wanted]
        self.some = bench.rows
        self.all = 5 * self.some if Sqlite in self.there else self.some
        self.events = {make.name: self.events_of(make) for make in self.there}

    # ---- the events

    def events_of(self, make):
        """Topic, type and number of those that the store's view is over."""
        if make is Sqlite:
            return "bench.rows", "RowAdded", self.all
        if make.most is None:
            return "bench.begun", "RowBegun", self.some
        return f"bench.{make.name}", f"RowFor{make.name.capitalize()}", min(make.most, self.some)

    def source(self):
        """MariaDB with the rows, prepared once; it stays for the next run."""
        folder, stamp = DATA / "stores-source", DATA / "stores-source.stamp"
        kept = json.loads(stamp.read_text()) if stamp.exists() else {}
        if kept.get("rows") != self.all:
            Servers.script("remove", str(folder))
            stamp.unlink(missing_ok=True)
        self.bench.source = source = Servers(folder, "--mariadb", "--mariadb-option=--binlog-annotate-row-events=OFF",
                                             "--mariadb-option=--innodb-buffer-pool-size=2G", "--mariadb-option=--innodb-log-file-size=512M")
        if kept.get("rows") != self.all:
            self.report.say(f"  preparing {self.all:,} rows, once")
            self.bench.load("tables")
            start = self.bench.gtid()
            with self.report.progress.during("load the source"):
                self.bench.load("rows", self.all, timeout=LOAD_S)
            kept = {"rows": self.all, "start": start}
            stamp.write_text(json.dumps(kept))
        self.start = kept["start"]
        return source

    def capture(self):
        folder = self.folder = self.work / "stores"
        (folder / "events").mkdir(parents=True)
        events = sorted(set(self.events.values()))
        for topic, record, count in events:
            (folder / "events" / f"{record}.avsc").write_text(event(record, topic, f"id <= {count}" if count < self.all else None))
        self.settings = self.bench.settings(self.start, capture__events=folder / "events", kafka__partitions=4)
        self.name, began = self.settings["millrace.name"], time.monotonic()
        with Daemon("run", folder / "run", self.settings) as daemon:
            self.bench.first_record(daemon, self.name)
            self.bench.until_seq(daemon, self.name, self.all, limit=LOAD_S)
        seconds = time.monotonic() - began
        self.report.add("captured, for all stores", f"{self.all:,} rows and {sum(count for *_, count in events):,} events in {seconds:.0f} s", seconds=seconds)

    # ---- one store

    def view_folder(self, store):
        topic, record, count = self.events[store.name]
        where = f" WHERE id <= {count}" if count < self.all else ""
        files = {"view.conf": f"owner = bench\ndoc = rows of t10\nkind = sql\nstore = {store.name}\ninputs = {topic}\n{store.conf}",
                 store.tables_file: store.table("rows"), f"on/{record}.{store.suffix}": store.upsert("rows", COLUMNS),
                 "source.sql": f"-- table: rows\nSELECT {', '.join(COLUMNS)} FROM bench.t10{where}\n"}
        folder = self.folder / store.name / "views" / "rows"
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder.parent

    def open(self, store):
        """The live version that replays are made beside of."""
        settings = {**self.settings, "project.views": self.view_folder(store), "project.keep_applied": "0ms", "http.listen": f"127.0.0.1:{free_port()}",
                    **store.settings()}
        project = Project(self.folder / store.name, settings, "rows", self.report.progress)
        project.what = f"{store.name}, first build"
        try:
            project.until("the first build", lambda s: s["live"] != 0 and s["job"]["phase"] == "done" and s["versions"][-1]["commits_behind"] == 0)
        except BaseException:
            with contextlib.suppress(Failed):
                project.daemon.stop()
            raise
        return project

    def replay(self, store, project):
        """Events a second from its begin until the end of the build, indexes and all; what compares and swaps is told beside."""
        cpu, began = cpu_seconds(project.pid), time.monotonic()
        asked = subprocess.Popen(project.daemon.verb_words("replay", "rows", "--force"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, cwd=project.daemon.folder)
        live = project.state()["live"]
        project.until("the replay", lambda s: s["job"]["phase"] in ("building", "finishing") and s["job"]["version"] > live)
        begun = time.monotonic()
        project.until("the end of the build", lambda s: s["job"]["phase"] not in ("building", "finishing"))
        built = time.monotonic()
        state = project.until("the end of the replay", lambda s: s["job"]["phase"] == "done" and s["live"] > live)
        done = time.monotonic()
        if asked.wait(60) != 0:
            raise Failed(f"replay: {asked.stderr.read().decode()[-500:]}")
        diff = state["diff"]["compare"]["tables"][0]
        if store.count() != store.rows or any(diff[k] for k in ("only_left", "only_right", "changed")):
            raise Failed(f"{store.count()} rows in the view, not {store.rows}: {diff}")
        cpu = cpu_seconds(project.pid) - cpu
        return {"rate": store.rows / (built - begun), "seconds": built - begun, "whole": store.rows / (done - began), "compared": store.rows / max(0.001, done - built),
                "cpu_us": cpu * 1e6 / store.rows, "rss_mb": peak_rss_mb(project.pid)}

    def verify(self, store, project):
        """Rows a second, and Millrace's own CPU for each: the verb does the work itself."""
        began, cpu = time.monotonic(), children_cpu()
        out = subprocess.run(project.daemon.verb_words("verify", "rows"), capture_output=True, text=True, cwd=project.daemon.folder, timeout=LOAD_S,
                             stdin=subprocess.DEVNULL)
        seconds = time.monotonic() - began
        if out.returncode != 0:
            self.report.fail(f"{store.name}: verify", f"exit code {out.returncode}: {out.stdout[-300:]} {out.stderr[-300:]}")
            return 0.0, 0.0
        return store.rows / seconds, (children_cpu() - cpu) * 1e6 / store.rows

    def measure(self, store):
        *_, store.rows = self.events[store.name]
        project = self.open(store)
        try:
            store.find(self.folder / store.name / "state")
            csv = self.work / f"{store.name}.csv"
            with self.report.progress.during(f"{store.name}: its rows in a file"):
                store.dump(csv)
            replays, loads, verified = [], [], []
            for n in range(self.rounds):
                project.what = what = f"{store.name}, round {n + 1}"
                f = self.replay(store, project)
                replays.append(f)
                with self.report.progress.during(f"{what}: {store.loads_by}"):
                    loads.append(store.rows / store.bulk_load(csv))
                with self.report.progress.during(f"{what}: verify"):
                    rows, cpu = self.verify(store, project)
                verified.append(rows)
                self.report.add(f"{store.name}, round {n + 1}", f"replay {f['rate']:>9,.0f} events/s ({f['whole']:,.0f} with diff and swap; CPU {f['cpu_us']:.2f} "
                                f"µs/event; peak {f['rss_mb']:.0f} MB), {store.loads_by} {loads[-1]:>9,.0f} rows/s, verify {rows:,.0f} rows/s (CPU {cpu:.2f} µs/row)", **f,
                                bulk_load=loads[-1], verify=rows, verify_cpu_us=cpu, load=os.getloadavg()[0])
        finally:
            project.daemon.stop()
        csv.unlink()
        return replays, loads, verified

    def tell(self, store, replays, loads, verified):
        rate, load, rows = statistics.median(f["rate"] for f in replays), statistics.median(loads), statistics.median(verified)
        self.report.add(f"{store.name}, median of {len(replays)}", f"replay {rate:>9,.0f} events/s, {rate / load:.2f} of {store.loads_by}; verify {rows:,.0f} rows/s",
                        rate=rate, bulk_load=load, ratio=rate / load, verify=rows, rows=store.rows)
        if store.name == "sqlite":
            self.report.require("sqlite: replay, events/s", rate, EVENTS_S)
        if store.ratio:
            self.report.require(f"{store.name}: replay to {store.loads_by}", rate / load, store.ratio)
            self.report.require(f"{store.name}: verify, rows/s", rows, VERIFY_S)

    def run(self):
        source, broker = getattr(self.bench, "source", None), None
        self.source()
        try:
            self.capture()
            for make in self.there:
                store = make(self.work / make.name)
                try:
                    self.tell(store, *self.measure(store))
                except Exception as why:     # the other stores are measured all the same
                    self.report.fail(f"stores: {store.name}", why)
                finally:
                    store.stop()
        finally:
            with contextlib.suppress(Failed):
                Servers.script("stop", str(DATA / "stores-source"))
            shutil.rmtree(self.folder, ignore_errors=True)
            self.bench.source = source
        self.bench.kafka.delete_all()
