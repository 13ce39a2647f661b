"""Read your own writes: /api/wait answers when the view has applied the GTID of a commit."""
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from harness import run_sql, wait_until
from test_projection import write_view
from test_view_troubles import answer


def ask(setup, **query):
    url = f"http://{setup.http['project']}/api/wait?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(url, timeout=120) as got:
            return got.status, json.loads(got.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def last_gtid(connection):
    return run_sql(connection, "SELECT @@last_gtid")[0][0]


def test_a_write_is_seen_after_the_wait(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "CREATE TABLE other (id INT PRIMARY KEY)",
            "INSERT INTO t SELECT seq, 1 FROM seq_1_to_100")
    setup = make_setup(f"{db}.t")
    write_view(setup, db, columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()
    wait_until("the first build", lambda: answer(setup, "SELECT COUNT(*) FROM rows") == (100,))
    slowest = 0
    for i in range(30):
        run_sql(connection, f"INSERT INTO t VALUES ({1000 + i}, {i})", "COMMIT")
        begun = time.monotonic()
        code, said = ask(setup, view="copy", gtid=last_gtid(connection), timeout=60)
        slowest = max(slowest, time.monotonic() - begun)
        assert code == 200, said
        assert answer(setup, f"SELECT part FROM rows WHERE id = {1000 + i}") == (str(i),)
    print(f"slowest of 30 waits: {slowest * 1000:.0f} ms")
    run_sql(connection, "INSERT INTO other VALUES (1)", "COMMIT")       # a transaction that is not captured
    assert ask(setup, view="copy", gtid=last_gtid(connection), timeout=60)[0] == 200
    domain, server, seq = last_gtid(connection).split("-")
    ahead = f"{domain}-{server}-{int(seq) + 60}"
    code, said = ask(setup, view="copy", gtid=ahead, timeout="500ms")
    assert code == 504 and said["gtid_set"] and said["seq"] > 0, said
    for query, wanted in (({"view": "nobody", "gtid": ahead}, 404), ({"view": "copy", "gtid": "yesterday"}, 400), ({"view": "copy"}, 400),
                          ({"view": "copy", "gtid": ahead, "timeout": "soon"}, 400)):
        assert ask(setup, **query)[0] == wanted, query
    # a hundred wait at once, more than the server has threads, and the page is served meanwhile
    got = []
    waiters = [threading.Thread(target=lambda: got.append(ask(setup, view="copy", gtid=ahead, timeout=100))) for _ in range(100)]
    for w in waiters:
        w.start()
    time.sleep(1)
    assert not got
    with urllib.request.urlopen(f"http://{setup.http['project']}/healthz", timeout=30) as page:
        assert page.status == 200
    while int(last_gtid(connection).split("-")[2]) < int(seq) + 60:
        run_sql(connection, "UPDATE t SET part = part + 1 WHERE id = 1", "COMMIT")
    for w in waiters:
        w.join()
    assert [code for code, _ in got] == [200] * 100, got[:3]
    # a daemon that ends answers those who wait
    late = threading.Thread(target=lambda: got.append(ask(setup, view="copy", gtid="0-1-999999999", timeout=100)))
    late.start()
    time.sleep(0.5)
    begun = time.monotonic()
    project.stop()
    late.join()
    assert got[-1][0] == 503 and time.monotonic() - begun < 20, got[-1]
    run.stop()


def test_a_view_that_is_not_ready_refuses(database, make_setup):
    db, connection = database
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, part INT)", "INSERT INTO t SELECT seq, 1 FROM seq_1_to_20000")
    setup = make_setup(f"{db}.t", copy__rate=2000)
    write_view(setup, db, columns=["id", "part"], key=("id",))
    run, project = setup.daemon("run").start(), setup.daemon("project").start()

    def refused():
        try:
            return ask(setup, view="copy", gtid="0-1-1", timeout=1)
        except (urllib.error.URLError, ConnectionError):
            return None
    code, said = wait_until("an answer", refused)
    assert code == 409 and "incomplete" in said["error"], said
    project.stop()
    run.stop()
