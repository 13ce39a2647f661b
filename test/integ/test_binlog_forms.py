"""What a binlog looks like in its file should not matter: encrypted, without checksums, without end positions inside transactions.

Each form on a real server: rows of all kinds of transactions, read across files, with kill -9 in the middle of them.
"""
import json
import os
import random
import re
import tempfile
import time
from pathlib import Path

import pytest

from fold import check_seq, compare
from harness import ROOT, Servers, Setup, run_sql, source_position, those_there, wait_until

FORMS = {  # name: (database, options)
    "mariadb-encrypted": ("mariadb:11.8", ["--mariadb-option=--plugin-load-add=file_key_management", "--mariadb-option=--encrypt-binlog=ON",
                                           "--mariadb-option=--file-key-management-filename=@KEYS@"]),
    "mariadb-plain": ("mariadb:11.8", []),
    "mariadb-legacy-event-pos": ("mariadb:11.8", ["--mariadb-option=--binlog-legacy-event-pos=ON"]),
    "mariadb-no-checksum": ("mariadb:11.8", ["--mariadb-option=--binlog-checksum=NONE"]),
    "mysql-encrypted": ("mysql:9.7", []),
    "mysql-no-checksum": ("mysql:8.0", ["--mysql-option=--binlog-checksum=NONE"]),
    "mysql-places": ("mysql:8.0", ["--mysql-option=--gtid-mode=OFF", "--mysql-option=--binlog-checksum=NONE"]),
}


def use_keyring(made):
    """MySQL's keyring component is named by a file beside the program, which may leave it to one in the data folder."""
    program, data = ROOT / "build" / "servers" / "mysql-9.7" / "usr", Path(made.env["DATABASE_DATADIR"])
    for path, text in ((program / "sbin" / "mysqld.my", {"read_local_manifest": True}),
                       (program / "lib" / "mysql" / "plugin" / "component_keyring_file.cnf", {"read_local_config": True}),
                       (data / "mysqld.my", {"components": "file://component_keyring_file"}),
                       (data / "component_keyring_file.cnf", {"path": str(data / "keyring"), "read_only": False})):
        path.write_text(json.dumps(text))
        path.chmod(0o644)
    made.script("restart", made.folder, "mysql")
    connection = made.connect()
    run_sql(connection, "SET GLOBAL binlog_encryption = ON")
    connection.close()


@pytest.fixture(scope="module", params=[form for form, (database, _) in FORMS.items() if those_there(database)])
def form(request, servers):
    """A server whose binlog has this form, beside the Kafka that is there anyhow."""
    database, options = FORMS[request.param]
    with tempfile.TemporaryDirectory(prefix="millrace-form-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "keys").write_text("1;" + "a7" * 32 + "\n")
        made = Servers(folder / "servers", *[o.replace("@KEYS@", str(folder / "keys")) for o in options], database=database, kafka=False)
        made.bootstrap, made.form = servers.bootstrap, request.param
        try:
            if request.param == "mysql-encrypted":
                use_keyring(made)
            yield made
        finally:
            made.stop()


def newest_files(made):
    """Of the binlog, the file that is written now first: it may have begun just now, and hold no rows yet."""
    data = Path(made.env["DATABASE_DATADIR"])
    index = next(data.glob("*.index")).read_text().split()
    return [(data / Path(name).name).read_bytes() for name in reversed(index[-2:])]


def end_positions(data):
    """(type, end position, size) of each event of a plain file."""
    at, out = 4, []
    while at + 19 <= len(data):
        size = int.from_bytes(data[at + 9:at + 13], "little")
        out.append((data[at + 4], int.from_bytes(data[at + 13:at + 17], "little")))
        at += size
    return out


def check_form(made):
    """The server does what the test is about."""
    rows = (19, 23, 24, 25, 30, 31, 32)
    files = newest_files(made)
    if made.form == "mysql-encrypted":
        assert files[0][:4] == b"\xfdbin"
    elif made.form == "mariadb-encrypted":
        assert files[0][:4] == b"\xfebin" and 164 in [kind for kind, _ in end_positions(files[0])[:2]]
        assert not any(b"CREATE TABLE" in data for data in files)
    else:
        events = next(events for events in map(end_positions, files) if any(kind in rows for kind, _ in events))
        zero = any(place == 0 for kind, place in events if kind in rows)
        assert zero == (made.form in ("mariadb-plain", "mariadb-no-checksum")), events[:20]


def change(r, c):
    """A transaction of any kind, over several tables."""
    n = r.randrange(1, 2000)
    verb = r.randrange(8)
    if verb == 0:
        run_sql(c, "BEGIN", f"REPLACE INTO t VALUES ({n}, 1, REPEAT('x', {r.randrange(3000)}))", "SAVEPOINT s", f"DELETE FROM t WHERE id < {n}",
                "ROLLBACK TO s", f"REPLACE INTO u VALUES ({n}, 2)", "COMMIT")
    elif verb == 1:
        xid = f"'{n}x{r.randrange(10**9)}'"
        run_sql(c, f"XA START {xid}", f"REPLACE INTO t VALUES ({n}, 3, 'xa')", f"XA END {xid}", f"XA PREPARE {xid}",
                f"XA {r.choice(['COMMIT', 'ROLLBACK'])} {xid}")
    elif verb == 2:
        run_sql(c, "FLUSH BINARY LOGS" if r.randrange(4) == 0 else f"DELETE FROM u WHERE id = {n}")
    elif verb == 3:
        run_sql(c, f"UPDATE t SET v = v + 1 WHERE id BETWEEN {n} AND {n + 50}")
    else:
        run_sql(c, f"REPLACE INTO t VALUES ({n}, {verb}, 'plain')")


def test_every_form(form, tmp_path):
    c = form.connect()
    name = "f" + re.sub(r"\W", "", form.form)
    run_sql(c, f"CREATE DATABASE {name} CHARACTER SET utf8mb4", f"USE {name}", "CREATE TABLE t (id INT PRIMARY KEY, v INT, s TEXT)",
            "CREATE TABLE u (id INT PRIMARY KEY, v INT)")
    seed = int(time.time())
    print("seed", seed)
    r = random.Random(seed)
    gtids = form.form != "mysql-places"     # without them nothing says what a SELECT sees: streamed only
    if gtids:
        run_sql(c, "INSERT INTO t VALUES (1, 1, 'first')")
    setup = Setup(form, tmp_path / "m", f"{name}x{os.getpid()}", f"{name}.*", **({} if gtids else {"source__start": "now"}))
    run = setup.daemon("run").start()
    try:
        wait_until("streaming", lambda: "streaming of" in run.log() or not run.alive())
        for _ in range(4):
            for _ in range(100):
                change(r, c)
            run_sql(c, "BEGIN", "REPLACE INTO t VALUES (2, 2, 'in every file')", "COMMIT")
            check_form(form)
            run.kill()
            for _ in range(40):
                change(r, c)
            run.start()
        run_sql(c, "REPLACE INTO u VALUES (1000000, 1)")
        if gtids:
            setup.wait_delivered(source_position(c), run)
        else:
            wait_until("the last row", lambda: setup.topic(f"{name}.u") in setup.reader.topics(setup.name) and any(
                key == {"id": 1000000} for *_, key, _, _ in setup.reader.records(setup.topic(f"{name}.u"))), 90, 0.5)
        run.stop()
        for table in ("t", "u"):
            compare(setup.reader.records(setup.topic(f"{name}.{table}")), c, name, table, ["id"])
        check_seq(setup)
    finally:
        setup.kill_all()
        c.close()
