"""scripts/bench: see there and docs/BENCHMARKS.md."""
import argparse
import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from confluent_kafka import KafkaException, TopicPartition

from bench_report import Report
from bench_stores import StoresBench
from bench_stores_there import STORES
from bench_world import BUILD, DATA, ROOT, STALL_S, STEP_S, Daemon, Failed, Kafka, Servers, bench, cpu_seconds, first_long, free_port, keep_programs, peak_rss_mb

STEPS = ["decode", "wire", "catchup", "snapshot", "replay", "latency", "stores"]
ALONE = ["ceiling"]        # part of another step; runs by itself when named
ROWS_S, CAPTURE_MB, EVENTS_S, WORKER_MB, DECODE_ROWS_S = 250_000, 96, 100_000, 128, 2_000_000     # what is required
SAMPLE = 50_000            # records that the producer's ceiling is measured with, over and over
LATENCY_RATE, LATENCY_S, LATENCY_WARM_S = 500, 20, 3

EVENT = {
    "type": "record", "namespace": "bench", "name": "RowAdded", "doc": "A row of t10 was inserted.",
    "millrace": {"owner": "bench", "topic": "bench.rows", "key": ["id"], "from": "bench.t10", "when": "enters"},
    "fields": [{"name": "id", "type": "long"}, {"name": "n", "type": "int"}] +
              [{"name": name, "type": ["null", "string"], "default": None} for name in ("s1", "s2", "s3")] +
              [{"name": "amount", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}],
                "default": None},
               {"name": "created", "type": ["null", {"type": "long", "logicalType": "local-timestamp-micros"}], "default": None},
               {"name": "updated", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": None},
               {"name": "flag", "type": ["null", "int"], "default": None},
               {"name": "ratio", "type": ["null", "double"], "default": None}],
}
COLUMNS = [field["name"] for field in EVENT["fields"]]
VIEW = {
    "view.conf": "owner = bench\ndoc = every row of t10\nkind = sql\nstore = sqlite\ninputs = bench.rows\nkey.rows = id\n",
    "tables.sql": "CREATE TABLE rows (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, s1 TEXT, s2 TEXT, s3 TEXT, amount TEXT,"
                  " created INTEGER, updated INTEGER, flag INTEGER, ratio REAL);\n",
    "on/RowAdded.sql": f"INSERT INTO rows ({', '.join(COLUMNS)}) VALUES ({', '.join(':' + c for c in COLUMNS)})\n"
                       f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in COLUMNS[1:])};\n",
    "source.sql": "-- table: rows\nSELECT id, n, s1, s2, s3, amount, created, updated, flag, ratio FROM bench.t10;\n",
}


class Bench:
    def __init__(self, rows, rounds, objects=False):
        self.rows, self.rounds = rows, rounds
        self.report = Report(objects)
        self.runs = 0
        self.capture_rss = []      # of every capture
        self.sample_path = DATA / "sample"
        self.work = DATA / "work"
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)

    # ---- servers and content ---------------------------------------------------------------------------------------

    def prepare(self):
        """MariaDB with its binlog as it was prepared; a new Kafka, warmed up."""
        began = time.monotonic()
        folder, stamp = DATA / "source", DATA / "source.stamp"
        inputs = [ROOT / "test/bench/bench_load.c", ROOT / "scripts/lib/mariadb.cnf.in"]
        wanted = hashlib.sha256(b"".join(p.read_bytes() for p in inputs) + str(self.rows).encode()).hexdigest()
        kept = json.loads(stamp.read_text()) if stamp.exists() else {}
        if kept.get("made_of") != wanted:
            Servers.script("remove", str(folder))
            stamp.unlink(missing_ok=True)
        self.source = Servers(folder, "--mariadb", "--mariadb-option=--binlog-annotate-row-events=OFF",
                              "--mariadb-option=--innodb-buffer-pool-size=768M")
        if kept.get("made_of") != wanted:
            self.report.say(f"  preparing {self.rows:,} rows, once")
            self.load("tables")
            start = self.gtid()
            made = self.load("rows", self.rows)
            kept = {"made_of": wanted, "start": start, "end": self.gtid(), "transactions": made["transactions"]}
            stamp.write_text(json.dumps(kept))
        self.kept = kept
        self.prepare_broker()
        self.report.add("prepared", f"in {time.monotonic() - began:.0f} s: {self.rows:,} rows in {kept['transactions']:,} "
                        f"transactions; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", rows=self.rows,
                        cores=os.cpu_count(), load=os.getloadavg()[0], **kept)

    def prepare_broker(self):
        Servers.script("remove", str(DATA / "broker"))
        self.broker = Servers(DATA / "broker", "--kafka", "--kafka-option=log.segment.delete.delay.ms=1000")
        self.kafka = Kafka(self.broker.env["KAFKA_BOOTSTRAP"])
        self.synthetic()
        self.kafka.create("warm-up")
        self.producer("warm-up", "producer", min(self.rows, 300_000))
        self.kafka.delete_all()

    def load(self, *words, timeout=300):
        env = self.source.env
        self.password = DATA / "site.password"
        self.password.touch(mode=0o600)
        self.password.write_text(env["DATABASE_SITE_PASSWORD"])
        return bench("bench_load", env["DATABASE_HOST"], env["DATABASE_PORT"], env["DATABASE_SITE_USER"], self.password, *words, timeout=timeout)

    def gtid(self):
        return self.ask("SELECT @@gtid_binlog_pos")

    def ask(self, question):
        env = self.source.env
        return subprocess.run(["mariadb", "--no-defaults", "-h", env["DATABASE_HOST"], "-P", env["DATABASE_PORT"],
                               "-u", env["DATABASE_SITE_USER"], "-N", "-B", "-e", question], check=True,
                              capture_output=True, text=True,
                              env={**os.environ, "MYSQL_PWD": env["DATABASE_SITE_PASSWORD"]}).stdout.strip()

    def synthetic(self):
        """A sample for the warm-up, until there are real records."""
        if self.sample_path.exists():
            return
        with open(self.sample_path, "wb") as out:
            for _ in range(5000):
                key, value = os.urandom(9), os.urandom(110) + bytes(100)
                out.write(len(key).to_bytes(4, "little") + len(value).to_bytes(4, "little") + key + value)

    def producer(self, topic, mode, count):
        return bench("bench_producer", self.kafka.bootstrap, topic, count, self.sample_path, mode)

    def settings(self, start, **more):
        """Millrace's defaults, but for where things are; each run has a name of its own."""
        self.runs += 1
        env = self.source.env
        return {"millrace.name": f"bench{self.runs}", "source.host": env["DATABASE_HOST"], "source.port": env["DATABASE_PORT"],
                "source.user": env["DATABASE_USER"], "source.password_file": env["DATABASE_PASSWORD_FILE"],
                "source.start": start, "kafka.bootstrap": self.kafka.bootstrap, "capture.tables": "bench.t10",
                "http.listen": f"127.0.0.1:{free_port()}", **{k.replace("__", "."): v for k, v in more.items()}}

    # ---- capture -----------------------------------------------------------------------------------------------------

    def first_record(self, daemon, name):
        """Waits until the row topic holds a record; looks at its end only."""
        c = self.kafka.consumer()
        topic, deadline = f"{name}.bench.t10", time.monotonic() + STALL_S
        try:
            while True:
                try:
                    count = self.kafka.partitions(topic)
                    ends = [c.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(count)]
                    if sum(ends) > 0:
                        return
                except KafkaException:
                    pass    # the topic is being made
                daemon.check()
                if time.monotonic() > deadline:
                    raise Failed(f"no record within {STALL_S} s: {daemon.tail()}")
                time.sleep(0.01)
        finally:
            c.close()

    def until_seq(self, daemon, name, seq, limit=STEP_S):
        """Waits until the commits topic, read_committed, says that everything up to seq is delivered."""
        c = self.kafka.consumer(**{"fetch.wait.max.ms": 100})
        c.assign([TopicPartition(f"{name}.commits", 0, 0)])
        commits, have, moved = 0, 0, time.monotonic()
        try:
            while have < seq:
                m = c.poll(0.5)
                if m is not None and m.error() is None:
                    have, commits, moved = first_long(m.value()), commits + 1, time.monotonic()
                self.report.progress.at("capture", have, seq)
                daemon.check()
                if time.monotonic() - moved > STALL_S or time.monotonic() - daemon.began > limit:
                    raise Failed(f"stands at seq {have} of {seq}: {daemon.tail()}")
            return commits
        finally:
            c.close()

    def capture(self, start, **more):
        """One capture of all rows. Returns its figures, and its name."""
        settings = self.settings(start, **more)
        name = settings["millrace.name"]
        with Daemon("run", self.work / name, settings) as daemon:
            self.first_record(daemon, name)
            first, broker, db = time.monotonic(), cpu_seconds(self.broker.pids["kafka:1"]), cpu_seconds(self.source.pids["mariadb"])
            commits = self.until_seq(daemon, name, self.rows)
            seconds, cpu = time.monotonic() - first, cpu_seconds(daemon.pid)
            broker = cpu_seconds(self.broker.pids["kafka:1"]) - broker
            db = cpu_seconds(self.source.pids["mariadb"]) - db
            rss = peak_rss_mb(daemon.pid)
        self.capture_rss.append(rss)
        return {"rate": self.rows / seconds, "seconds": seconds, "to_first": first - daemon.began, "cpu": cpu,
                "cpu_us": cpu * 1e6 / self.rows, "broker_cpu": broker, "db_cpu": db, "rss_mb": rss, "commits": commits}, name

    def say_capture(self, what, f, extra=""):
        self.report.add(what, f"{f['rate']:>9,.0f} rows/s  {f['seconds']:.2f} s, first after {f['to_first']:.2f} s; CPU "
                        f"{f['cpu']:.2f} s = {f['cpu_us']:.2f} µs/row, broker {f['broker_cpu']:.2f} s, source {f['db_cpu']:.2f} s; "
                        f"{f['commits']} commits; peak {f['rss_mb']:.0f} MB{extra}", **f)

    # ---- the steps -----------------------------------------------------------------------------------------------------

    def decode(self):
        """The binlog file that the rows are in, to Avro; on one core, without sink."""
        path = max(Path(self.source.env["DATABASE_DATADIR"]).glob("binlog.0*"), key=lambda p: p.stat().st_size)
        f = bench("bench_decode", path, "bench.t10", max(self.rounds, 5))
        if f["rows"] < self.rows:
            raise Failed(f"{path.name} holds {f['rows']} rows only")
        self.report.add("decode and encode alone, from a file", f"{f['rate']:>9,.0f} rows/s of CPU time, {f['wall_rate']:,.0f} by the clock; "
                        f"{f['bytes_s'] / 1e6:.0f} MB/s, {f['cpu_us']:.3f} µs/row, {f['to_crc']:.1f} times zlib's CRC32 of the same "
                        f"bytes; peak {f['rss_mb']:.0f} MB", **f)
        self.report.require("decode and encode, rows/s of CPU", f["rate"], DECODE_ROWS_S)

    def wire(self):
        env = self.source.env
        for _ in range(self.rounds):
            f = bench("bench_wire", env["DATABASE_HOST"], env["DATABASE_PORT"], env["DATABASE_USER"],
                      env["DATABASE_PASSWORD_FILE"], self.kept["start"], self.kept["end"])
            f["rate"] = self.rows / f["seconds"]
            self.report.add("binlog over the wire, undecoded", f"{f['rate']:>9,.0f} rows/s  {f['seconds']:.2f} s, "
                            f"{f['bytes'] / f['seconds'] / 1e6:.0f} MB/s, {f['bytes'] / self.rows:.0f} B/row, CPU {f['cpu']:.2f} s", **f)

    def ceilings(self):
        rates = {}
        for mode, what in (("library", "ceiling: librdkafka alone"), ("producer", "ceiling: Millrace's producer")):
            topic = f"ceiling-{mode}"
            self.kafka.create(topic)
            broker = cpu_seconds(self.broker.pids["kafka:1"])
            f = self.producer(topic, mode, self.rows)
            f["broker_cpu"] = cpu_seconds(self.broker.pids["kafka:1"]) - broker
            rates[mode] = f["rate"]
            self.report.add(what, f"{f['rate']:>9,.0f} rec/s   {f['seconds']:.2f} s; CPU {f['cpu']:.2f} s = {f['cpu_us']:.2f} µs/record, "
                            f"broker {f['broker_cpu']:.2f} s; peak {f['rss_mb']:.0f} MB", **f)
        return rates

    def catchup(self):
        mine, library, producer = [], [], []
        for n in range(self.rounds):
            f, name = self.capture(self.kept["start"])
            if n == 0:
                sizes = self.kafka.sample(f"{name}.bench.t10", min(SAMPLE, self.rows), self.sample_path)
                self.report.add("size of a row record", f"key {sizes['key_bytes']} B, value {sizes['value_bytes']} B", **sizes)
            self.say_capture(f"catch-up, round {n + 1}", f)
            self.kafka.delete_all()
            rates = self.ceilings()
            self.kafka.delete_all()
            mine.append(f["rate"])
            library.append(rates["library"])
            producer.append(rates["producer"])
        rate, top, own = (statistics.median(list_) for list_ in (mine, library, producer))
        self.report.add("catch-up, median", f"{rate:>9,.0f} rows/s  {rate / top:.0%} of librdkafka alone, {rate / own:.0%} of Millrace's "
                        "producer", rate=rate, to_library=rate / top, to_producer=rate / own)
        self.report.require("catch-up, rows/s", rate, ROWS_S)

    def snapshot(self):
        self.ask("SELECT SUM(n) FROM bench.t10")    # into the source's memory: its disk is not what is measured
        f, _ = self.capture("snapshot")
        self.say_capture("first copy", f)
        self.kafka.delete_all()

    def latency(self):
        settings = self.settings("now", capture__tables="bench.moment")
        name = settings["millrace.name"]
        topic = f"{name}.bench.moment"
        with Daemon("run", self.work / name, settings) as daemon:
            deadline = time.monotonic() + STALL_S
            while self.kafka.partitions(topic) == 0 or self.kafka.partitions(f"{name}.commits") == 0:
                daemon.check()
                if time.monotonic() > deadline:
                    raise Failed(f"no topic within {STALL_S} s: {daemon.tail()}")
                self.load("moments", 10, 1)
            seconds = LATENCY_S + LATENCY_WARM_S
            c = self.kafka.consumer()
            c.assign([TopicPartition(topic, 0, 0)])
            cpu, made = cpu_seconds(daemon.pid), {}
            writer = threading.Thread(target=lambda: made.update(self.load("moments", LATENCY_RATE, seconds)), daemon=True)
            begin = time.time() + LATENCY_WARM_S
            writer.start()
            waits = self.observe(c, begin, LATENCY_RATE * LATENCY_S, seconds + 10)
            writer.join()
            cpu = cpu_seconds(daemon.pid) - cpu
            c.close()
        if len(waits) < LATENCY_RATE * LATENCY_S * 0.98:
            raise Failed(f"{len(waits)} records came of {LATENCY_RATE * LATENCY_S}: {daemon.tail()}")
        waits.sort()
        f = {f"p{p:g}": waits[min(len(waits) - 1, int(len(waits) * p / 100))] * 1e3 for p in (50, 90, 99, 99.9)}
        f.update(n=len(waits), max=waits[-1] * 1e3, cpu_percent=100 * cpu / seconds, **made)
        self.report.add(f"latency, {LATENCY_RATE} commits/s", f"p50 {f['p50']:.2f} ms, p90 {f['p90']:.2f}, p99 {f['p99']:.2f}, p99.9 "
                        f"{f['p99.9']:.2f}, max {f['max']:.2f}; statement {f['statement_mean_us'] / 1e3:.2f} ms; CPU {f['cpu_percent']:.0f} %", **f)
        self.kafka.delete_all()

    @staticmethod
    def observe(c, begin, wanted, limit_s):
        """Seconds from before the statement to the consumer, of rows stamped after `begin`."""
        waits, end = [], time.monotonic() + limit_s
        while len(waits) < wanted and time.monotonic() < end:
            m = c.poll(0.2)
            if m is None or m.error() is not None or m.value() is None:
                continue
            now, at = time.time(), m.value().find(b"@T")
            stamp = int(m.value()[at + 2:at + 18]) / 1e6
            if stamp >= begin:
                waits.append(now - stamp)
        return waits

    def ceiling(self):
        """The ceilings alone, with the records of the last run, or made-up ones when there was none."""
        self.ceilings()
        self.kafka.delete_all()

    # ---- views ---------------------------------------------------------------------------------------------------------

    def replay(self):
        folder = self.work / "views-run"
        (folder / "events").mkdir(parents=True)
        (folder / "events" / "RowAdded.avsc").write_text(json.dumps(EVENT, indent=2))
        for path, text in VIEW.items():
            target = folder / "views" / "rows" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        f, name = self.capture(self.kept["start"], capture__events=folder / "events", kafka__partitions=4)
        self.say_capture("catch-up, rows and events, 4 parts", f)
        settings = self.settings("now", millrace__name=name, project__views=folder / "views", capture__events=folder / "events",
                                 kafka__partitions=4)
        with Daemon("project", folder, settings) as daemon:
            f = self.build(daemon, folder / "state", self.build_first)
            self.say_build("replay: first build to live", f)
            again = self.build(daemon, folder / "state", self.build_again)
            self.say_build("replay: beside live, diff, swap", again)
            rss = peak_rss_mb(daemon.pid)
        self.report.require("replay, events/s", f["rate"], EVENTS_S)
        self.report.require("worker, peak RSS MB", rss, WORKER_MB, below=True)
        imported = self.sqlite_import(folder / "state" / "rows.db")
        self.report.add("sqlite3 .import of the same rows", f"{imported:>9,.0f} rows/s  replay is {f['rate'] / imported:.0%} of it",
                        rate=imported, ratio=f["rate"] / imported)
        self.kafka.delete_all()

    def build(self, daemon, state, how):
        cpu, broker = cpu_seconds(daemon.pid), cpu_seconds(self.broker.pids["kafka:1"])
        seconds = how(daemon, state)
        connection = sqlite3.connect(f"file:{state / 'rows.db'}?mode=ro", uri=True, timeout=10)
        (count,) = connection.execute("SELECT COUNT(*) FROM rows").fetchone()
        connection.close()
        if count != self.rows:
            raise Failed(f"the view holds {count} rows, not {self.rows}")
        cpu = cpu_seconds(daemon.pid) - cpu
        return {"rate": self.rows / seconds, "seconds": seconds, "cpu": cpu, "cpu_us": cpu * 1e6 / self.rows,
                "broker_cpu": cpu_seconds(self.broker.pids["kafka:1"]) - broker, "rss_mb": peak_rss_mb(daemon.pid)}

    def build_first(self, daemon, state):
        """From the moment the version's file appears until the public name does."""
        version, public = state / "views" / "rows" / "v1.db", state / "rows.db"
        while not version.exists():
            self.wait(daemon)
        began = time.monotonic()
        while not public.exists() or not self.whole(public):
            self.wait(daemon)
        return time.monotonic() - began

    def build_again(self, daemon, state):
        began = time.monotonic()
        out = daemon.verb_run("replay", "rows", "--force")
        if out.returncode != 0:
            raise Failed(f"replay ended with {out.returncode}: {out.stderr.strip()[-500:]}")
        while not self.whole(state / "rows.db"):
            self.wait(daemon)
        return time.monotonic() - began

    def whole(self, database):
        """The last row is there. A view is live from the moment when at most one group commit is missing."""
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute("SELECT 1 FROM rows WHERE id = ?", (self.rows,)).fetchone() is not None

    def wait(self, daemon):
        self.report.progress.at("replay")
        daemon.check()
        if time.monotonic() - daemon.began > STEP_S:
            raise Failed(f"not live after {STEP_S} s: {daemon.tail()}")
        time.sleep(0.02)

    def say_build(self, what, f):
        self.report.add(what, f"{f['rate']:>9,.0f} events/s {f['seconds']:.2f} s; CPU {f['cpu']:.2f} s = {f['cpu_us']:.2f} µs/event, "
                        f"broker {f['broker_cpu']:.2f} s; peak {f['rss_mb']:.0f} MB", **f)

    def sqlite_import(self, database):
        csv, fresh = self.work / "rows.csv", self.work / "import.db"
        with open(csv, "wb") as out:
            subprocess.run(["sqlite3", "-readonly", "-csv", str(database), "SELECT * FROM rows"], stdout=out, check=True)
        subprocess.run(["sqlite3", str(fresh), VIEW["tables.sql"]], check=True)
        began = time.monotonic()
        subprocess.run(["sqlite3", "-csv", str(fresh), f".import {csv} rows"], check=True)
        seconds = time.monotonic() - began
        csv.unlink()
        fresh.unlink()
        return self.rows / seconds

    def stores(self):
        """Each store's replay beside its own bulk load: bench_stores.py."""
        StoresBench(self).run()

    def run(self, steps):
        for step in steps:
            try:
                getattr(self, step)()
            except (Failed, OSError, KafkaException, subprocess.SubprocessError, sqlite3.Error) as why:
                self.report.fail(step, why)
        if self.capture_rss:
            self.report.require("capture, peak RSS MB", max(self.capture_rss), CAPTURE_MB, below=True)

    def close(self):
        for folder in ("source", "broker"):
            if (DATA / folder).exists():
                Servers.script(*(("stop" if folder == "source" else "remove"), str(DATA / folder)))
        self.report.close()


def main():
    parser = argparse.ArgumentParser(prog="bench", description="See docs/BENCHMARKS.md.")
    parser.add_argument("--rows", type=int, default=os.environ.get("ROWS") or 2_000_000, help="SQLite as a store gets five times as many")
    parser.add_argument("--rounds", type=int, default=os.environ.get("ROUNDS") or 3, help="of catch-up and ceilings, and of each store")
    parser.add_argument("--stores", default=os.environ.get("STORES") or "sqlite,postgresql,mariadb", help="some of sqlite,postgresql,mariadb,mysql,dynamodb")
    parser.add_argument("--json", action="store_true", help="objects, one a line, instead of the table")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"{', '.join(STEPS)} (all if none is named), or ceiling: the producer alone")
    options = parser.parse_args()
    for step in options.steps:
        if step not in STEPS + ALONE:
            parser.error(f"there is no step {step}: {' '.join(STEPS + ALONE)}")
    unknown = set(options.stores.split(",")) - {store.name for store in STORES}
    if unknown:
        parser.error(f"there is no store {', '.join(sorted(unknown))}: {', '.join(store.name for store in STORES)}")
    DATA.mkdir(parents=True, exist_ok=True)
    keep_programs()
    began = time.monotonic()
    b = Bench(options.rows, options.rounds, options.json)
    b.stores_wanted = options.stores.split(",")
    try:
        if options.steps == ["stores"]:     # it has a source of its own
            b.prepare_broker()
        else:
            b.prepare()
        b.run(options.steps or STEPS)
    finally:
        b.close()
    b.report.say(f"\n{time.monotonic() - began:.0f} s in all; {BUILD / 'bench-results.jsonl'}")
    return 1 if b.report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
