"""Views over MySQL as the source: as they were by its GTID sets, and read behind one's own writes."""
import time

import pytest

from harness import run_sql, servers_of, source_position, those_there, wait_until
from test_mysql import make_mysql_setup  # noqa: F401 - a fixture
from test_projection import write_view
from test_replay_jobs import rows_of
from test_view_troubles import answer
from test_view_verbs import refused, shown
from test_wait import ask


@pytest.fixture(scope="module", params=those_there("mysql:8.0"))
def mysql(request):
    with servers_of(request.param) as made:
        yield made


@pytest.fixture
def viewed(mysql, make_mysql_setup):  # noqa: F811
    """A table, and the view of it, which has been built."""
    c = mysql.connect()
    run_sql(c, "CREATE DATABASE IF NOT EXISTS seen CHARACTER SET utf8mb4", "USE seen", "DROP TABLE IF EXISTS t", "CREATE TABLE t (id INT PRIMARY KEY, part INT)",
            "INSERT INTO t VALUES (0, 0)")
    setup = make_mysql_setup("seen.t")
    write_view(setup, "seen", columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (1,), 120)
    yield setup, c, run, project
    project.stop()
    run.stop()


def executed(c):
    return run_sql(c, "SELECT @@gtid_executed")[0][0].replace("\n", "")


def last_of(text):
    """The newest GTID of a set with one UUID: 'uuid:1-17' -> 'uuid:17'."""
    uuid, _, intervals = text.partition(":")
    return f"{uuid}:{intervals.split(':')[-1].split('-')[-1]}"


def test_as_it_was_by_gtid_sets(viewed):
    """By a whole set, by one GTID, by time, between a prefix and what came behind it; what is not in the history is refused."""
    setup, c, run, _ = viewed
    moments = []
    for i in range(1, 31):
        run_sql(c, "BEGIN", f"INSERT INTO t VALUES ({i}, {i})", f"UPDATE t SET part = part + {i} WHERE id < {i}", "COMMIT")
        if i in (8, 20):
            state = [(a, str(b)) for a, b in run_sql(c, "SELECT id, part FROM t ORDER BY id")]
            moments.append((executed(c), str(run_sql(c, "SELECT UTC_TIMESTAMP(6)")[0][0]), state))
            time.sleep(0.2)
    run_sql(c, "CREATE TABLE IF NOT EXISTS other (id INT PRIMARY KEY)")      # the last ones aren't captured
    setup.wait_delivered(source_position(c), run)
    wait_until("the end", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (31,))
    (whole, _, first), (later, at, second) = moments
    assert ":" in whole and "-" in whole.split(":")[1]
    for number, when, wanted in ((2, whole, first), (3, last_of(later), second), (4, at, second)):
        out = setup.millrace("replay", "copy", "--as-of", when)
        assert out.returncode == 0, out.stdout + out.stderr
        assert rows_of(setup, number) == wanted, when
    version = next(v for v in shown(setup)["versions"] if v["version"] == 3)
    assert version["as_of"] == last_of(later) and version["state"] == "as-of", version
    for number in (2, 3, 4):
        assert setup.millrace("view", "drop", "copy", str(number)).returncode == 0
    uuid, _, n = last_of(executed(c)).partition(":")
    refused(setup.millrace("replay", "copy", "--as-of", f"{uuid}:{int(n) + 1000}"), "not in the history")
    refused(setup.millrace("replay", "copy", "--as-of", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"), "not in the history")
    refused(setup.millrace("replay", "copy", "--as-of", "3e11fa47:1"), "neither a GTID nor a time")


def test_a_write_is_seen_after_the_wait(viewed):
    """The GTID that the server sends with the commit (session_track_gtids), and the whole set."""
    setup, c, _, _ = viewed
    for i in range(15):
        run_sql(c, f"INSERT INTO t VALUES ({1000 + i}, {i})")
        gtid = last_of(executed(c)) if i % 2 else executed(c)
        code, said = ask(setup, view="copy", gtid=gtid, timeout=60)
        assert code == 200, said
        assert answer(setup, f"SELECT part FROM rows WHERE id = {1000 + i}") == (str(i),)
    run_sql(c, "CREATE TABLE IF NOT EXISTS another (id INT PRIMARY KEY)", "INSERT IGNORE INTO another VALUES (1)")     # not captured
    assert ask(setup, view="copy", gtid=last_of(executed(c)), timeout=60)[0] == 200
    uuid, _, n = last_of(executed(c)).partition(":")
    code, said = ask(setup, view="copy", gtid=f"{uuid}:{int(n) + 50}", timeout="500ms")
    assert code == 504 and uuid in said["gtid_set"] and said["seq"] > 0, said
    code, said = ask(setup, view="copy", gtid=f"{uuid}:{n},{uuid}:", timeout=1)
    assert code == 400, said
