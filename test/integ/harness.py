"""What the suites share: real servers, the daemons under test, and (reader.py) an independent reader of what they deliver."""
import contextlib
import fcntl
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pymysql
import pytest

from dialect import translate
from gtids import contains, gtid_set
from reader import Reader, Schemas

ROOT = Path(__file__).resolve().parents[2]
MILLRACE = Path(os.environ.get("MILLRACE", ROOT / "build" / "millrace"))


def with_lists(before, commit):
    """A commit record with the lists that it leaves out: as in the one before, without what left them."""
    if commit.get("unchanged"):
        assert before is not None, "a first commit record that leaves its lists out"
        commit["copying"] = [t for t in before["copying"] if t not in commit["copied"]]
        commit["reconciling"] = [t for t in before["reconciling"] if t not in commit["reconciled"]]
    return commit


def wait_until(what, condition, timeout=60.0, every=0.05):
    """Polls until condition() is true; the value is returned. Fails with `what` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout:.0f} s")
        time.sleep(every)


# For all connections: the driver would make one for each, and read the machine's certificates again, which takes ten times as
# long as connecting.
TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE


class Servers:
    """A private database and Kafka, by scripts/servers. database: a name of scripts/databases.txt; options: more words to
    `servers start`; lasting: the broker is for many minutes."""
    engine = "mariadb"

    def __init__(self, folder, *options, database="mariadb:10.11", kafka=True, lasting=False):
        self.folder = str(folder)
        self.database, self.engine = database, database.split(":")[0]
        try:
            self.script("start", self.folder, "--database", database, *(("--kafka", "--quick=lasting" if lasting else "--quick") if kafka else ()), *options)
        except BaseException:       # also when it was told to end meanwhile: those that are up don't stay
            self.stop()
            raise
        self.read_env()

    def script(self, *words):
        subprocess.run([str(ROOT / "scripts" / "servers"), *words], check=True, stdout=subprocess.DEVNULL)

    def read_env(self):
        out = subprocess.run([str(ROOT / "scripts" / "servers"), "env", self.folder], check=True, capture_output=True, text=True)
        self.env = dict(line.split("=", 1) for line in out.stdout.splitlines() if "=" in line)
        self.env = {k: shlex.split(v)[0] if v else "" for k, v in self.env.items()}
        self.bootstrap = self.env.get("KAFKA_BOOTSTRAP")

    def at_least(self, engine, *version):
        """Is the database ENGINE, of that version or later?"""
        return self.engine == engine and tuple(int(v) for v in self.env["DATABASE_VERSION"].split(".")) >= version

    def connect(self, user=None, password=None, **more):
        """As the application: every right. Values arrive as the server's own text. TLS only with MySQL 8 and later, which take a
        password of caching_sha2_password no other way than that, or RSA."""
        tls = {"ssl": TLS} if self.at_least("mysql", 8) else {"ssl_disabled": True}
        return pymysql.connect(host=self.env["DATABASE_HOST"], port=int(self.env["DATABASE_PORT"]),
                               user=user or self.env["DATABASE_SITE_USER"], password=password or self.env["DATABASE_SITE_PASSWORD"],
                               charset="utf8mb4", autocommit=True, init_command="SET time_zone = '+00:00'", **{**tls, **more})

    def stop(self):
        self.script("remove", self.folder)
        Schemas.forget(getattr(self, "bootstrap", None))


def run_sql(connection, *statements):
    """Runs them one after the other, as this server says it (dialect.py); the rows of the last one."""
    rows = ()
    with connection.cursor() as cursor:
        for statement in statements:
            rows = ()
            for said in translate(connection, statement):
                cursor.execute(said)
                if cursor.description:
                    rows = cursor.fetchall()
    return rows


def those_there(*databases):
    """Without those that Debian does not give today, which the last line of `make test` names."""
    folders = {name: ROOT / "build" / "servers" / name.replace(":", "-") for name in databases}
    return [name for name, path in folders.items() if path.exists() or not path.with_name(path.name + ".missing").exists()]


@contextlib.contextmanager
def servers_of(database):
    """A database of this name and a Kafka, for the fixtures that want another than the suites' own."""
    with tempfile.TemporaryDirectory(prefix="millrace-integ-") as folder:
        os.chmod(folder, 0o755)
        made = Servers(Path(folder) / "servers", database=database)
        try:
            yield made
        finally:
            made.stop()


def only_on(servers, engine, why):
    """What a test is about is not there on the other engine."""
    if servers.engine != engine:
        pytest.skip(f"{engine} only: {why}")


def source_position(connection):
    """What the server has committed, as gtid_set() gives it. MySQL 5.6 and 5.7: without GLOBAL it is the session's."""
    variable = "gtid_binlog_pos" if "MariaDB" in connection.get_server_info() else "gtid_executed"
    return gtid_set(run_sql(connection, f"SELECT @@GLOBAL.{variable}")[0][0])


def purge_binlogs(connection):
    """All but the one that the server writes now. It keeps, with no more than a warning, what a dump thread still reads: that of a
    capture that has ended notices so only when it next sends something."""
    run_sql(connection, "FLUSH BINARY LOGS")
    last = run_sql(connection, "SHOW BINARY LOGS")[-1][0]

    def purged():
        run_sql(connection, f"PURGE BINARY LOGS TO '{last}'")
        return [row[0] for row in run_sql(connection, "SHOW BINARY LOGS")][0] == last

    wait_until(f"the purge of all before {last}", purged, 120, 0.2)


def faults_build():
    """The build with fault points (core/base/fault.h), made by whoever needs it first."""
    with open(ROOT / "build" / "faults.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-j2", "--no-print-directory", "--silent", "FAULTS=1", "all"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "MAKEFLAGS": ""})
    return ROOT / "build" / "faults" / "millrace"


def with_fault_points(setup, run, *points):
    """The daemon as a build with fault points; what can be armed: points, or those of capture."""
    sys.path.insert(0, str(ROOT / "test" / "fault"))
    from process import Slots
    slots = Slots(setup.folder / "points", points) if points else Slots(setup.folder / "points")
    run.binary, setup.env["MILLRACE_FAULT_FILE"] = faults_build(), str(slots.path)
    return slots


def process_state(pid):
    """The letter of proc(5): T is stopped; X: there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"


def stands_at(slots, point, process):
    """It says so a moment before it does; a SIGCONT between would be lost, and it would stand for ever."""
    return slots.stopped_at() == point and process_state(process.pid) == "T"


def kill_between_parts(setup, run, slots, point, every):
    """Of a source transaction that is being delivered. Capture rests a while at each so-manyth passage of the point, so that its Kafka
    transaction grows old and is cut however fast the machine is; then it is killed."""
    def part():
        wait_until(f"the next {point}", lambda: stands_at(slots, point, run.process), 60)
        if any(c["open"] for c in setup.commits()):
            return True
        slots.arm(point, every)
        time.sleep(0.3)
        run.process.send_signal(signal.SIGCONT)
        return False

    wait_until("a part", part, 180)
    run.kill()
    slots.disarm(point)


class Daemon:
    """`millrace run` or `millrace project`, started, stopped and killed by its own pid."""

    def __init__(self, verb, setup, *words):
        self.verb, self.setup, self.words, self.binary = verb, setup, words, MILLRACE
        self.process = None
        self.log_path = setup.folder / f"{verb}.log"

    def start(self):
        assert self.process is None
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(self.binary), self.verb, "-c", str(self.setup.conf), *self.words],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.setup.folder,
                                            env={**os.environ, **self.setup.env})
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def handles(self, signal_number):
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{self.process.pid}/status").read_text(), re.M)
        return caught is not None and int(caught[1], 16) >> (signal_number - 1) & 1 == 1

    def end(self, signal_number, timeout=30):
        if self.process is None:
            return None
        if self.alive():
            self.process.send_signal(signal_number)
        code = self.process.wait(timeout)
        self.process = None
        return code

    def stop(self):
        if self.alive():    # one that was just started may not have come so far on a busy machine
            wait_until(f"{self.verb} handles SIGTERM", lambda: not self.alive() or self.handles(signal.SIGTERM), 30, 0.01)
        code = self.end(signal.SIGTERM)
        assert code == 0, f"{self.verb} ended with {code}: {self.log_tail()}"

    def kill(self):
        self.end(signal.SIGKILL)

    def ended(self, timeout=30):
        code = self.process.wait(timeout)
        self.process = None
        return code

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self):
        return "\n".join(self.log().splitlines()[-15:])

    def peak_rss_mb(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no VmHWM")


PORTS, PORT_STEP = range(12000, 20000), 8      # below those of scripts/servers and of the kernel


def free_ports():
    """Ports that nobody listens on. Each test process of a run has its own: one that is free for a moment, because its
    daemon is being restarted, is given to nobody else."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    assert worker < PORT_STEP
    mine = PORTS[worker::PORT_STEP]
    for number in range(len(mine)):
        port = mine[(os.getppid() + number) % len(mine)]
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


class Setup:
    """A configuration of its own: name, tables, events, views, ports."""
    ports = free_ports()

    def __init__(self, servers, folder, name, tables, **settings):
        self.servers, self.folder, self.name = servers, Path(folder), name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.conf = self.folder / "millrace.conf"
        self.http = {"run": f"127.0.0.1:{next(self.ports)}", "project": f"127.0.0.1:{next(self.ports)}"}
        self.env = {"MILLRACE_PASSWORD_FILE": servers.env["DATABASE_PASSWORD_FILE"]}
        self.settings = {"millrace.name": name, "millrace.state": "state", "source.host": servers.env["DATABASE_HOST"],
                         "source.port": servers.env["DATABASE_PORT"], "source.user": servers.env["DATABASE_USER"],
                         "source.password_file": "${MILLRACE_PASSWORD_FILE}",
                         "kafka.bootstrap": servers.bootstrap, "kafka.partitions": "3", "capture.tables": tables,
                         "project.views": "views"}
        self.settings.update({k.replace("__", "."): str(v) for k, v in settings.items()})
        (self.folder / "views").mkdir(exist_ok=True)
        self.write()
        self.reader = Reader(servers.bootstrap)
        self.started = []

    def write(self):
        sections = {}
        for key, value in self.settings.items():
            section, name = key.split(".", 1)
            sections.setdefault(section, []).append(f"{name} = {value}")
        self.conf.write_text("".join(f"[{s}]\n" + "\n".join(lines) + "\n\n" for s, lines in sections.items()))

    def daemon(self, verb, *words):
        d = Daemon(verb, self, f"--http.listen={self.http[verb]}", *words)
        self.started.append(d)
        return d

    def millrace(self, *words, timeout=120, **more):
        """One command, to its end. A daemon started so serves no pages: its usual port may be taken."""
        if words[0] in ("run", "project"):
            words = (*words, "--http.listen=off")
        return subprocess.run([str(MILLRACE), words[0], "-c", str(self.conf), *words[1:]], capture_output=True, text=True,
                              timeout=timeout, cwd=self.folder, stdin=subprocess.DEVNULL, env={**os.environ, **self.env, **more})

    def kill_all(self):
        for d in self.started:
            d.kill()
        self.reader.close()

    def topic(self, table):
        return f"{self.name}.{table}"

    def commits(self):
        out = []
        for _, _, _, _, value in self.reader.records(f"{self.name}.commits"):
            out.append(with_lists(out[-1] if out else None, value))
        return out

    def wait_delivered(self, position, daemon, timeout=90):
        """Until the commits topic says that everything up to `position` is delivered and no copy is under way."""
        topic, last, end = f"{self.name}.commits", None, time.monotonic() + timeout
        for messages in self.reader.follow(topic):
            for m in messages:
                last = None if m is None else with_lists(last, self.reader.decode(m.value())[1])
            if last and not last["copying"] and contains(gtid_set(last["gtid_set"]), position):
                return True
            assert daemon.alive(), f"{daemon.verb} ended: {daemon.log_tail()}"
            assert time.monotonic() < end, f"delivery of {position}: not within {timeout:.0f} s"
        return False
