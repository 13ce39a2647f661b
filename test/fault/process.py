"""A process under test, with its log and its file of fault points (core/base/fault.h)."""
import os
import random
import re
import signal
import socket
import struct
import subprocess

import harness

SLOTS, SLOT, NAME = 64, struct.Struct("48sQQ"), 48

WINDOWS = {
    "transaction": ["change", "change", "leaves"],
    "commit": ["produced", "commit_record", "position_record", "flushed", "next_record", "committed"],
    "chunk": ["window_open", "chunk_read", "chunk_row", "spooled", "chunk_sent"],
    "take-over": ["initialised", "position_read"],
    "view": ["applied", "view_rows", "view_position", "view_committed"],
    "idle": [],
}
WINDOW_OF = {point: window for window, points in WINDOWS.items() for point in points}


PORTS, MOST_LANES = range(10000, 12000), 16     # below those of scripts/servers, of the integration tests, and of the kernel
given = []


def free_port(lane):
    """Each lane has its own, and what was given lately is not given again: a daemon listens a while after it was started."""
    for port in random.sample(PORTS[lane % MOST_LANES::MOST_LANES], len(PORTS) // MOST_LANES):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in given[-50:]:
            given.append(port)
            return port
    raise AssertionError(f"no free port in {PORTS}")


class Slots:
    """The file of fault points that one process shares with us."""

    def __init__(self, path, points=(*WINDOW_OF, "slow_chunk")):
        self.path = path
        path.write_bytes(bytes(SLOT.size * SLOTS))
        self.file = open(path, "r+b", buffering=0)
        for number, name in enumerate(dict.fromkeys(["process", *points])):
            self.write(number, name)

    def write(self, number, name, passes=0, armed=0):
        self.file.seek(number * SLOT.size)
        self.file.write(SLOT.pack(name.encode(), passes, armed))

    def read(self, number):
        self.file.seek(number * SLOT.size)
        name, passes, armed = SLOT.unpack(self.file.read(SLOT.size))
        return name.rstrip(b"\0").decode(), passes, armed

    def number(self, point):
        return next(n for n in range(1, SLOTS) if self.read(n)[0] == point)

    def set_armed(self, number, at):
        self.file.seek(number * SLOT.size + NAME + 8)
        self.file.write(struct.pack("Q", at))

    def arm(self, point, times):
        number = self.number(point)
        self.set_armed(0, 0)
        self.set_armed(number, self.read(number)[1] + times)

    def slow(self, milliseconds):
        """The read of each chunk takes that much longer, while the stream goes on."""
        self.set_armed(self.number("slow_chunk"), milliseconds)

    def disarm(self, point):
        self.set_armed(self.number(point), 0)

    def stopped_at(self):
        """Point at which the process stopped itself; None: it didn't."""
        at = self.read(0)[2]
        return self.read(at)[0] if at else None

    def last(self):
        at = self.read(0)[1]
        return self.read(at)[0] if at else None


class Instance:
    """One process under test, with a log and a file of fault points of its own."""
    made = 0

    def __init__(self, run, verb):
        Instance.made += 1
        self.run, self.verb, self.process = run, verb, None
        self.label = f"{verb}{Instance.made}"
        self.log_path = run.folder / f"{self.label}.log"
        self.slots = Slots(run.folder / f"{self.label}.points")

    def start(self):
        env = {**os.environ, **self.run.setup.env, "MILLRACE_FAULT_FILE": str(self.slots.path)}
        listen = f"--http.listen=127.0.0.1:{free_port(self.run.site.lane)}"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(harness.MILLRACE), self.verb, "-c", str(self.run.setup.conf), listen], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.run.folder, env=env)
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def state(self):
        return harness.process_state(self.process.pid)

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(30)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    LEADS = re.compile(r'^time=(\S+) .* msg="(?:copying and )?streaming of ', re.M)

    def led_since(self):
        """When its last session began; empty: it never led."""
        return max(self.LEADS.findall(self.log()), default="")

    def stands_by(self):
        return "standing by" in self.log() or bool(self.led_since()) or not self.alive() or self.state() == "T"

    def tail(self, lines=6):
        return "\n".join([line for line in self.log().splitlines() if "level=debug" not in line][-lines:])
