"""make faults: randomised histories against real servers while seeded faults strike; judge.py says what came of each.

One run: a database, a capture name and a state folder of its own on servers that the runs of one lane share. The capture and
the projection worker are the build with fault points (core/base/fault.h): a strike is armed at a point, the process stops
itself there, and only then something is killed, stopped, cut or taken over. So each fault meets the window it is meant for.
"""
import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("MILLRACE", str(ROOT / "build" / "faults" / "millrace"))
sys.path[:0] = [str(ROOT / "test" / "integ"), str(Path(__file__).parent)]

import judge  # noqa: E402
import lane  # noqa: E402
import world  # noqa: E402
from harness import MILLRACE  # noqa: E402
from process import WINDOWS  # noqa: E402
from run import FAULTS  # noqa: E402


def say(text):
    print(text, flush=True)


class Batch:
    """The figures of all runs."""

    def __init__(self):
        self.struck = defaultdict(Counter)      # window -> fault -> times
        self.missed, self.found = Counter(), Counter()
        self.failed, self.seconds = [], []
        self.figures = [0, 0, 0]                # transactions, changes, records
        self.databases = Counter()
        self.begun = time.monotonic()

    def add(self, result):
        for window, fault in result["struck"]:
            self.struck[window][fault] += 1
        self.missed.update(result["missed"])
        self.databases[result["database"]] += 1
        self.found.update(result["found"])
        self.seconds.append(result["seconds"])
        self.figures = [a + b for a, b in zip(self.figures, result["figures"])]
        if result["red"]:
            self.failed.append(result["seed"])
        for line in result["lines"]:
            say(line)

    def table(self):
        faults = [f for f in FAULTS if any(self.struck[w][f] for w in WINDOWS)]
        lines = ["%-12s %5s  %s" % ("window", "all", "  ".join(f"{f:>12}" for f in faults))]
        for window in WINDOWS:
            row = self.struck[window]
            lines.append("%-12s %5d  %s" % (window, sum(row.values()), "  ".join(f"{row[f]:>12}" for f in faults)))
        return "\n".join(lines)

    def tell(self, on, lanes):
        """Everything is said; whether all is well is returned."""
        say(self.table())
        if self.missed:
            say("points not reached in time: " + ", ".join(f"{p} {n}" for p, n in self.missed.most_common()))
        ran, took = len(self.seconds), time.monotonic() - self.begun
        say(f"{sum(self.seconds) / max(1, ran):.1f} s a run, {max(self.seconds, default=0):.1f} s the longest; {took:.0f} s for all in {lanes} lanes, "
            f"{took / max(1, ran):.1f} s a run; " + "{} transactions, {} changes, {} records".format(*self.figures))
        never = [w for w in WINDOWS if not sum(self.struck[w].values())] if ran >= 50 else []
        if never:
            say(f"faults: a window that was never struck: {', '.join(never)}")
        if self.failed:
            say("failed: " + " ".join(f"SEED={s}" for s in self.failed))
        off = [name for name, value in on.items() if not value]
        say("on " + ", ".join(f"{d} {n}" for d, n in self.databases.most_common()))
        say(f"faults: {ran} runs, " + ", ".join(f"{self.found[k]} {k}" for k in judge.Problems.KINDS) + (f" (off: {', '.join(off)})" if off else ""))
        return not self.failed and not never


def batch(o, on, lanes, folder):
    program = str(shutil.copy(MILLRACE, folder))      # it may be built anew while this runs
    say(f"faults: seed {o.seed}, {o.runs} runs in {o.lanes} lanes, {MILLRACE}")
    figures, seeds = Batch(), iter(range(o.seed, o.seed + o.runs))

    def job():
        seed = next(seeds, None)
        return seed is not None and {"seed": seed, "database": o.database or world.database_of(seed), "program": program, "keep": str(o.keep), "keep_all": o.keep_all} or None

    lanes.work(job, lambda _, result: figures.add(result))
    return figures.tell(on, o.lanes)


class Proof:
    """Each mistake must turn a run red; the same runs are green without it (make faults)."""

    def __init__(self, o, folder):
        self.o, self.bugs = o, o.prove.split(",")
        self.programs = {bug: str(shutil.copy(ROOT / "build" / f"bug-{bug}" / "millrace", folder / bug)) for bug in self.bugs}
        self.given, self.done, self.counts, self.begun = Counter(), Counter(), {}, {}

    def job(self):
        """The mistake that was tried least, of those not found yet."""
        open_ones = [b for b in self.bugs if b not in self.counts and self.given[b] < self.o.runs]
        if not open_ones:
            return None
        bug = min(open_ones, key=lambda b: self.given[b])
        self.begun.setdefault(bug, time.monotonic())
        self.given[bug] += 1
        return {"seed": self.o.seed + self.given[bug] - 1, "database": "mariadb:10.11", "program": self.programs[bug], "keep": str(ROOT / "build" / f"bug-{bug}" / "kept"),
                "keep_all": False, "bug": bug}

    def result(self, job, result):
        bug = job["bug"]
        self.done[bug] += 1
        if self.o.verbose or result["red"]:
            for line in result["lines"]:
                say(f"{bug}: {line}")
        if bug in self.counts:
            return
        if result["red"]:
            self.counts[bug] = ", ".join(f"{n} {k}" for k, n in result["found"].items() if n)
            say(f"faults-prove: {bug}: found after {self.done[bug]} runs ({self.counts[bug]}), {time.monotonic() - self.begun[bug]:.0f} s")
        elif self.done[bug] == self.o.runs:
            say(f"faults-prove: {bug}: NOT found in {self.o.runs} runs, {time.monotonic() - self.begun[bug]:.0f} s")

    def tell(self):
        say(f"faults-prove: {len(self.bugs)} bugs, {len(self.counts)} found")
        return len(self.counts) == len(self.bugs)


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--seed", type=int, default=int(time.time()) % 1000000)
    words.add_argument("--runs", type=int, default=20)
    words.add_argument("--lanes", type=int, default=(os.cpu_count() or 1) * 3 // 2, help="runs side by side, each lane with servers of its own")
    words.add_argument("--keep", type=Path, default=ROOT / "build" / "faults" / "kept", help="folder for what failed")
    words.add_argument("--keep-all", action="store_true", help="keep what is green too")
    words.add_argument("--prove", default="", help="names of mistakes, each built into build/bug-NAME: runs until each was found")
    words.add_argument("--verbose", action="store_true", help="with --prove: show the green runs too")
    words.add_argument("--off", default="", help="ingredients to leave out")
    words.add_argument("--on", default="", help="ingredients to try that are off by default")
    words.add_argument("--database", help="of all runs, as scripts/databases.txt calls it; else by the seed, one in ten on MySQL")
    words.add_argument("--lane", type=int, help="be this lane: lane.py")
    o = words.parse_args()
    on = dict(world.INGREDIENTS)
    for names, value in ((o.off, False), (o.on, True)):
        for name in filter(None, names.split(",")):
            assert name in on, f"no ingredient is called {name}: {', '.join(on)}"
            on[name] = value
    if o.lane is not None:
        return lane.serve(on, o.lane)
    for number in (signal.SIGINT, signal.SIGTERM):      # also where a shell left them ignored: the servers are stopped
        signal.signal(number, lane.end_once)
    o.lanes = max(1, min(o.lanes, o.runs))
    with tempfile.TemporaryDirectory(prefix="millrace-faults-programs-") as folder:
        lanes = lane.Lanes(o.lanes, ["--off", o.off, "--on", o.on])
        try:
            if o.prove:
                proof = Proof(o, Path(folder))
                lanes.work(proof.job, proof.result)
                return 0 if proof.tell() else 1
            return 0 if batch(o, on, lanes, folder) else 1
        finally:
            lanes.end()


if __name__ == "__main__":
    sys.exit(main())
