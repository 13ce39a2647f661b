"""What a benchmark says: lines for people as they come, or objects for programs; and what was required."""
import contextlib
import json
import sys
import threading
import time

from bench_world import BUILD

BAR = 30        # characters


class Progress:
    """One line on a terminal that says what is going on, how far it is, and how long it may take; nothing elsewhere."""

    def __init__(self):
        self.shown, self.what, self.began, self.last = False, "", 0.0, 0.0
        self.terminal = sys.stderr.isatty()

    def at(self, what, done=0, total=0):
        now = time.monotonic()
        if what != self.what:
            self.what, self.began, self.last = what, now, 0.0
        if not self.terminal or now - self.last < 0.2:
            return
        self.last, took = now, now - self.began
        bar = ""
        if total > 0:
            part = min(1.0, done / total)
            left = f", {took / part - took:.0f} s left" if 0.01 < part < 1 and took > 1 else ""
            bar = f"[{'#' * int(BAR * part):<{BAR}}] {part:>4.0%}{left}"
        sys.stderr.write(f"\r\033[K  {what:<34} {took:>4.0f} s {bar}")
        sys.stderr.flush()
        self.shown = True

    @contextlib.contextmanager
    def during(self, what):
        """For what can't be asked how far it is."""
        over = threading.Event()

        def tell():
            while not over.wait(0.5):
                self.at(what)

        self.at(what)
        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def clear(self):
        if self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
        self.shown = False


class Report:
    def __init__(self, objects=False):
        """objects: JSON, an object a line, instead of the table. They are in build/bench-results.jsonl in any case."""
        self.out, self.objects = open(BUILD / "bench-results.jsonl", "w"), objects
        self.failed, self.required, self.progress = [], [], Progress()

    def say(self, text):
        self.progress.clear()
        if not self.objects:
            print(text, flush=True)

    def write(self, **figures):
        line = json.dumps(figures)
        self.out.write(line + "\n")
        self.out.flush()
        if self.objects:
            self.progress.clear()
            print(line, flush=True)

    def add(self, what, text, **figures):
        self.say(f"  {what:<34} {text}")
        self.write(what=what, **figures)

    def require(self, what, value, limit, below=False):
        met = value < limit if below else value >= limit
        self.required.append((what, value, limit, "<" if below else ">=", met))

    def fail(self, step, why):
        self.say(f"  {step:<34} NOT MEASURED: {why}")
        self.write(what=step, failed=str(why))
        self.failed.append(step)

    def close(self):
        self.say("\nRequired")
        for what, value, limit, sign, met in self.required:
            digits = 2 if limit < 10 else 0
            self.say(f"  {what:<38} {value:>11,.{digits}f} {sign} {limit:>9,}   {'met' if met else 'not met'}")
            self.write(what=what, value=value, limit=limit, sign=sign, met=met)
        for step in self.failed:
            self.say(f"  {step}: not measured")
        self.out.close()
