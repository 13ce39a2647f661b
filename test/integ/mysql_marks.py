"""The marks of a copy on MySQL, with a transaction between them: it stands in the binlog, is read from there, and no table has it
yet. Semi-synchronous replication makes that moment last: a commit waits for a replica, and there is none."""
import threading
import time

import pytest

from fold import check_seq, compare, compare_multiset
from harness import run_sql, source_position, wait_until


@pytest.fixture
def waiting(servers, database):
    """waiting(statement): it commits, and stands in the binlog, and its session waits. release() lets all go on."""
    _, connection = database
    run_sql(connection, "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'", "SET GLOBAL rpl_semi_sync_source_timeout = 3600000",
            "SET GLOBAL rpl_semi_sync_source_enabled = ON")
    threads, state = [], {"held": True}

    def wait(statement):
        before = run_sql(connection, "SHOW MASTER STATUS")[0][:2]
        session = servers.connect(database=database[0])
        threads.append(threading.Thread(target=run_sql, args=(session, statement)))
        threads[-1].start()
        wait_until("the binlog", lambda: run_sql(connection, "SHOW MASTER STATUS")[0][:2] != before, 30)
        wait_until("the wait", lambda: run_sql(connection, "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE "
                                                           "'Waiting for semi-sync ACK%'"), 30)

    def release():
        if state["held"]:
            state["held"] = False
            run_sql(servers.connect(), "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
            for thread in threads:
                thread.join(60)

    wait.release = release
    yield wait
    release()
    run_sql(servers.connect(), "UNINSTALL PLUGIN rpl_semi_sync_source")


def copied(run, setup, table):
    return f"{table} is copied" in run.log() or f"{table} is reconciled" in run.log()


@pytest.mark.parametrize("table", ["bag", "keyed"])
def test_a_copy_waits(servers, database, make_setup, waiting, table):
    """Nobody can tell yet on which side of the snapshot the transaction is. Chunks of a keyed table may be read all the same while
    the stream has not delivered it: what it then brings within the window is newer than the chunk."""
    db, connection = database
    run_sql(connection, "SET GLOBAL rpl_semi_sync_source_enabled = OFF", "CREATE TABLE bag (a INT, v INT)",
            "CREATE TABLE keyed (a INT PRIMARY KEY, v INT)", "INSERT INTO bag SELECT seq, 0 FROM seq_1_to_300",
            "INSERT INTO keyed SELECT seq, 0 FROM seq_1_to_300", "SET GLOBAL rpl_semi_sync_source_enabled = ON")
    waiting(f"UPDATE {table} SET v = a WHERE a > 100")
    assert run_sql(connection, f"SELECT SUM(v) FROM {table}") == ((0,),)
    setup = make_setup(f"{db}.{table}")
    run = setup.daemon("run").start()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert run.alive(), run.log_tail()
        early = copied(run, setup, f"{db}.{table}")
        assert table == "keyed" or not early, "copied although the tables lack what the binlog has"
        time.sleep(0.2)
    print("copied early" if early else "waited")
    waiting.release()
    setup.wait_delivered(source_position(connection), run)
    records = setup.reader.records(setup.topic(f"{db}.{table}"))
    assert (compare_multiset(records, connection, db, "bag") if table == "bag" else compare(records, connection, db, "keyed", ["a"])) == 300
    check_seq(setup)
    run.stop()


def test_another_table_is_changed_between(servers, database, make_setup, waiting):
    """Read, and found not to matter, or waited for where the stream was there first; and nobody takes us for such a replica."""
    db, connection = database
    run_sql(connection, "SET GLOBAL rpl_semi_sync_source_enabled = OFF", "CREATE TABLE bag (a INT)", "CREATE TABLE other (a INT PRIMARY KEY)",
            "INSERT INTO bag SELECT seq FROM seq_1_to_300", "SET GLOBAL rpl_semi_sync_source_enabled = ON")
    waiting("INSERT INTO other VALUES (1000)")
    setup = make_setup(f"{db}.bag")
    run = setup.daemon("run").start()
    wait_until("the stream", lambda: "streaming of" in run.log())
    assert run_sql(connection, "SHOW STATUS LIKE 'Rpl_semi_sync_source_clients'")[0][1] == "0"
    time.sleep(2)
    print("copied early" if copied(run, setup, f"{db}.bag") else "waited")
    waiting.release()
    setup.wait_delivered(source_position(connection), run)
    assert compare_multiset(setup.reader.records(setup.topic(f"{db}.bag")), connection, db, "bag") == 300
    run.stop()
