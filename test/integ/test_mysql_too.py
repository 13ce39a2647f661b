"""What the other suites show on MariaDB, on MySQL: copies, comparisons, statements, cascades, XA, what is rolled back.

The tests are those suites' own, in their words (dialect.py). Here is a choice of them, so that `make test` stays short;
`make test DATABASE=mysql:8.0` runs whole suites on any server.
"""
import pytest

from harness import servers_of, those_there
from test_cascades import test_parents_that_are_not_captured  # noqa: F401
from test_copy import test_altered_meanwhile, test_key_changed_meanwhile, test_without_a_key, test_without_transactions  # noqa: F401
from test_copy_keys import test_keys_at_the_edges  # noqa: F401
from test_ddl import (shop, test_alters_that_change_rows_are_healed, test_rows_leave_with_truncate_and_drop,  # noqa: F401
                      test_statements_in_statement_format_are_healed, test_temporary_tables_never_count,
                      test_truncate_and_drop_are_one_seq_in_every_partition)
from test_projection import test_verify_beside_tables_that_are_not_captured, test_verify_tells_values_apart  # noqa: F401
from test_reconcile_keyless import test_rows_changed_without_the_binlog, test_under_heavy_writes_and_kills  # noqa: F401
from test_views import test_the_difference_is_exactly_the_disabled_members  # noqa: F401
from test_xa import test_xa_in_the_middle_of_a_first_copy, test_xa_is_delivered_at_its_commit, xa  # noqa: F401


@pytest.fixture(scope="module", params=those_there("mysql:8.0"))
def servers(request):
    with servers_of(request.param) as made:
        yield made
