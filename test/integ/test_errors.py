"""What bad input gets: one clear answer, the documented exit code, nothing half-written."""
import socket

import pytest

from fold import compare
from harness import purge_binlogs, run_sql, source_position

CONFIG, UNREACHABLE, PURGED = 3, 5, 8


@pytest.fixture
def table(database):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))", "INSERT INTO t VALUES (1, 'a')")
    return db, connection


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ends_with(setup, code, *words, verb="run", flags=()):
    out = setup.millrace(verb, *flags)
    said = out.stdout + out.stderr
    assert out.returncode == code, said
    for word in words:
        assert word in said, f"{word!r} is not in:\n{said}"
    assert "HINT" in said or 'hint="' in said, f"no hint in:\n{said}"
    return said


def test_all_mistakes_of_a_configuration_at_once(make_setup):
    setup = make_setup("a.b")
    setup.conf.write_text("[millrace]\nname = x\n[source]\nprot = 3306\nport = 99999999\n[capture]\ntabels = a.b\n"
                          "memory = lots\n[nosuch]\nkey = 1\n[log]\nlevel = loud\n")
    said = ends_with(setup, CONFIG, "millrace.conf:4", "port", "millrace.conf:5", "millrace.conf:7", "tables", "millrace.conf:8",
                     "millrace.conf:10", "millrace.conf:12")
    assert said.count("HINT") >= 3


def test_unknown_verb_and_flag(make_setup):
    setup = make_setup("a.b")
    out = setup.millrace("chekc")
    assert out.returncode == 2 and "check" in out.stderr
    out = setup.millrace("run", "--source.prot=1")
    assert out.returncode in (2, 3) and "source.port" in out.stderr


def test_wrong_password(table, make_setup):
    setup = make_setup(f"{table[0]}.t")
    (setup.folder / "wrong").write_text("wrong\n")
    ends_with(setup, CONFIG, "millrace", flags=[f"--source.password_file={setup.folder / 'wrong'}"])


def test_a_table_that_is_not_there(table, make_setup):
    ends_with(make_setup(f"{table[0]}.nosuch"), CONFIG, "nosuch")


def test_a_key_that_cannot_be_copied(database, make_setup):
    """The server's own WEIGHT_STRING does not sort as this collation does: nobody can tell the order of its keys."""
    db, connection = database
    run_sql(connection, "CREATE TABLE k (id VARCHAR(9) COLLATE utf8mb4_uca1400_nopad_ai_cs PRIMARY KEY)")
    ends_with(make_setup(f"{db}.k"), CONFIG, f"{db}.k")


def test_a_table_that_cascades_is_refused_unless_told(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE p (id INT PRIMARY KEY)",
            "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)")
    setup = make_setup(f"{db}.*", capture__cascades="refuse")
    ends_with(setup, CONFIG, f"{db}.c", "capture.cascades")
    out = setup.millrace("check")
    assert out.returncode == CONFIG and f"{db}.c" in out.stdout, out.stdout + out.stderr
    run = setup.daemon("run", "--capture.cascades=warn").start()
    setup.wait_delivered(source_position(connection), run)
    assert f"{db}.c" in run.log()
    run.stop()


def test_row_format_and_image_are_asked_for(servers, table, make_setup):
    setup = make_setup(f"{table[0]}.t")
    for name, bad, good in [("binlog_format", "MIXED", "ROW"), ("binlog_row_image", "MINIMAL", "FULL")]:
        run_sql(table[1], f"SET GLOBAL {name} = {bad}")
        try:
            ends_with(setup, CONFIG, name, good)
        finally:
            run_sql(table[1], f"SET GLOBAL {name} = {good}")


def test_a_history_topic_that_deletes_is_refused(servers, table, make_setup):
    from confluent_kafka.admin import AdminClient, NewTopic
    setup = make_setup(f"{table[0]}.t")
    admin = AdminClient({"bootstrap.servers": servers.bootstrap})
    topic = setup.topic(f"{table[0]}.t")
    for f in admin.create_topics([NewTopic(topic, 3, 1, config={"retention.ms": "604800000"})]).values():
        f.result(10)
    ends_with(setup, CONFIG, topic, "retention")


def test_data_topics_without_a_position_are_refused(servers, table, make_setup):
    from confluent_kafka.admin import AdminClient
    setup = make_setup(f"{table[0]}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(table[1]), run)
    run.stop()
    admin = AdminClient({"bootstrap.servers": servers.bootstrap})
    for f in admin.delete_topics([f"{setup.name}.position"]).values():
        f.result(10)
    ends_with(setup, CONFIG, "position", "adopt")


def test_purged_binlog_says_from_where(servers, table, make_setup):
    setup = make_setup(f"{table[0]}.t")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(table[1]), run)
    run.stop()
    run_sql(table[1], f"INSERT INTO {table[0]}.t VALUES (2, 'b')")
    purge_binlogs(table[1])
    ends_with(setup, PURGED)


def test_a_daemon_waits_for_kafka_and_the_verbs_do_not(table, make_setup):
    setup = make_setup(f"{table[0]}.t", kafka__bootstrap=f"127.0.0.1:{closed_port()}", kafka__timeout="2s")
    out = setup.millrace("lag")
    assert out.returncode == UNREACHABLE and "127.0.0.1" in out.stderr, out.stderr


def test_source_away(table, make_setup):
    setup = make_setup(f"{table[0]}.t", source__connect_timeout="1s")
    out = setup.millrace("check", f"--source.port={closed_port()}")
    assert out.returncode == UNREACHABLE, out.stdout + out.stderr


def test_view_mistakes_are_all_named(make_setup):
    setup = make_setup("a.b")
    view = setup.folder / "views" / "bad"
    (view / "on").mkdir(parents=True)
    (view / "view.conf").write_text("owner = me\ninptus = x.y\nkey.t = id\n")
    (view / "tables.sql").write_text("CREATE TABLE t (id INTEGER PRIMARY KEY);\nCREATE TABEL u (id);\n")
    (view / "on" / "Came.sql").write_text("INSERT INTO nosuch VALUES (:id);\n")
    out = setup.millrace("view", "test", str(view))
    assert out.returncode == CONFIG, out.stdout + out.stderr
    for word in ("view.conf:2", "inputs", "tables.sql:2"):
        assert word in out.stderr, f"{word!r} is not in:\n{out.stderr}"
    (view / "view.conf").write_text("owner = me\ninputs = x.y\nkey.t = id\n")
    (view / "tables.sql").write_text("CREATE TABLE t (id INTEGER PRIMARY KEY);\n")
    out = setup.millrace("view", "test", str(view))
    assert out.returncode == CONFIG, out.stdout + out.stderr
    assert "Came.sql:1" in out.stderr and "nosuch" in out.stderr, out.stderr
