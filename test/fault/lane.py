"""Lanes: runs side by side, each lane a process of its own with servers of its own, so that no fault of one meets a neighbour.

The batch hands a lane one job after the other as a line of JSON, {"seed", "database", "program", "keep", "keep_all"}, and gets one line back
for each. A lane whose standard input ends stops its servers and ends.
"""
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import harness
from run import Run, Site


def report(run, seed, kept, took):
    """What is said of a run: one line when it is green."""
    steps = [b[1] - a[1] for a, b in zip(run.marks, [*run.marks[1:], ("", run.begun + took)])]
    phases = f"{took:.1f} s ({' '.join(f'{m[0]} {s:.1f}' for m, s in zip(run.marks, steps))})"
    if run.problems:
        return [f"run {seed} on {run.servers.database} FAILED after {phases}, kept in {kept}; again: make faults SEED={seed} RUNS=1",
                *[f"      {line}" for line in run.notes], *[f"   {line[:1500]}" for line in run.problems.lines()]]
    return [f"run {seed}{'' if run.site.source == 'mariadb' else ' on ' + run.servers.database}: {phases}, {len(run.saw.transactions)} transactions, {run.judge.records} records, " +
            ", ".join(f"{f} in {w}" for w, f in run.struck) + (f"; missed {', '.join(run.missed)}" if run.missed else "")]


def one(site, folder, on, seed, keep, keep_all=False):
    """The figures of one run, as they go to the batch."""
    folder, kept = folder / f"run-{seed}", keep / f"run-{seed}"
    folder.mkdir()
    shutil.rmtree(kept, ignore_errors=True)
    run = Run(site, seed, folder, on)
    try:
        run.carry_out()
    except SystemExit:
        run.end()
        raise
    except Exception:
        run.problems.add("wrong", "the run broke off: " + traceback.format_exc())
    took = time.monotonic() - run.begun
    out = {"seed": seed, "database": site.servers.database, "red": bool(run.problems), "found": run.problems.counts(), "seconds": took, "struck": run.struck, "missed": run.missed,
           "lines": [], "figures": [0, 0, 0]}
    if hasattr(run, "saw"):
        out["figures"] = [len(run.saw.transactions), sum(len(t.changes) for t in run.saw.transactions), run.judge.records]
    (folder / "notes").write_text("\n".join(run.notes) + "\n")
    if run.problems or keep_all:
        (folder / "problems").write_text("\n".join(run.problems.lines()) + "\n")
        if hasattr(run, "judge") and hasattr(run.judge, "topics"):
            run.judge.dump(folder / "topics")
    try:
        run.end()
    except Exception:
        out["lines"].append(f"cleaning up after run {seed}: {traceback.format_exc()}")
    if run.problems or keep_all:
        keep.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, kept, symlinks=True)
    out["lines"] += report(run, seed, kept, took)
    shutil.rmtree(folder, ignore_errors=True)
    return out


def serve(on, lane):
    """The lane's own process."""
    for number in (signal.SIGINT, signal.SIGTERM):      # also where a shell left them ignored; the servers are stopped once
        signal.signal(number, end_once)
    with tempfile.TemporaryDirectory(prefix="millrace-faults-") as folder:
        os.chmod(folder, 0o755)
        site = None
        try:
            for line in sys.stdin:
                job = json.loads(line)
                site = site or Site(Path(folder), lane)
                site.use(job["database"])
                harness.MILLRACE = Path(job["program"])
                print(json.dumps(one(site, Path(folder), on, job["seed"], Path(job["keep"]), job["keep_all"])), flush=True)
        finally:
            if site:
                site.stop()


def end_once(*_):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(130)


class Lanes:
    """Started and ended by the batch."""

    def __init__(self, count, words, script=Path(__file__).parent / "faults.py"):
        self.lanes = [subprocess.Popen([sys.executable, str(script), "--lane", str(n), *words], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, start_new_session=True) for n in range(count)]

    def work(self, jobs, done):
        """jobs(): the next job, or None; done(job, result) for each, in the order in which they end."""
        waiting, busy = selectors.DefaultSelector(), {}

        def give(lane):
            job = jobs()
            if job is None:
                lane.stdin.close()      # its servers are not needed any more
                return
            busy[lane] = job
            lane.stdin.write(json.dumps(job) + "\n")
            lane.stdin.flush()
            waiting.register(lane.stdout, selectors.EVENT_READ, lane)

        for lane in self.lanes:
            give(lane)
        while busy:
            for ready, _ in waiting.select():
                lane = ready.data
                line = lane.stdout.readline()
                assert line, f"a lane ended by itself, at {busy[lane]}"
                waiting.unregister(lane.stdout)
                done(busy.pop(lane), json.loads(line))
                give(lane)

    def end(self):
        for lane in self.lanes:
            if lane.poll() is None and not lane.stdin.closed:
                lane.terminate()
        for lane in self.lanes:
            lane.wait(300)  # servers have three minutes, and are killed then
