"""The projection daemon under test: started on one address, asked over its API, killed at a point or at any time."""
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

import harness
from harness import wait_until
from process import Slots, free_port

# where it can be made to stop itself (core/base/fault.h), by what it is at
POINTS = {
    "live": ("applied", "view_rows", "view_position", "view_committed"),
    "build": ("view_created", "applied", "view_rows", "view_position", "view_committed", "view_built", "view_finished"),
    "diff": ("view_diffing", "view_ready"),
    "swap": ("view_held", "view_published"),
    "drop": ("view_dropping",),
}
# and those inside of a store
POINTS_IN = {
    "sqlite": {"build": ("view_creating",), "swap": ("view_naming", "view_named"), "drop": ("view_dropped",)},
    "postgresql": {"build": ("view_create", "view_finish"), "swap": ("view_swap", "view_swap_views", "view_swapped"),
                   "drop": ("view_remove", "view_remove_schema", "view_removed")},
    "mariadb": {"build": ("view_creating", "view_index"), "swap": ("view_naming", "view_swap_gate", "view_named"), "drop": ("view_dropped",)},
}
POINTS_IN.update(mysql=POINTS_IN["mariadb"], dynamodb=POINTS_IN["sqlite"])
# a view with order = partition: its members commit elsewhere, and stand at barriers
POINTS_OF_MEMBERS = {"live": ("applied", "share_commit"), "build": ("view_created", "applied", "share_commit", "view_built", "view_finished"),
                     "diff": ("share_stands", *POINTS["diff"]), "swap": ("share_stands", *POINTS["swap"]), "drop": POINTS["drop"]}
WINDOW_OF = {point: window for window, points in POINTS.items() for point in points if window != "build"} | \
            {point: "build" for point in POINTS["build"] if point not in POINTS["live"]} | {"share_commit": "live", "share_stands": "swap"}
WINDOW_OF.update({point: window for windows in POINTS_IN.values() for window, points in windows.items() for point in points})
OVER = ("idle", "done", "failed", "ready")


def points_of(store, window, ordered=True):
    return (*(POINTS if ordered else POINTS_OF_MEMBERS)[window], *POINTS_IN.get(store, {}).get(window, ()))


class Refused(Exception):
    """The daemon's own no; its status and words."""


class Project:
    shaken = 0      # kills and ends of other processes that work on the view

    def __init__(self, history, label="project"):
        self.history, self.label, self.process, self.starts = history, label, None, 0
        self.address = f"127.0.0.1:{free_port(history.site.lane)}"
        self.log_path = history.folder / f"{label}.log"
        self.slots = None

    def lay_points(self):
        """Those of the next start, which may be armed before it."""
        self.starts += 1
        self.slots = Slots(self.history.folder / f"{self.label}{self.starts}.points",
                           sorted({p for window in POINTS for ordered in (True, False) for p in points_of(self.history.store.name, window, ordered)}))

    def start(self):
        self.lay_points()
        self.run()

    def run(self):
        env = {**os.environ, **self.history.setup.env, "MILLRACE_FAULT_FILE": str(self.slots.path)}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(harness.MILLRACE), "project", "-c", str(self.history.setup.conf), f"--http.listen={self.address}"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.history.folder, env=env)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def standing(self):
        """It has stopped itself at a point: its name."""
        point = self.slots.stopped_at()
        if point is None or not self.alive():
            return None
        return point if harness.process_state(self.process.pid) == "T" else None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

    def stop(self):
        """The way an operator does; its exit code."""
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def ask(self, method, path="", body=None):
        """Its answer; None: it doesn't."""
        data = json.dumps(body).encode() if body is not None else b"" if method == "POST" else None
        request = urllib.request.Request(f"http://{self.address}/api/views/{self.history.view}{path}", method=method, data=data,
                                         headers={"X-Millrace": "1", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as no:
            raise Refused(f"{method} {path}: {no.code} {no.read().decode(errors='replace')}") from no
        except OSError:
            return None

    def others(self, _):
        """How many more processes are to come and go."""

    def state(self):
        try:
            return self.ask("GET")
        except Refused:
            return None     # it has just started

    def settled(self, timeout=240):
        """Its state when no job runs any more. A strike that is still to come meanwhile happens."""
        begun = time.monotonic()

        def over():
            self.history.strike_now()
            self.history.slow_down(begun)
            if not self.alive() and self.process.returncode == 3 and "belongs to process" in self.tail():
                self.start()    # a verb that found no daemon, just when it was killed, does the work itself
                return None
            assert self.alive(), f"the daemon has ended ({self.process.returncode}): {self.tail()}"
            state = self.state()
            return state if state and state["job"]["phase"] in OVER else None

        try:
            return wait_until(f"the end of a job, in {self.address}", over, timeout, 0.02)
        finally:
            self.history.model.drag = 1

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self, lines=5):
        return "\n".join([line for line in self.log().splitlines() if "level=debug" not in line][-lines:])


class Strike:
    """One kill -9 that is to come: at a point, or so many seconds from now."""

    def __init__(self, project, window, point, times, seconds):
        self.project, self.window, self.point, self.seconds = project, window, point, seconds
        self.begun, self.done = time.monotonic(), False
        if point:
            project.slots.arm(point, times)

    def due(self):
        if self.done:
            return False
        if self.point:
            return self.project.standing() is not None
        return time.monotonic() - self.begun >= self.seconds

    def cancel(self):
        if self.point and not self.done:
            self.project.slots.disarm(self.point)
