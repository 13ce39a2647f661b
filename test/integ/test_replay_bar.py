"""What `millrace replay` draws on a terminal: read from the other end of one."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

from harness import MILLRACE, run_sql, source_position, wait_until
from test_projection import write_view
from test_views import live

COLUMNS = 150
BUILDING = re.compile(r"^building  \[=*>? *\]\s+(\d+) %  ([\d,]+) of ([\d,]+) events(  [\d,]+/s)?(  [\d.]+ (s|min \d\d s) left)?(  slowest \S+-\d+: [\d,]+ left)?$")


def number(text):
    return int(text.replace(",", ""))


def drawn_by(words, setup, columns=COLUMNS):
    """(exit code, standard output, every state of each line of the terminal, what is left there)"""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([str(MILLRACE), *words], cwd=setup.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=end,
                          env={**os.environ, **setup.env, "TERM": "xterm"}) as process:
        os.close(end)
        said = b""
        try:
            while part := os.read(terminal, 65536):
                said += part
        except OSError:
            pass        # the other end is closed
        out = process.stdout.read().decode()
        code = process.wait(60)
    os.close(terminal)
    lines = said.decode().split("\r\n")
    states = [[s.removesuffix("\x1b[K") for s in line.split("\r") if s] for line in lines]
    return code, out, states, [s[-1] for s in states if s]


def test_the_bar_of_a_replay(database, make_setup):
    """It fills up, never runs over the line's end, says what is left, and each phase leaves its last state."""
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t SELECT seq, seq % 9 FROM seq_1_to_200000")
    setup = make_setup(f"{db}.t", project__nice_share=4)
    write_view(setup, db, columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the view", lambda: live(setup, "copy"), 120)
    setup.wait_delivered(source_position(connection), run)
    words = ("replay", "-c", str(setup.conf), "copy", "--force", "--nice")
    code, out, states, left = drawn_by(words, setup)
    print("\n".join(left))
    assert code == 0 and "version 2" in out, out
    plain = [state for line in states for state in line]
    assert "\x1b" not in "".join(plain) and max(len(state) for state in plain) < COLUMNS, plain
    built = [m for state in plain if (m := BUILDING.match(state))]
    odd = [state for state in plain if state.startswith("building  [") and not BUILDING.match(state)]
    assert not odd and len(built) > 5, (odd, plain)
    shares = [int(m[1]) for m in built]
    assert shares == sorted(shares) and shares[-1] == 100 and len(set(shares)) > 5, shares
    assert all(number(m[2]) <= number(m[3]) for m in built) and number(built[-1][3]) >= 200000
    assert any(m[4] and m[5] for m in built) and any(m[7] for m in built), plain
    assert left[0].startswith("building  [=") and " 100 % " in left[0] and " left" not in left[0], left
    code, out, states, left = drawn_by(words, setup, columns=50)      # no room for the bar: the numbers come first
    assert code == 0 and max(len(state) for line in states for state in line) < 50, states
    code, out, states, left = drawn_by((*words, "--json"), setup)
    assert code == 0 and out.startswith("{"), out
    project.stop()
    run.stop()
