"""The page, looked at by a real browser, against real daemons: numbers, curves, versions, a replay."""
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest

from harness import MILLRACE, run_sql, wait_until
from test_projection import write_view
from test_view_troubles import answer, status
from test_view_verbs import shown
from test_views import FIX, live


@pytest.fixture
def browse(tmp_path):
    """dom(url) -> the page's DOM after its scripts ran for some seconds."""
    chromium = shutil.which("chromium")
    assert chromium, "chromium is not installed: run scripts/setup"

    def dom(url, seconds=6):
        out = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                              "--disable-background-networking", "--disable-component-update", "--disable-sync",
                              f"--user-data-dir={tmp_path}/chromium", f"--timeout={seconds * 1000}",
                              f"--virtual-time-budget={seconds * 1000}", "--dump-dom", url],
                             capture_output=True, text=True, timeout=90)
        assert out.returncode == 0, out.stderr
        return out.stdout

    return dom


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, answer.read().decode()


def ready(base):
    try:
        return get(f"{base}/readyz")[0] == 200
    except urllib.error.HTTPError as answer:
        assert answer.code == 503, answer
        return False


def test_both_daemons_serve_health_metrics_and_the_page(site, browse):
    setup = site.setup
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    load = site.start_load(seconds=20, rate=100)
    wait_until("the views", lambda: live(setup, "group_members", "member_groups"), every=0.5)
    for verb in ("run", "project"):
        base = f"http://{setup.http[verb]}"
        assert get(f"{base}/healthz")[0] == 200
        wait_until("it to be ready", lambda: ready(base), 60)
        _, metrics = get(f"{base}/metrics")
        assert metrics.rstrip().endswith("# EOF"), metrics[-200:]
        assert "millrace_" in metrics
        _, status = get(f"{base}/api/status")
        assert {p["name"] for p in json.loads(status)["processes"]} >= {"group_members", "member_groups"}
    page = browse(f"http://{setup.http['project']}/")
    for view in ("group_members", "member_groups"):
        assert view in page
    assert re.search(r"<(path|polyline)[^>]* (d|points)=\"[^\"]{20,}", page), "no curve was drawn"
    for stage in ("source", "read", "delivered"):
        assert re.search(rf'data-stage="{stage}"', page), f"stage {stage} is not on the page"
    shutil.copytree(FIX / "group_members", setup.folder / "views" / "group_members", dirs_exist_ok=True)
    out = setup.millrace("replay", "group_members")
    assert out.returncode == 0, out.stderr
    page = browse(f"http://{setup.http['run']}/")
    assert re.search(r"v(ersion )?2", page), "version 2 is not on the page"
    assert load.wait(90) == 0
    project.stop()
    run.stop()


def gauge(setup, name):
    """What /metrics says of the view `copy`."""
    metrics = get(f"http://{setup.http['project']}/metrics")[1]
    found = re.search(rf'^millrace_view_{name}{{[^}}]*view="copy"[^}}]*}} (\S+)$', metrics, re.M)
    assert found, f"{name} is not in the metrics"
    return float(found[1])


def test_a_replay_its_shadow_and_what_was_verified(database, make_setup, browse):
    """What a person sees of them on the page, and what an alert is made of in the metrics: the same numbers."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t SELECT seq, 1 FROM seq_1_to_300000")
    setup = make_setup(f"{db}.t", project__nice_share=1, project__shadow_interval="1s")
    folder = write_view(setup, db, columns=["id", "part"], key=("id",))
    tables = folder / "tables.sql"
    tables.write_text(tables.read_text().replace('"part" TEXT', '"part" TEXT CHECK (CAST(part AS INTEGER) < 1000)'))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (300000,), 120)
    page = browse(f"http://{setup.http['project']}/")
    assert "Never verified against the source: millrace verify copy" in page and 'data-replay="' not in page
    handler = folder / "on" / f"{db}.t.insert.sql"
    handler.write_text(handler.read_text().replace(":part", "CASE WHEN :id <= 40 THEN 9 ELSE :part END"))
    asked = subprocess.Popen([str(MILLRACE), "replay", "-c", str(setup.conf), "copy", "--no-swap", "--nice"], cwd=setup.folder,
                             env={**os.environ, **setup.env}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("the build", lambda: any(v["version"] == 2 and v["records"] > 0 for v in shown(setup)["versions"]), 60)

    def told():
        views = [p for p in json.loads(get(f"http://{setup.http['run']}/api/status")[1])["processes"] if p["kind"] == "view"]
        return any(v["version"] == 2 and v["records"] > 0 and v["rate"] > 0 for p in views for v in p["versions"])
    wait_until("capture to tell of it", told, 60)
    page = browse(f"http://{setup.http['run']}/")        # any process tells of it
    assert re.search(r'data-replay="2"', page), "no replay on the page"
    said = re.search(r'>(Building v2: [^<]*)<', page)
    assert said and re.fullmatch(r"Building v2: \d+ %, \S+ of 300,0\d\d records, \S+/s, .+ left", said[1]), said and said[1]
    said = re.search(r">(Slowest: [^<]*)<", page)
    assert said and re.fullmatch(rf"Slowest: {setup.name}\.{db}\.t-\d, \S+ left", said[1]), said and said[1]
    assert 300000 <= gauge(setup, "records_total") < 301000 and 0 < gauge(setup, "records") < 300000
    assert gauge(setup, "build_left_seconds") > 0 and gauge(setup, "build_slowest_left") > 0
    assert setup.millrace("view", "drop", "copy", "2").returncode == 0
    assert asked.wait(60) != 0
    out = setup.millrace("replay", "copy", "--no-swap")
    assert out.returncode == 0, out.stdout + out.stderr
    wait_until("a comparison", lambda: gauge(setup, "differing_rows") == 40, 60)
    assert setup.millrace("verify", "copy").returncode == 0
    run_sql(connection, "INSERT INTO t VALUES (300001, 5000)")
    wait_until("what is parked", lambda: status(setup)["parked"] == 1, 60)
    page = browse(f"http://{setup.http['project']}/")
    assert re.search(r'data-differing="40"', page) and "40 rows differ from the live version" in page
    assert "v3 is ready: `millrace replay copy --swap` makes it live" in page
    assert re.search(r'data-differences="0"', page) and "Verified at GTID" in page
    assert re.search(r'data-parked="1"', page) and "1 record could not be applied: millrace parked list --view copy" in page
    assert re.findall(r'data-version="(\d)"', page) == ["3", "1"]
    assert gauge(setup, "parked") == 1 and gauge(setup, "verified_rows") == 300000 and gauge(setup, "verified_differences") == 0
    assert gauge(setup, "verified_timestamp_seconds") > 1e9 and gauge(setup, "live_version") == 1
    project.stop()
    run.stop()
