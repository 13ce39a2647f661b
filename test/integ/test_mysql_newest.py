"""As test_mysql_too.py, of the newest MySQL: less, and what needs a plugin that only its package has."""
import pytest

from fold import check_seq, compare
from harness import run_sql, servers_of, source_position, those_there
from test_copy import test_without_a_key  # noqa: F401
from test_ddl import shop, test_statements_in_statement_format_are_healed  # noqa: F401
from mysql_marks import test_a_copy_waits, test_another_table_is_changed_between, waiting  # noqa: F401
from test_views import test_the_difference_is_exactly_the_disabled_members  # noqa: F401
from test_xa import test_xa_is_delivered_at_its_commit, xa  # noqa: F401


@pytest.fixture(scope="module", params=those_there("mysql:9.7"))
def servers(request):
    with servers_of(request.param) as made:
        yield made


def test_children_are_in_the_binlog(database, make_setup):
    """Since 9.6 a cascade writes the rows that it changes: they arrive in the parent's transaction, and comparing finds nothing."""
    db, connection = database
    run_sql(connection, "CREATE TABLE p (id INT PRIMARY KEY)", "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)",
            "CREATE TABLE n (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL)",
            "INSERT INTO p VALUES (1), (2)", "INSERT INTO c VALUES (10, 1), (11, 1), (20, 2)", "INSERT INTO n VALUES (10, 1), (20, 2)")
    setup = make_setup(f"{db}.*")
    run = setup.daemon("run").start()
    setup.wait_delivered(source_position(connection), run)
    run_sql(connection, "DELETE FROM p WHERE id = 1")
    setup.wait_delivered(source_position(connection), run)
    run.stop()
    ops = {}
    for table in ("p", "c", "n"):
        records = setup.reader.records(setup.topic(f"{db}.{table}"))
        compare(records, connection, db, table, ["id"])
        ops[table] = sorted((v["op"], v["transaction"]["id"]) for *_, v in records if v["op"] != "r")
    gtid = ops["p"][0][1]
    assert ops == {"p": [("d", gtid)], "c": [("d", gtid), ("d", gtid)], "n": [("u", gtid)]}
    check_seq(setup)
