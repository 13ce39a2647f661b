"""The README's first own view, as written, and `make demo` as a newcomer runs it."""
import re
import subprocess

from harness import MILLRACE, ROOT, wait_until
from test_views import live


def test_first_own_view_as_the_readme_says(site):
    setup = site.setup
    run = setup.daemon("run").start()
    project = setup.daemon("project").start()
    wait_until("the views", lambda: live(setup, "group_members", "member_groups"), every=0.5)
    readme = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"```sh\n(\. build/demo/env.*?)```", readme, re.S)
    env = setup.folder / "env"
    env.write_text(f"export DEMO_SITE='{setup.folder}'\nexport PATH='{MILLRACE.parent}':\"$PATH\"\n" +
                   "".join(f"export {k}='{v}'\n" for k, v in setup.env.items()))
    script = block.replace(". build/demo/env", f". {env}").replace("meetup.", f"{setup.name}.")
    out = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert out.returncode == 0, out.stdout + out.stderr
    print(out.stdout)
    rows = re.findall(r"^\d+\|[^|]+\|\d+$", out.stdout, re.M)
    assert len(rows) == 5, out.stdout
    project.stop()
    run.stop()


def test_the_demo():
    out = subprocess.run(["make", "demo"], capture_output=True, text=True, timeout=400, cwd=ROOT, stdin=subprocess.DEVNULL)
    print(out.stdout[-6000:])
    assert out.returncode == 0, out.stdout[-3000:] + out.stderr[-3000:]
    last = "\n".join(out.stdout.splitlines()[-8:])
    for word in ("rows captured", "events published", "view rows", "differences", "events/s"):
        assert word in last, last
