"""Every database that is in build/servers: it starts, answers as the suites expect it to, and outlives kill -9.

Those that make test needs must be there. One that Debian's sid does not give today is left out here and named in the last line
of make test.
"""
import os
import subprocess

import pymysql
import pytest

from gtids import contains, gtid_set
from harness import ROOT, Servers, run_sql, source_position, wait_until

ROWS = [line.split() for line in (ROOT / "scripts" / "databases.txt").read_text().splitlines() if line and line[0] != "#"]
VERSIONS = {row[0]: row[2] for row in ROWS}
FULL_METADATA = {"mysql": (8, 0), "mariadb": (10, 5)}       # since when


def folder(name):
    return ROOT / "build" / "servers" / name.replace(":", "-")


def there(row):
    name, wanted_for, _, _, source, *what = row
    excused = source == "debian" and what[0].startswith("sid/") and folder(name).with_name(folder(name).name + ".missing").exists()
    return source == "installed" or folder(name).exists() or (wanted_for == "test" and not excused)


@pytest.fixture(scope="module", params=[row[0] for row in ROWS if there(row)])
def server(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("server")
    os.chmod(path, 0o755)
    made = Servers(path / "servers", database=request.param, kafka=False)
    yield made
    made.stop()


def value(connection, expression):
    return run_sql(connection, f"SELECT {expression}")[0][0]


def variables(connection, pattern):
    return dict(run_sql(connection, f"SHOW GLOBAL VARIABLES LIKE '{pattern}'"))


def binlogs(connection):
    return [row[0] for row in run_sql(connection, "SHOW BINARY LOGS")]


def test_it_is_what_was_asked_for(server):
    with server.connect() as connection:
        assert value(connection, "@@version").startswith(VERSIONS[server.database])
        assert server.env["DATABASE_VERSION"].startswith(VERSIONS[server.database])
        assert (server.engine == "mariadb") == ("MariaDB" in value(connection, "@@version"))


def test_its_binlog_is_what_millrace_asks_for(server):
    with server.connect() as connection:
        found = variables(connection, "binlog_%")
        assert (found["binlog_format"], found["binlog_row_image"], found["binlog_checksum"]) == ("ROW", "FULL", "CRC32")
        full = server.at_least(server.engine, *FULL_METADATA[server.engine])
        assert found.get("binlog_row_metadata") == ("FULL" if full else None)
        assert server.engine == "mariadb" or value(connection, "@@GLOBAL.gtid_mode") == "ON"


def test_its_accounts_stand_outside_the_binlog(server):
    with server.connect() as connection:
        assert source_position(connection) == {}
        events = run_sql(connection, f"SHOW BINLOG EVENTS IN '{binlogs(connection)[0]}'")
        assert not any("millrace" in event[5] for event in events)
        local = {host for _, host in run_sql(connection, "SELECT User, Host FROM mysql.user WHERE User NOT IN ('millrace', 'site')")}
        assert local == {"localhost"}, "somebody may come from elsewhere"


def test_the_captures_account_may_read_and_no_more(server):
    with open(server.env["DATABASE_PASSWORD_FILE"], encoding="ascii") as file:
        secret = file.read().strip()
    with server.connect("millrace", secret) as connection:
        assert binlogs(connection)
        assert value(connection, "COUNT(*) > 0 FROM mysql.user") == 1
        with pytest.raises(pymysql.Error, match="denied"):
            run_sql(connection, "CREATE DATABASE not_for_me")


def test_a_row_written_is_an_event_and_outlives_kill(server):
    with server.connect() as connection:
        run_sql(connection, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(20))")
        before = source_position(connection)
        run_sql(connection, "INSERT INTO d.t VALUES (1, 'one')")
        written = source_position(connection)
        assert contains(written, before) and not contains(before, written)
        events = [event[2] for event in run_sql(connection, f"SHOW BINLOG EVENTS IN '{binlogs(connection)[-1]}'")]
        kind = "Write_rows_v1" if server.engine == "mariadb" else "Write_rows"
        assert events.count(kind) == 1 and "Table_map" in events and "Gtid" in events

    server.script("kill", server.folder, server.engine)
    with pytest.raises(pymysql.Error):
        server.connect()
    server.script("start", server.folder, "--database", server.database)
    with server.connect() as connection:
        assert run_sql(connection, "SELECT * FROM d.t") == ((1, "one"),)
        assert contains(source_position(connection), written)
        assert kind in [event[2] for event in run_sql(connection, f"SHOW BINLOG EVENTS IN '{binlogs(connection)[-2]}'")]


def test_it_ends_in_order_and_takes_options(server):
    status = [str(ROOT / "scripts" / "servers"), "status", server.folder]
    server.script("stop", server.folder, server.engine)
    out = subprocess.run(status, capture_output=True, text=True, check=False)
    assert (out.returncode, out.stdout) == (3, f"{server.engine} down\n")
    with open(server.env["DATABASE_LOG"], encoding="utf-8", errors="replace") as log:
        assert "hutdown complete" in log.read()
    server.script("start", server.folder, "--database", server.database, f"--{server.engine}-option=--server-id=7")
    with server.connect() as connection:
        assert value(connection, "@@server_id") == 7
    server.script("restart", server.folder, server.engine)
    assert wait_until("an answer", lambda: value(server.connect(), "@@server_id")) == 7
    other = "mysql:8.0" if server.engine == "mariadb" else "mariadb:10.11"
    out = subprocess.run([status[0], "start", server.folder, "--database", other], capture_output=True, text=True, check=False)
    assert out.returncode == 1 and f"has the database {server.database}" in out.stderr


def test_gtid_sets():
    uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    assert gtid_set("0-1-5,1-2-7") == {0: 5, 1: 7} and gtid_set("") == {}
    assert gtid_set(f"{uuid.upper()}:1-3:5:4,\n{uuid}:tag:1-2:7:other:3") == {
        uuid: [(1, 5)], f"{uuid}:tag": [(1, 2), (7, 7)], f"{uuid}:other": [(3, 3)]}
    assert contains(gtid_set(f"{uuid}:1-3:4-9"), gtid_set(f"{uuid}:2-8")) and contains({0: 2}, {0: 2})
    assert not contains(gtid_set(f"{uuid}:1-3:5-9"), gtid_set(f"{uuid}:2-8")) and not contains({}, {0: 1})
