"""Every type of every server, the same row seen four ways: by the stream, by the copy, by the server's own text, and by an
independent reader of the Avro bytes. `make types` calls it; docs/TESTING.md says what is compared.
"""
import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "integ"))

import forms                                                    # noqa: E402
from compare import Comparison                                  # noqa: E402
from harness import Servers, Setup, source_position             # noqa: E402
from images import Images                                       # noqa: E402
from record import Topics                                       # noqa: E402
from report import Report                                       # noqa: E402
from server import Server, run, tables_of                       # noqa: E402
from table import Table                                         # noqa: E402


class Kafka(Servers):
    """Brokers only: one for all databases."""

    def __init__(self, folder):                 # pylint: disable=super-init-not-called
        self.folder = str(folder)
        try:
            self.script("start", self.folder, "--kafka", "--quick")
        except BaseException:
            self.stop()
            raise
        self.read_env()


class Run:
    """One server's part."""

    def __init__(self, server, folder, report, seed, options):
        self.server, self.folder, self.report, self.options = server, Path(folder), report, options
        self.seed = seed
        self.random = random.Random(f"{seed} {server.name}")
        self.setup = None

    def differ(self, type_, declaration, text):
        self.report.differ(self.server.name, type_, declaration, text)

    def tables(self):
        """Those that the server made; a type that it refuses is skipped by name."""
        out = []
        for number, kinds in enumerate(tables_of(self.server, self.random, self.options.sampled, self.options.types)):
            table = Table(f"{number:03}", kinds, self.options.values)
            table.create(self.server, "v")
            table.fill(self.server, "v", self.random)
            out.append(table)
        return out

    def capture(self, tables, **settings):
        name = f"t{os.getpid()}x{time.monotonic_ns() % 10**9}"
        self.setup = Setup(self.server.servers, self.folder / "capture", name, tables, kafka__partitions=1,
                           kafka__schemas_topic=f"{name}._schemas", **settings)
        return self.setup.daemon("run").start()

    def delivered(self, daemon):
        plain = self.server.servers.connect()
        try:
            self.setup.wait_delivered(source_position(plain), daemon, timeout=600)
        finally:
            plain.close()

    def carry_out(self):
        begin = time.monotonic()
        run(self.server.writer, "CREATE DATABASE v CHARACTER SET utf8mb4")
        tables = self.tables()
        odd = [Images(self.server, self.random, self.options.values), *forms.forms(self.server, self.random, self.options.values)]
        if self.options.types:
            odd = [form for form in odd if any(t in form.type for t in self.options.types)]
        for form in odd:
            form.prepare()
        filled = time.monotonic()
        daemon = self.capture("v.*" + f", {forms.ODD}.*" * any(isinstance(form, forms.Names) for form in odd))
        try:
            self.setup.reader = Topics(self.setup.reader.bootstrap, self.setup.name)
            self.delivered(daemon)
            copied = time.monotonic()
            for table in tables:
                table.stream(self.server, "v")
            for form in odd:
                form.stream()
            self.delivered(daemon)
            streamed = time.monotonic()
            self.setup.reader.read_all()
            self.compare(tables)
            for form in odd:
                self.report.count(self.server.name, form.check(self.setup.reader, self.differ))
            daemon.stop()
        except BaseException:
            self.setup.kill_all()
            print(f"--- {self.server.name}: {daemon.log_tail()}", flush=True)
            raise
        print(f"{self.server.name}: {len(tables)} tables; {filled - begin:.0f} s to fill, {copied - filled:.0f} to copy, "
              f"{streamed - copied:.0f} to stream, {time.monotonic() - streamed:.0f} to compare", flush=True)

    def compare(self, tables):
        reader = self.server.reader()
        for table in tables:
            one = Comparison(table, self.differ)
            copied = self.setup.reader.rows("v", f"c_{table.name}")
            one.schema(copied)
            one.rows(copied, self.setup.reader.rows("v", f"s_{table.name}"), table.text(reader, "v", "c"), table.text(reader, "v", "s"))
            self.report.count(self.server.name, one.counts)
        reader.close()


def fetched(names):
    """(those that are there, [(name, why not)])"""
    there, without = [], []
    for name in names:
        said = subprocess.run([str(ROOT / "scripts" / "databases"), "without", name], capture_output=True, text=True, check=False)
        if said.returncode == 0:
            there.append(name)
        else:
            without.append((name, said.stdout.strip().partition(": ")[2] or said.stderr.strip()))
    return there, without


def all_names():
    table = (ROOT / "scripts" / "databases.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in table.splitlines() if line and not line.startswith("#")]
    return [row[0] for row in rows if row[1] != "more"]


def arguments(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--values", type=int, default=1000, help="random values of each type")
    parser.add_argument("--database", default="", help="names of scripts/databases.txt, separated by blanks or commas")
    parser.add_argument("--types", type=lambda s: [t for t in s.split(",") if t], default=[], help="only types whose name has one of these in it")
    parser.add_argument("--sampled", action="store_true", help="a few collations, and a part of the large character sets")
    parser.add_argument("--json", help="file for the counts and differences")
    return parser.parse_args(words)


def main(words):
    options = arguments(words)
    names, without = fetched(options.database.replace(",", " ").split() or all_names())
    print(f"seed {options.seed}, {options.values} values of each type on {', '.join(names)}", flush=True)
    report = Report(options.seed)
    with tempfile.TemporaryDirectory(prefix="millrace-types-") as folder:
        os.chmod(folder, 0o755)
        kafka = Kafka(Path(folder) / "kafka")
        try:
            for number, name in enumerate(names):
                one(name, Path(folder) / str(number), kafka.bootstrap, report, options)
        finally:
            kafka.stop()
    for server, type_, number in report.too_few(options.values):
        report.skip(server, type_, f"{number} values only")
    report.table()
    if options.json:
        report.write_json(options.json, without)
    print(report.last_line(without))
    return 1 if report.differences or report.skipped else 5 if without else 0


def one(name, folder, kafka, report, options):
    report.server(name)
    server = None
    try:
        server = Server(name, folder, kafka)
        Run(server, folder, report, options.seed, options).carry_out()
    except Exception as wrong:                  # pylint: disable=broad-except
        traceback.print_exc()
        report.skip(name, "the rest of it", f"{type(wrong).__name__}: {wrong}"[:500])
    finally:
        if server is not None:
            server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
