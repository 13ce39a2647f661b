"""The page, looked at by a real browser, against real daemons: numbers, curves, versions, a replay."""
import json
import re
import shutil
import subprocess
import urllib.request

import pytest

from harness import wait_until
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


def test_both_daemons_serve_health_metrics_and_the_page(site, browse):
    setup = site.setup
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    load = site.start_load(seconds=20, rate=100)
    wait_until("the views", lambda: live(setup, "group_members", "member_groups"), every=0.5)
    for verb in ("run", "project"):
        base = f"http://{setup.http[verb]}"
        assert get(f"{base}/healthz")[0] == 200
        assert get(f"{base}/readyz")[0] == 200
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
