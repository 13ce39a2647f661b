"""scripts/databases without a network: a client that brings what the test wants it to bring."""
import hashlib
import io
import os
import shutil
import subprocess
import tarfile

import pytest

from harness import ROOT

BROKEN, UNAVAILABLE = 1, 5


class World:
    """A checkout with scripts only, and an `npm` that copies an archive and notes each call."""

    def __init__(self, folder, version="5.6.24"):
        self.root, self.bin, self.calls = folder / "checkout", folder / "bin", folder / "calls"
        shutil.copytree(ROOT / "scripts", self.root / "scripts")
        self.bin.mkdir()
        self.archive = folder / "a.tgz"
        program = f"#!/bin/sh\necho 'mysqld  Ver {version} for Linux'\n".encode()
        with tarfile.open(self.archive, "w:gz") as tar:
            for name, data in ("package/server/mysqld", program), ("package/server/share/errmsg.sys", b"x"):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        self.client(f"echo called >>{self.calls}; sleep 0.5; cp {self.archive} ./a.tgz")
        self.table(hashlib.sha256(self.archive.read_bytes()).hexdigest())

    def client(self, text):
        (self.bin / "npm").write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / "npm").chmod(0o755)
        (self.bin / "sleep").write_text("#!/bin/sh\nexec /bin/sleep 0.1\n")     # between two tries
        (self.bin / "sleep").chmod(0o755)

    def table(self, sha256):
        (self.root / "scripts" / "databases.txt").write_text(f"mysql:5.6 test 5.6. 1 npm a-server@1 {sha256}\nmysql:none more 1. 1 npm b@1 -\n")

    def start(self, *words):
        return subprocess.Popen([str(self.root / "scripts" / "databases"), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env={**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"})

    def run(self, *words):
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def fetched(self):
        return (self.root / "build" / "servers" / "mysql-5.6" / "server").exists()


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_it_is_fetched_once_by_two_at_once(world):
    both = [world.start("fetch", "mysql:5.6") for _ in range(2)]
    assert [process.communicate(timeout=120) and process.returncode for process in both] == [0, 0]
    assert world.fetched() and world.calls.read_text() == "called\n"
    assert world.run("fetch", "test") == (0, "", ""), "what is there says nothing and costs nothing"
    assert "5.6.24" in world.run("list")[1]
    assert world.run("without", "test") == (0, "", "")


def test_what_cannot_be_had_is_said_with_a_code_of_its_own(world):
    world.client("echo 'npm ERR! 404' >&2; exit 1")
    code, _, said = world.run("fetch", "mysql:5.6")
    assert code == UNAVAILABLE and "mysql:5.6 CANNOT BE HAD TODAY" in said and "404" in said
    assert world.run("without", "test")[:2] == (UNAVAILABLE, "without mysql:5.6: npm could not get a-server@1: npm ERR! 404\n")
    assert not list((world.root / "build" / "servers").glob("*.part"))

    world.client(f"cp {world.archive} ./a.tgz")
    assert world.run("fetch", "mysql:5.6")[0] == 0 and world.run("without", "test")[0] == 0, "the next day"


def test_one_that_cannot_be_had_stops_no_other(world):
    world.client(f'case "$*" in *b@1) exit 1;; esac; cp {world.archive} ./a.tgz')
    assert world.run("fetch", "mysql:none", "mysql:5.6")[0] == UNAVAILABLE
    assert world.fetched()


def test_an_archive_that_was_changed_is_refused(world):
    world.table("0" * 64)
    code, _, said = world.run("fetch", "mysql:5.6")
    assert code == BROKEN and "SHA-256" in said and not world.fetched()


def test_another_version_is_refused(tmp_path):
    world = World(tmp_path, version="5.7.1")
    code, _, said = world.run("fetch", "mysql:5.6")
    assert code == UNAVAILABLE and "version 5.7.1" in said and not world.fetched()


def test_what_is_there_stays_while_its_successor_cannot_be_had(world):
    assert world.run("fetch", "mysql:5.6")[0] == 0
    table = world.root / "scripts" / "databases.txt"
    table.write_text(table.read_text().replace("a-server@1", "a-server@2"))
    world.client("exit 1")
    assert world.run("fetch", "mysql:5.6")[0] == UNAVAILABLE
    assert world.fetched()


def test_unknown_names_are_refused(world):
    code, _, said = world.run("fetch", "mysql:5.6", "mysql:4.1")
    assert code == BROKEN and "mysql:4.1" in said and not world.fetched()
