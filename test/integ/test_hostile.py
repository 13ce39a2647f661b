"""A source and a machine that misbehave: nothing lost, nothing twice, and the operator is told."""
import os
import random
import resource
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from harness import run_sql, source_position, wait_until
from hostile import CONFIG, DATA, FENCED, case, p, world  # noqa: F401  (fixtures)

# ---- the source: bytes ----------------------------------------------------------------------------------------------

def test_a_damaged_event_is_read_again(case):
    """Wrong checksum, cut short, over-long, wrong size, packets that lie about their length: once each, in transit."""
    c = case().start()
    for mangler in (p.flip, p.truncate, p.overlong, p.size_field, p.packet_length, p.empty_packet):
        before, since = c.source.mangled, c.mark()
        c.source.mangle(mangler(), times=1)
        c.write(3)
        c.delivered()
        assert c.source.mangled == before + 1, f"{mangler.__name__} never struck"
        assert c.said("level=warning", "trying again", since=since), f"{mangler.__name__}: {c.run.log_tail()}"
    c.judge()
    assert any(state == "retrying" and "read once more" in message for state, message in c.states()), c.states()
    c.stop()


@pytest.mark.parametrize("mangler,word", [(p.flip, "CRC32"), (p.truncate, "bytes"), (p.unknown_type, "126")])
def test_an_event_damaged_in_the_binlog_stops_before_it(case, mangler, word):
    c = case().start()
    c.write(5)
    c.delivered()
    position = source_position(c.connection)
    c.source.mangle(mangler())
    c.write(2)
    c.ends(DATA, word)
    assert c.said("level=warning", "read once more")
    assert c.source.mangled >= 2
    assert c.setup.commits()[-1]["gtid_set"] == f"0-1-{position[0]}", "something behind the damage was delivered"
    c.source.forgive()
    c.run.start()
    c.heals()
    c.stop()


def test_the_stream_is_cut_in_the_middle_of_events(case):
    c = case(capture__commit_interval="20ms").start()
    stop = threading.Event()

    def saw():
        r = random.Random(3)
        while not stop.is_set():
            c.source.mangle(p.cut_inside(reset=r.random() < 0.5), times=1, skip=r.randint(0, 40))
            stop.wait(0.2)

    saws = threading.Thread(target=saw)
    saws.start()
    try:
        c.write(250)
    finally:
        stop.set()
        saws.join()
        c.source.forgive()
    c.heals()
    c.stop()


# ---- the source: silence --------------------------------------------------------------------------------------------

def test_a_silent_stream_is_opened_anew(case):
    """A stall longer than source.read_timeout is a lost connection; heartbeats keep a quiet one alive."""
    c = case(source__read_timeout="2s").start()
    accepted, since = c.source.accepted, c.mark()
    heartbeats = c.source.events.get(p.HEARTBEAT, 0)
    wait_until("three heartbeats", lambda: c.source.events.get(p.HEARTBEAT, 0) >= heartbeats + 8, 30)
    assert not c.said("level=warning", since=since), c.run.log_tail()
    c.source.stall(None, p.DOWN)
    c.write(10)
    wait_until("a retry", lambda: c.said("level=warning", "trying again", since=since), 30)
    c.source.resume()
    c.heals()
    assert c.source.accepted > accepted
    c.stop()


def test_a_source_that_refuses_connections(case):
    c = case().start()
    since = c.mark()
    c.source.refuse()
    c.source.cut(reset=True)
    c.write(10)
    wait_until("a second retry", lambda: c.run.log()[since:].count("trying again") >= 2, 30)
    assert c.run.alive()
    c.source.accept()
    c.heals()
    c.stop()


def test_the_source_is_killed_inside_a_transaction(case):
    c = case().start()
    c.write(20)
    half = c.servers.connect()
    run_sql(half, f"USE {c.db}", "BEGIN", f"INSERT INTO {c.db}.t SELECT seq + 100000, 0, REPEAT('y', 1000) FROM seq_1_to_2000")
    c.servers.script("kill", c.servers.folder, "mariadb")
    c.servers.script("start", c.servers.folder)
    c.connection = c.servers.connect()
    c.write(20)
    c.heals()
    half.close()
    c.stop()


# ---- the source: people ---------------------------------------------------------------------------------------------

def test_the_password_is_changed_under_us(case):
    c = case().start()
    secret = Path(c.servers.env["DATABASE_PASSWORD_FILE"]).read_text().strip()
    run_sql(c.connection, "SET STATEMENT sql_log_bin = 0 FOR ALTER USER millrace@'%' IDENTIFIED BY 'another'")
    try:
        c.write(3)
        c.delivered()  # what is connected stays connected
        c.source.cut()
        c.ends(CONFIG, "Access denied", "source.password_file")
    finally:
        run_sql(c.connection, f"SET STATEMENT sql_log_bin = 0 FOR ALTER USER millrace@'%' IDENTIFIED BY '{secret}'")
    c.write(3)
    c.run.start()
    c.heals()
    c.stop()


def test_the_right_to_read_the_binlog_is_revoked(case):
    c = case().start()
    run_sql(c.connection, "SET STATEMENT sql_log_bin = 0 FOR REVOKE REPLICATION SLAVE ON *.* FROM millrace@'%'")
    try:
        c.source.cut()
        c.write(3)
        c.ends(CONFIG, "GRANT REPLICATION SLAVE")
    finally:
        run_sql(c.connection, "SET STATEMENT sql_log_bin = 0 FOR GRANT REPLICATION SLAVE ON *.* TO millrace@'%'")
    c.run.start()
    c.heals()
    c.stop()


def test_the_right_to_select_is_revoked(case):
    """A table that cannot be seen looks like one that was dropped: that is said; its stream goes on."""
    c = case().start()
    since = c.mark()
    run_sql(c.connection, "SET STATEMENT sql_log_bin = 0 FOR REVOKE SELECT ON *.* FROM millrace@'%'")
    try:
        c.source.cut()
        c.write(3)
        c.delivered()
        assert c.said("level=warning", f"{c.db}.t", since=since), c.run.log_tail()
    finally:
        run_sql(c.connection, "SET STATEMENT sql_log_bin = 0 FOR GRANT SELECT ON *.* TO millrace@'%'")
    c.write(3)
    c.heals()
    c.stop()


def dump(servers, server_id):
    """Opens a replication stream as another replica would; returns the connection."""
    other = servers.connect()
    run_sql(other, "SET @mariadb_slave_capability = 4, @master_binlog_checksum = @@global.binlog_checksum, "
                   "@slave_connect_state = @@global.gtid_binlog_pos")
    other._execute_command(0x12, (4).to_bytes(4, "little") + b"\0\0" + server_id.to_bytes(4, "little"))
    return other


def test_another_replica_uses_our_server_id(case):
    c = case(source__server_id=4711).start()
    other = dump(c.servers, 4711)
    try:
        c.write(3)
        c.ends(FENCED, "server_id")
    finally:
        other.close()
    c.run.start()
    c.heals()
    c.stop()


def test_binlog_settings_change_under_us(case):
    """Checksums off and on again, with a rotation each time: nothing is noticed but a reconnect, if that."""
    c = case().start()
    for value in ("NONE", "CRC32", "NONE", "CRC32"):
        run_sql(c.connection, f"SET GLOBAL binlog_checksum = {value}")
        c.write(5)
        run_sql(c.connection, "FLUSH BINARY LOGS")
        c.write(5)
        c.delivered()
    c.judge()
    c.stop()


def test_names_go_from_the_binlog(case):
    """The source is set to write no names of columns any more: information_schema tells them, and the statements between."""
    c = case().start()
    c.write(5)
    c.delivered()
    run_sql(c.connection, "SET GLOBAL binlog_row_metadata = NO_LOG")
    fresh = c.servers.connect()
    try:
        run_sql(fresh, f"UPDATE {c.db}.t SET n = 7 WHERE id = 1", f"ALTER TABLE {c.db}.t ADD COLUMN more INT FIRST",
                f"UPDATE {c.db}.t SET n = 8 WHERE id = 1")
        c.delivered()
    finally:
        run_sql(c.connection, "SET GLOBAL binlog_row_metadata = FULL")
        fresh.close()
    assert c.said("catalog mode"), c.run.log_tail()
    c.heals()
    c.stop()


def test_the_clock_of_the_source_jumps(case):
    """Commit times are the source's word; order is that of the binlog."""
    c = case().start()
    for stamp in (1, 2_000_000_000, 86400, "DEFAULT"):
        run_sql(c.connection, f"SET timestamp = {stamp}")
        c.write(3)
    c.heals()
    assert "lag" in c.setup.millrace("lag").stdout.lower() or c.setup.millrace("lag").returncode == 0
    c.stop()


def test_the_source_moves_to_another_port(case):
    c = case().start()
    c.write(10)
    c.delivered()
    c.stop()
    with p.Proxy("127.0.0.1", c.servers.env["DATABASE_PORT"]) as moved:
        c.setup.settings["source.port"] = moved.port
        c.setup.write()
        c.write(10)
        c.run.start()
        c.heals()
        c.stop()


def test_a_row_larger_than_a_packet_of_the_source(case):
    c = case().start()
    run_sql(c.connection, f"ALTER TABLE {c.db}.t MODIFY v LONGTEXT")
    wide = c.servers.connect()
    run_sql(c.connection, "SET GLOBAL max_allowed_packet = 1048576")
    try:
        with wide.cursor() as cursor:
            cursor.execute(f"INSERT INTO {c.db}.t VALUES (900001, 1, REPEAT('z', 5000000))")
        c.source.cut()
        c.heals()
    finally:
        run_sql(c.connection, "SET GLOBAL max_allowed_packet = 16777216")
        wide.close()
    c.stop()


# ---- capture itself -------------------------------------------------------------------------------------------------

def test_stopped_for_longer_than_a_transaction_may_last(case):
    """SIGSTOP: the broker aborts the open transaction, and what was in it is delivered anew."""
    c = case(**{"kafka__transaction.timeout.ms": "3000", "kafka__socket.timeout.ms": "3000", "capture__commit_interval": "60s"}).start()
    r = random.Random(5)
    for _ in range(3):
        writer = threading.Thread(target=c.write, args=(150,))
        writer.start()
        time.sleep(r.uniform(0.1, 0.6))
        c.run.process.send_signal(signal.SIGSTOP)
        time.sleep(5)
        c.run.process.send_signal(signal.SIGCONT)
        writer.join()
    c.heals(timeout=90)
    c.stop()


def test_out_of_file_descriptors(case):
    """The broker and the source are cut while no new descriptor can be had: it waits, and heals."""
    c = case().start()
    used = len(os.listdir(f"/proc/{c.run.process.pid}/fd"))
    soft, hard = resource.prlimit(c.run.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(c.run.process.pid, resource.RLIMIT_NOFILE, (3, hard))
    since = c.mark()
    c.source.cut()
    c.write(5)
    wait_until("a sign", lambda: not c.run.alive() or c.said("level=warning", since=since), 30)
    time.sleep(1)
    resource.prlimit(c.run.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert c.run.alive(), c.run.log_tail()
    assert used > 3
    c.heals()
    c.stop()


def test_the_state_folder_goes_away(case):
    """Capture keeps nothing there that it needs."""
    c = case().start()
    state = c.setup.folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    c.write(5)
    c.delivered()
    c.stop()
    c.run.start()
    c.write(5)
    c.heals()
    c.stop()


def snapshot(c, *words):
    return c.setup.millrace("snapshot", *words, f"{c.db}.t", timeout=180)


def test_the_state_folder_is_full(case):
    """Reconciling copies keep rows there: one waits, the stream does not, and it goes on when there is room."""
    c = case().start()
    run_sql(c.connection, f"INSERT INTO {c.db}.t SELECT seq, 1, REPEAT('x', 200) FROM seq_100000_to_120000")
    c.delivered()
    pid, none = c.run.process.pid, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    said = []
    asker = threading.Thread(target=lambda: said.append(snapshot(c)))
    asker.start()
    wait_until("it to be told", lambda: c.said("no room on the disk"), 60)
    c.write(5)
    c.delivered()
    assert c.run.alive()
    resource.prlimit(pid, resource.RLIMIT_FSIZE, none)
    asker.join(180)
    if said[0].returncode != 0:      # it paused, and says what to type
        assert "--resume" in said[0].stdout + said[0].stderr, said[0]
        out = snapshot(c, "--resume")
        assert out.returncode == 0, out.stdout + out.stderr
    c.heals()
    c.stop()


def test_the_state_folder_cannot_be_written(case):
    """A file in its place, also for root: streaming needs nothing of it, a reconciling copy says what is wrong."""
    c = case().start()
    state = c.setup.folder / "state"
    c.stop()
    shutil.rmtree(state, ignore_errors=True)
    state.write_text("not a folder")
    c.run.start()
    c.write(5)
    c.delivered()
    out = snapshot(c)
    assert out.returncode != 0 and "state" in out.stdout + out.stderr, out.stdout + out.stderr
    c.write(5)
    c.delivered()
    state.unlink()
    out = snapshot(c, "--resume")
    assert out.returncode == 0, out.stdout + out.stderr
    c.heals()
    c.stop()
