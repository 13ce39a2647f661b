"""make views: random histories of views in every store and of every kind; history.py tells what one is, readers.py what readers may see.

One history: a database, a capture and a view of its own on servers that the histories of one lane share. The daemon under test is the
build with fault points (core/base/fault.h).
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("MILLRACE", str(ROOT / "build" / "faults" / "millrace"))
sys.path[:0] = [str(ROOT / "test" / "integ"), str(ROOT / "test" / "fault"), str(Path(__file__).parent)]

import harness  # noqa: E402
from history import History, Site, carry_out  # noqa: E402
from kinds import KINDS  # noqa: E402
from lane import Lanes, end_once  # noqa: E402
from stores import STORES  # noqa: E402


def say(text):
    print(text, flush=True)


# ---- a lane


def one(site, folder, job):
    """The figures of one history, as they go to the batch."""
    label = f"{job['seed']}-{job['store']}-{job['kind']}"
    kept, folder = Path(job["keep"]) / label, folder / label
    folder.mkdir()
    shutil.rmtree(kept, ignore_errors=True)
    history = History(site, job["seed"], folder, job["store"], job["kind"], job["swaps"])
    try:
        carry_out(history)
    except BaseException:       # told to end: so are its daemons
        with contextlib.suppress(Exception):
            history.end()
        raise
    took, out = time.monotonic() - history.begun, {}
    try:
        history.end()
    except Exception as failure:
        history.wrong(f"cleaning up: {failure}")
    out = {"red": bool(history.problems), "seconds": took, "swaps": history.swaps, "kills": history.kills, **history.figures, "lines": []}
    (folder / "notes").write_text("\n".join(history.notes) + "\n")
    if history.problems:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, kept, symlinks=True, ignore_dangling_symlinks=True)
        again = f"make views SEED={job['seed']} HISTORIES=1 SWAPS={job['swaps']} STORES={job['store']} KINDS={job['kind']}"
        out["lines"] = [f"history {job['seed']}, {job['kind']} in {job['store']}, WRONG after {took:.1f} s, kept in {kept}; again: {again}",
                        *[f"   {p[:2500]}" for p in history.problems]]
    else:
        out["lines"] = [f"history {job['seed']}, {job['kind']} in {job['store']}: {took:.1f} s, {history.swaps} swaps, {len(history.kills)} kills, "
                        f"{out['reads']} reads, {out['transactions']} transactions"]
    shutil.rmtree(folder, ignore_errors=True)
    return out


def serve(lane):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_once)
    with tempfile.TemporaryDirectory(prefix="millrace-views-") as folder:
        os.chmod(folder, 0o755)
        site = None
        try:
            for line in sys.stdin:
                job = json.loads(line)
                site = site or Site(Path(folder), lane)
                harness.MILLRACE = Path(job["program"])
                print(json.dumps(one(site, Path(folder), job)), flush=True)
        finally:
            if site:
                site.stop()


# ---- the batch


class Batch:
    def __init__(self, o, program):
        self.o, self.program = o, program
        self.jobs = iter([(seed, store, kind) for seed in range(o.seed, o.seed + o.histories) for store in o.stores for kind in o.kinds
                          if kind in STORES[store].kinds])
        self.runs, self.failed, self.sums, self.kills, self.each = 0, [], Counter(), Counter(), Counter()
        self.begun = time.monotonic()

    def job(self):
        seed, store, kind = next(self.jobs, (None, None, None))
        return seed and {"seed": seed, "store": store, "kind": kind, "swaps": self.o.swaps_each, "program": self.program, "keep": str(self.o.keep)}

    def result(self, job, result):
        self.runs += 1
        self.each[f"{job['kind']} in {job['store']}"] += 1
        for figure in ("swaps", "reads", "opened", "transactions"):
            self.sums[figure] += result[figure]
        self.kills.update(result["kills"])
        if result["red"]:
            self.failed.append(job)
        for line in result["lines"]:
            say(line)

    def tell(self, skipped):
        windows = Counter()
        for point, times in self.kills.items():
            windows[point.split(":")[0]] += times
        say("killed in " + ", ".join(f"{p} {n}" for p, n in self.kills.most_common()))
        say("windows: " + ", ".join(f"{w} {n}" for w, n in windows.most_common()))
        say(", ".join(f"{what} {n}" for what, n in sorted(self.each.items())) + f"; {time.monotonic() - self.begun:.0f} s in {self.o.lanes} lanes")
        for job in self.failed:
            say(f"wrong: SEED={job['seed']} HISTORIES=1 SWAPS={job['swaps']} STORES={job['store']} KINDS={job['kind']}")
        for what in skipped:
            say(f"skipped: {what}")
        s = self.sums
        say(f"{s['swaps']} swaps, {sum(self.kills.values())} kills, {s['reads']} reads of the public name ({s['opened']} of them on a new connection), "
            f"{s['transactions']} source transactions")
        say(f"views: {self.runs} runs, {len(self.failed)} wrong, {len(skipped)} skipped")
        return self.runs > 0 and not self.failed and not skipped


class Proof:
    """Each mistake must turn a history red within so many, in each store."""

    def __init__(self, o, folder):
        self.o, self.bugs = o, o.prove.split(",")
        self.programs = {bug: str(shutil.copy(ROOT / "build" / f"bug-{bug}" / "millrace", folder / bug)) for bug in self.bugs}
        self.pairs = [(bug, store) for bug in self.bugs for store in o.stores]
        self.given, self.done, self.found, self.begun = Counter(), Counter(), {}, {}

    def job(self):
        left = [p for p in self.pairs if p not in self.found and self.given[p] < self.o.histories]
        if not left:
            return None
        pair = min(left, key=lambda p: self.given[p])
        self.begun.setdefault(pair, time.monotonic())
        self.given[pair] += 1
        bug, store = pair
        return {"seed": self.o.seed + self.given[pair] - 1, "store": store, "kind": self.o.kinds[0], "bug": bug,
                "swaps": self.o.swaps_each, "program": self.programs[bug], "keep": str(ROOT / "build" / f"bug-{bug}" / "kept")}

    def result(self, job, result):
        pair = bug, store = job["bug"], job["store"]
        self.done[pair] += 1
        if pair in self.found:
            return
        took = f"{time.monotonic() - self.begun[pair]:.0f} s"
        if result["red"]:
            self.found[pair] = result["lines"][1].strip() if len(result["lines"]) > 1 else ""
            say(f"views-prove: {bug} in {store}: found after {self.done[pair]} histories, {took}: {self.found[pair][:300]}")
        elif self.done[pair] == self.o.histories:
            say(f"views-prove: {bug} in {store}: NOT found in {self.o.histories} histories, {took}")

    def tell(self):
        say(f"views-prove: {len(self.bugs)} bugs in {len(self.o.stores)} stores, {len(self.found)} of {len(self.pairs)} found")
        return len(self.found) == len(self.pairs)


def words():
    w = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    w.add_argument("--seed", type=int, default=int(time.time()) % 1000000)
    w.add_argument("--histories", type=int, default=20, help="of each kind in each store")
    w.add_argument("--swaps", type=int, default=1000, help="in all; a history has at least 5")
    w.add_argument("--stores", default=",".join(STORES))
    w.add_argument("--kinds", default=",".join(KINDS))
    w.add_argument("--lanes", type=int, default=os.cpu_count() or 1, help="histories side by side, each lane with servers of its own")
    w.add_argument("--keep", type=Path, default=ROOT / "build" / "views" / "kept", help="folder for what was wrong")
    w.add_argument("--prove", default="", help="names of mistakes, each built into build/bug-NAME: until each was found")
    w.add_argument("--lane", type=int, help="be this lane")
    o = w.parse_args()
    if o.lane is None:
        o.stores, o.kinds = (sorted(set(filter(None, x.split(","))), key=list(y).index) for x, y in ((o.stores, STORES), (o.kinds, KINDS)))
        runs = o.histories * sum(kind in STORES[store].kinds for store in o.stores for kind in o.kinds)
        o.swaps_each = max(5, -(-o.swaps // max(1, runs)))
        o.lanes = max(1, min(o.lanes, runs))
    return o


def main():
    o = words()
    if o.lane is not None:
        return serve(o.lane)
    for number in (signal.SIGINT, signal.SIGTERM):      # also where a shell left them ignored: the servers are stopped
        signal.signal(number, end_once)
    with tempfile.TemporaryDirectory(prefix="millrace-views-programs-") as folder:
        missing = {store: STORES[store].missing() for store in o.stores}
        skipped = [f"{store}: {why}" for store, why in missing.items() if why]
        o.stores = [store for store in o.stores if not missing[store]]
        lanes = Lanes(o.lanes, [], Path(__file__))
        try:
            if o.prove:
                proof = Proof(o, Path(folder))
                lanes.work(proof.job, proof.result)
                return 0 if proof.tell() else 1
            program = str(shutil.copy(harness.MILLRACE, folder))     # it may be built anew while this runs
            say(f"views: seed {o.seed}, {o.histories} histories of {', '.join(o.kinds)} in {', '.join(o.stores)}, {o.swaps_each} swaps each, {o.lanes} lanes")
            batch = Batch(o, program)
            lanes.work(batch.job, batch.result)
            return 0 if batch.tell(skipped) else 1
        finally:
            lanes.end()


if __name__ == "__main__":
    sys.exit(main())
