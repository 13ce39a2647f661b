"""`make types` in small: every type of four servers, the same row by the stream, by the copy, by the server's own text and by
fastavro. Few values of each, some of the collations and a part of the large character sets."""
import sys
import time

import pytest

from harness import ROOT

sys.path.insert(0, str(ROOT / "test" / "types"))

import matrix                       # noqa: E402
from report import Report           # noqa: E402

VALUES = 40


@pytest.mark.parametrize("database", [pytest.param("mysql:8.0", marks=pytest.mark.long), "mysql:9.7", "mariadb:10.11",
                                      pytest.param("mariadb:11.8", marks=pytest.mark.long)])
def test_every_type(servers, tmp_path, database):
    seed = int(time.time())
    options = matrix.arguments(["--seed", str(seed), "--values", str(VALUES), "--sampled"])
    there, without = matrix.fetched([database])
    if without and database == "mysql:9.7":     # Debian's sid does not have it every day: make test names it in its last line
        return
    assert there == [database], without
    print("seed", seed)
    report = Report(seed)
    matrix.one(database, tmp_path, servers.bootstrap, report, options)
    assert not report.differences, report.differences[:5]
    assert not report.skipped, report.skipped
    assert not report.too_few(VALUES)
    assert report.types() > 100, "most types were never tried"
