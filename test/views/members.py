"""order = partition: several processes work on one view. One of them is struck as any daemon (daemon.py); others come, go and are killed
all the time. Whoever leads is asked."""
import contextlib
import random
import signal
import threading

from daemon import Project, Refused

NOT_ME = "is led by process"


class Members(Project):
    def __init__(self, history):
        super().__init__(history)
        self.random = random.Random(history.random.random())
        self.lock, self.more, self.made, self.wanted, self.shaken = threading.Lock(), [], 0, 0, 0
        self.ended, self.thread, self.failure = threading.Event(), None, None

    # ---- coming and going

    def others(self, most):
        self.wanted = most
        if self.thread is None:
            self.thread = threading.Thread(target=self.churn, daemon=True)
            self.thread.start()

    def churn(self):
        try:
            while not self.ended.wait(self.random.uniform(1, 8)):
                self.once()
        except Exception as failure:
            self.history.wrong(f"the other processes: {failure}")

    def once(self):
        with self.lock:
            there = list(self.more)
        if len(there) < self.wanted and (not there or self.random.random() < 0.6):
            self.made += 1
            one = Project(self.history, f"member{self.made}-")
            one.start()
            with self.lock:
                self.more.append(one)
            self.history.note(f"{one.label} begins")
        elif there and (len(there) > self.wanted or self.random.random() < 0.5):
            self.end_one(self.random.choice(there))

    def end_one(self, one):
        if not one.alive():
            self.history.wrong(f"{one.label} has ended by itself ({one.process.returncode}): {one.tail()}")
        kill = self.random.random() < 0.6
        self.history.note(f"{one.label} is {'killed' if kill else 'stopped'}")
        with self.lock:
            self.more.remove(one)
        self.shaken += 1
        if kill:
            one.kill()
        else:
            code = one.stop()
            young = code == -signal.SIGTERM and not one.log()       # it had not come to say what is to be done then
            self.history.check(code == 0 or young, f"SIGTERM ended {one.label} with {code}: {one.tail()}")
        if kill:
            self.history.kills.append("member: any time")

    def rest(self):
        """None comes or goes any more."""
        self.ended.set()
        if self.thread is not None:
            self.thread.join(180)

    def end(self):
        self.rest()
        for one in self.more:
            with contextlib.suppress(Exception):
                one.kill()

    # ---- asking whoever leads

    def all(self):
        with self.lock:
            return [p for p in (self, *self.more) if p.alive()]

    def ask(self, method, path="", body=None):
        refused = None
        for p in self.all():
            try:
                answer = Project.ask(p, method, path, body)
            except Refused as no:
                if NOT_ME not in str(no):
                    raise
                refused = no
                continue
            if answer is not None and answer.get("leads", True):
                return answer
        if refused is not None and method != "GET":
            raise refused
        return None

    def log(self):
        return "".join(path.read_text(errors="replace") for path in sorted(self.history.folder.glob("*.log")) if path.name.startswith(("project", "member")))

    def tail(self, lines=5):
        mine = super().log()
        return "\n".join([line for line in mine.splitlines() if "level=debug" not in line][-lines:])

