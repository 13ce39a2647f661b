"""The cases: what is written, what must arrive, and how much memory the daemons may have taken for it."""
import base64
import os
import signal
import sqlite3
import threading
import time

from pymysql.constants import CLIENT

from memory_world import CAPTURE_MB, WORKER_MB, Failed, Peak, Result, Sum, Topic, check_seqs, run_sql, wait_until
from postgresql import Postgresql

MB = 1 << 20


def bodies(connection, count, size):
    """A table of texts that don't compress, to be joined with: the server multiplies them faster than a client sends them."""
    run_sql(connection, "CREATE TABLE body (id INT PRIMARY KEY, body MEDIUMTEXT CHARACTER SET ascii)")
    for i in range(count):
        text = base64.b64encode(os.urandom(size * 3 // 4 + 3)).decode()[:size]
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO body VALUES (%s, %s)", (i, text))


def started(w, setup, connection):
    """Capture on empty tables, so that all that follows comes from the binlog."""
    run = setup.daemon("run").start()
    peak = Peak(run)
    w.delivered(setup, run, connection)
    return run, peak


def check_topic(setup, table, connection, column):
    """What arrived is what the source has; every seq is there."""
    total = Sum(column)
    topic = Topic(setup.reader, setup.topic(table), see=total)
    check_seqs(topic.seqs, table)
    return total.check(connection, table)


def check_said(run, table, size):
    """A row larger than the budget is named in the log: table, transaction, size."""
    lines = [l for l in run.log().splitlines() if "is larger than capture.memory" in l]
    if not any(table in l and "transaction 0-1-" in l and f"a row of {size // 1000}"[:-1] in l for l in lines):
        raise Failed(f"the log doesn't say that a row of {table} is larger than the budget: {lines}")


def huge_transaction(w):
    """One source transaction of 4 GB: 400,000 rows of 10 kB, many times the budget and the ring."""
    rows = int(400_000 * w.scale)
    db, connection = w.database()
    bodies(connection, 1000, 10_000)
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, body MEDIUMTEXT CHARACTER SET ascii)")
    setup = w.setup(f"{db}.t")
    run, peak = started(w, setup, connection)
    run_sql(connection, f"INSERT INTO t SELECT seq, CONCAT(seq, b.body) FROM seq_1_to_{rows} JOIN body b ON b.id = seq % 1000")
    w.delivered(setup, run, connection)
    mb = peak.done()
    run.stop()
    text = check_topic(setup, f"{db}.t", connection, "body")
    what = ("4 GB transaction" if w.scale == 1 else "huge transaction") + (", MySQL" if w.servers.engine == "mysql" else "")
    return [Result(what, "capture", mb, w.capture_mb, text)]


def large_blob(w):
    """A row of 64 MB, twice the budget: it may add twice its own size, and is too large for a record."""
    size = int(64 * MB * w.scale)
    db, connection = w.database()
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, body LONGBLOB)")
    setup = w.setup(f"{db}.t")
    run, peak = started(w, setup, connection)
    block = os.urandom(MB)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1, REPEAT(%s, %s))", (block, size // MB))
    run_sql(connection, "INSERT INTO t VALUES (2, 'behind it')")
    w.delivered(setup, run, connection)
    mb = peak.done()
    run.stop()
    check_said(run, f"{db}.t", size)
    records = setup.reader.records(setup.topic(f"{db}.t"))
    check_seqs([value["source"]["seq"] for *_, value in records], f"{db}.t")
    return [Result(f"{size // MB} MB row", "capture", mb, w.capture_mb + 2 * size / MB, f"{len(records)} records")]


def create_tables(w, db, numbers):
    """Statements of many tables each: a round trip costs more than a table."""
    connection = w.connect(database=db, client_flag=CLIENT.MULTI_STATEMENTS)
    with connection.cursor() as cursor:
        for at in range(0, len(numbers), 100):
            cursor.execute(";".join(f"CREATE TABLE t{n} (id INT PRIMARY KEY, v VARCHAR(40), at DATETIME);"
                                    f"INSERT INTO t{n} VALUES (1, 'one', NOW()), (2, 'two', NULL)"
                                    for n in numbers[at:at + 100]))
            while cursor.nextset():
                pass
    connection.close()


def many_tables(w):
    """Ten thousand tables: the first copy of each, then a change to each, and all of it once more after a restart."""
    count = int(10_000 * w.scale)
    db, connection = w.database()
    create_tables(w, db, list(range(count)))
    setup = w.setup(f"{db}.*", kafka__partitions=1)
    run = setup.daemon("run").start()
    peak = Peak(run)
    w.delivered(setup, run, connection, 1800)
    change = ";".join(f"UPDATE t{n} SET v = 'changed' WHERE id = 2" for n in range(count)).split(";")
    for at in range(0, count, 100):
        run_sql(connection, "BEGIN", *change[at:at + 100], "COMMIT")
    w.delivered(setup, run, connection, 600)
    results = [peak.done()]
    run.stop()
    run.start()
    peak = Peak(run)
    for at in range(0, count, 100):
        run_sql(connection, "BEGIN", *[c.replace("changed", "again") for c in change[at:at + 100]], "COMMIT")
    w.delivered(setup, run, connection, 600)
    results.append(peak.done())
    run.stop()
    seqs = Topic(setup.reader, *[setup.topic(f"{db}.t{n}") for n in range(count)]).seqs
    check_seqs(seqs, db)
    if len(seqs) != 4 * count:
        raise Failed(f"{db}: {len(seqs)} records instead of {4 * count}")
    return [Result(f"{count:,} tables, {what}", "capture", mb, w.capture_mb, f"{len(seqs):,} records in {count:,} topics")
            for what, mb in zip(("first copy", "restarted"), results)]


def broker_pid(servers):
    with open(f"{servers.env['SERVERS_HOME']}/kafka/1/pid") as file:
        return int(file.read())


class Writer(threading.Thread):
    """Writes until told to stop."""

    def __init__(self, w, db, statement):
        super().__init__(daemon=True)
        self.connection, self.statement, self.stopping, self.failure, self.count = w.connect(database=db), statement, False, None, 0

    def run(self):
        try:
            while not self.stopping:
                run_sql(self.connection, self.statement.format(self.count))
                self.count += 1
        except Exception as failure:  # shown by stop()
            self.failure = failure

    def stop(self):
        self.stopping = True
        self.join()
        if self.failure:
            raise self.failure
        self.connection.close()


def silent_broker(w):
    """A broker that answers nothing, for minutes, while the source writes what it can."""
    db, connection = w.database()
    bodies(connection, 100, 4000)
    run_sql(connection, "CREATE TABLE t (id BIGINT PRIMARY KEY AUTO_INCREMENT, body TEXT CHARACTER SET ascii)")
    setup = w.setup(f"{db}.t")
    run, peak = started(w, setup, connection)
    writer = Writer(w, db, "INSERT INTO t (body) SELECT body FROM body")
    writer.start()
    wait_until("some load", lambda: writer.count > 20, 60)
    pid = broker_pid(w.servers)
    os.kill(pid, signal.SIGSTOP)
    try:
        end = time.monotonic() + 60 * w.minutes
        while time.monotonic() < end:
            if not run.alive():
                raise Failed(f"capture ended: {run.log_tail()}")
            time.sleep(1)
            if writer.count > 4000:     # 1.6 GB; the rest of the time it writes a little
                time.sleep(0.2)
                writer.stopping = writer.count > 8000
    finally:
        os.kill(pid, signal.SIGCONT)
    writer.stop()
    w.delivered(setup, run, connection)
    mb = peak.done()
    run.stop()
    text = check_topic(setup, f"{db}.t", connection, "body")
    return [Result(f"broker silent for {w.minutes:g} min", "capture", mb, w.capture_mb, text)]


def large_rows(w):
    """Rows just below the record limit, in one transaction; and rows just below the budget."""
    db, connection = w.database()
    rows, size = max(3, int(30 * w.scale)), 15_000_000
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, body LONGBLOB)")
    setup = w.setup(f"{db}.t")
    run, peak = started(w, setup, connection)
    block = os.urandom(MB)
    run_sql(connection, "BEGIN")
    with connection.cursor() as cursor:
        for i in range(rows):
            cursor.execute("INSERT INTO t VALUES (%s, LEFT(REPEAT(%s, 15), %s))", (i, block, size))
    run_sql(connection, "COMMIT")
    w.delivered(setup, run, connection)
    mb = peak.done()
    run.stop()
    text = check_topic(setup, f"{db}.t", connection, "body")
    # a row larger than the budget (of the small version) may add twice its size
    return [Result("rows of 15 MB", "capture", mb, max(w.capture_mb, CAPTURE_MB), text)]


def compressed_event(w):
    """MariaDB's compressed row events: small on the wire, large when inflated."""
    db, connection = w.database()
    size = int(12_000_000)
    run_sql(connection, "SET GLOBAL log_bin_compress = 1", "CREATE TABLE t (id INT PRIMARY KEY, body LONGTEXT CHARACTER SET ascii)")
    setup = w.setup(f"{db}.t")
    run, peak = started(w, setup, connection)
    try:
        for i in range(max(3, int(80 * w.scale))):
            run_sql(connection, f"INSERT INTO t VALUES ({i}, REPEAT('abcdefgh{i}', {size // (8 + len(str(i)))}))")
    finally:
        run_sql(connection, "SET GLOBAL log_bin_compress = 0")
    w.delivered(setup, run, connection)
    mb = peak.done()
    run.stop()
    text = check_topic(setup, f"{db}.t", connection, "body")
    return [Result("compressed events of 12 MB", "capture", mb, w.capture_mb, text)]


def payload(w):
    """MySQL's Transaction_payload: one event that inflates to more than 1 GB, row by row."""
    rows = int(110_000 * w.scale)
    db, connection = w.database()
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, body MEDIUMTEXT CHARACTER SET ascii)")
    setup = w.setup(f"{db}.t")
    run, peak = started(w, setup, connection)
    before = payload_events(w)
    run_sql(connection, "SET SESSION binlog_transaction_compression = ON",
            f"INSERT INTO t SELECT seq, REPEAT(MD5(seq), 300) FROM seq_1_to_{rows}")
    w.delivered(setup, run, connection)
    mb = peak.done()
    run.stop()
    if payload_events(w) != before + 1:
        raise Failed("the server wrote no payload")
    text = check_topic(setup, f"{db}.t", connection, "body")
    return [Result(f"payload of {rows * 9600 / 1e9:.2f} GB", "capture", mb, w.capture_mb, text)]


def payload_events(w):
    connection = w.connect()
    last = run_sql(connection, "SHOW BINARY LOGS")[-1][0]
    events = run_sql(connection, f"SHOW BINLOG EVENTS IN '{last}'")
    connection.close()
    return sum(event[2] == "Transaction_payload" for event in events)


def compressed_giant(w):
    """One compressed event that inflates to many times the budget: its row may add twice its size, no more."""
    db, connection = w.database()
    size = int(256 * MB * w.scale)
    run_sql(connection, "SET GLOBAL log_bin_compress = 1", "CREATE TABLE t (id INT PRIMARY KEY, body LONGTEXT CHARACTER SET ascii)")
    setup = w.setup(f"{db}.t")
    run, peak = started(w, setup, connection)
    try:
        run_sql(connection, f"INSERT INTO t VALUES (1, REPEAT('abcdefgh', {size // 8}))", "INSERT INTO t VALUES (2, 'behind it')")
    finally:
        run_sql(connection, "SET GLOBAL log_bin_compress = 0")
    w.delivered(setup, run, connection)
    mb = peak.done()
    run.stop()
    check_said(run, f"{db}.t", size)
    records = setup.reader.records(setup.topic(f"{db}.t"))
    check_seqs([value["source"]["seq"] for *_, value in records], f"{db}.t")
    return [Result(f"{size // MB} MB compressed row", "capture", mb, w.capture_mb + 2 * size / MB, f"{len(records)} records")]


def copy_large(w):
    """The first copy of rows of 1 MB: 2 GB."""
    db, connection = w.database()
    rows = int(2000 * w.scale)
    bodies(connection, 50, 1_000_000)
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, body MEDIUMTEXT CHARACTER SET ascii)",
            f"INSERT INTO t SELECT seq, CONCAT(seq, b.body) FROM seq_1_to_{rows} JOIN body b ON b.id = seq % 50")
    setup = w.setup(f"{db}.t")
    run = setup.daemon("run").start()
    peak = Peak(run)
    w.delivered(setup, run, connection)
    mb = peak.done()
    run.stop()
    text = check_topic(setup, f"{db}.t", connection, "body")
    return [Result("copy of 1 MB rows", "capture", mb, w.capture_mb, text)]


def copy_wide(w):
    """The first copy of a table of 1,000 columns, then changes to each row."""
    db, connection = w.database()
    rows, columns = int(20_000 * w.scale), 1000
    names = [f"c{i} {'INT' if i % 3 else 'VARCHAR(20)'}" for i in range(columns)]
    run_sql(connection, "SET innodb_strict_mode = 0", f"CREATE TABLE t (id INT PRIMARY KEY, body VARCHAR(40), {', '.join(names)})",
            f"INSERT INTO t SELECT seq, CONCAT('row ', seq), {', '.join(f'(seq + {i}) % 10000' for i in range(columns))} "
            f"FROM seq_1_to_{rows}")
    setup = w.setup(f"{db}.t")
    run = setup.daemon("run").start()
    peak = Peak(run)
    w.delivered(setup, run, connection)
    run_sql(connection, f"INSERT INTO t SELECT seq, CONCAT('row ', seq), {', '.join(f'(seq + {i}) % 10000' for i in range(columns))} "
                        f"FROM seq_{rows + 1}_to_{rows + rows // 4}")
    w.delivered(setup, run, connection)
    mb = peak.done()
    run.stop()
    text = check_topic(setup, f"{db}.t", connection, "body")
    return [Result(f"copy of {columns:,} columns", "capture", mb, w.capture_mb, text)]


# ---- projections -------------------------------------------------------------------------------------------------

def view(setup, db, columns, types, conf=""):
    """A view that is the table: one row topic, one table."""
    folder = setup.folder / "views" / "copy"
    (folder / "on").mkdir(parents=True)
    (folder / "view.conf").write_text(f"owner = tests\ninputs = {setup.name}.{db}.t\n{conf}")
    (folder / "tables.sql").write_text(f"CREATE TABLE rows ({', '.join(f'{c} {t}' for c, t in zip(columns, types))}, PRIMARY KEY (id));\n")
    put = f"INSERT INTO rows VALUES ({', '.join(':' + c for c in columns)})"
    others = ", ".join(f"{c} = excluded.{c}" for c in columns[1:])
    (folder / "on" / f"{db}.t.insert.sql").write_text(put + ";\n")
    (folder / "on" / f"{db}.t.update.sql").write_text(f"{put} ON CONFLICT (id) DO UPDATE SET {others};\n")
    (folder / "on" / f"{db}.t.delete.sql").write_text("DELETE FROM rows WHERE id = :id;\n")
    (folder / "on" / f"{db}.t.truncate.sql").write_text("DELETE FROM rows;\n")
    (folder / "source.sql").write_text(f"-- table: rows\nSELECT {', '.join(columns)} FROM {db}.t\n")


def applied(setup, sql, expected, project, timeout=600, ask=None):
    """Until the live view gives this answer. ask: in another store than SQLite."""
    path = setup.folder / "state" / "copy.db"

    def there():
        if not project.alive():
            raise Failed(f"project ended: {project.log_tail()}")
        if ask:
            return ask(sql) == expected
        if not path.exists():
            return False
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(sql).fetchone() == expected
        finally:
            connection.close()

    wait_until(f"{sql} to be {expected}", there, timeout, every=0.3)


def run_views(w, setup, connection, what, sql, expected):
    """First build, then a replay beside the live version, then verify: the peak of the daemon that does it all."""
    run = setup.daemon("run").start()
    capture = Peak(run)
    w.delivered(setup, run, connection, 900)
    project = setup.daemon("project").start()
    peak = Peak(project)
    applied(setup, sql, expected, project)
    out = setup.millrace("replay", "copy", "--force", timeout=900)
    if out.returncode != 0:
        raise Failed(f"replay: {out.stdout}{out.stderr}")
    applied(setup, sql, expected, project)
    out = setup.millrace("verify", "copy", timeout=900)
    if out.returncode != 0:
        raise Failed(f"verify: {out.stdout}{out.stderr}")
    mb, capture_mb = peak.done(), capture.done()
    project.stop()
    run.stop()
    return [Result(what, "capture", capture_mb, w.capture_mb, f"{expected[0]:,} rows"),
            Result(what, "project", mb, w.worker_mb, f"{expected[0]:,} rows, built, replayed, verified")]


def many_partitions(w, make_view, **settings):
    """A table in 64 partitions, one of which has a quarter of all records, and a view of it."""
    db, connection = w.database()
    rows, updates = int(1_000_000 * w.scale), int(200_000 * w.scale)
    setup = w.setup(f"{db}.t", kafka__partitions=64, **settings)
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL, v VARCHAR(300))",
            "INSERT INTO t VALUES (0, 0, 'this row changes all the time')")
    make_view(setup, db)
    step = max(1, rows // 1000)
    for at in range(1, rows + 1, step):
        run_sql(connection, f"INSERT INTO t SELECT seq, seq % 1000, REPEAT(MD5(seq), 6) FROM seq_{at}_to_{min(at + step - 1, rows)}")
    many = w.connect(database=db, client_flag=CLIENT.MULTI_STATEMENTS)
    with many.cursor() as cursor:
        for _ in range(updates // 1000):
            cursor.execute("BEGIN;" + "UPDATE t SET n = n + 1 WHERE id = 0;" * 1000 + "COMMIT")
            while cursor.nextset():
                pass
    many.close()
    setup.settings["source.start"] = "earliest"
    setup.write()
    expected = (rows + 1, int(run_sql(connection, "SELECT SUM(n) FROM t")[0][0]))
    return setup, connection, expected


def view_partitions(w):
    """A view over 64 partitions, one of them with a quarter of all records."""
    setup, connection, expected = many_partitions(w, lambda setup, db: view(setup, db, ["id", "n", "v"], ["INTEGER", "INTEGER", "TEXT"]))
    return run_views(w, setup, connection, "view over 64 partitions", "SELECT COUNT(*), SUM(n) FROM rows", expected)


def view_members(w):
    """The same with order = partition in PostgreSQL: two processes with two members each."""
    store = Postgresql()
    try:
        setup, connection, expected = many_partitions(
            w, lambda setup, db: view(setup, db, ["id", "n", "v"], ["INTEGER", "INTEGER", "TEXT"], "store = postgresql\norder = partition\nworkers = 2\n"),
            **store.settings())
        return run_members(w, setup, connection, store, expected)
    finally:
        store.remove()


def run_members(w, setup, connection, store, expected):
    """As run_views: the peaks of two daemons, of which one leads."""
    def ask(sql):
        found = store.ask("SELECT 1 FROM pg_views WHERE schemaname = 'copy' AND viewname = 'rows'")
        return tuple(int(n) for n in store.ask(sql)[0]) if found else None

    run = setup.daemon("run").start()
    w.delivered(setup, run, connection, 900)
    run.stop()
    projects = []
    for _ in range(2):
        setup.http["project"] = f"127.0.0.1:{next(setup.ports)}"
        projects.append(setup.daemon("project").start())
    peaks, sql = [Peak(p) for p in projects], 'SELECT COUNT(*), SUM(n) FROM "copy".rows'
    applied(setup, sql, expected, projects[0], ask=ask)
    out = setup.millrace("replay", "copy", "--force", timeout=900)
    if out.returncode != 0:
        raise Failed(f"replay: {out.stdout}{out.stderr}")
    applied(setup, sql, expected, projects[0], ask=ask)
    out = setup.millrace("verify", "copy", timeout=900)
    if out.returncode != 0:
        raise Failed(f"verify: {out.stdout}{out.stderr}")
    mbs = [peak.done() for peak in peaks]
    for project in projects:
        project.stop()
    return [Result(f"view, two processes: {what}", "project", mb, w.worker_mb, f"{expected[0]:,} rows, 64 partitions, 2 members, built, replayed, verified")
            for what, mb in zip(("one", "the other"), mbs)]


def view_transaction(w):
    """A view through one source transaction of a million rows."""
    db, connection = w.database()
    rows = int(1_000_000 * w.scale)
    setup = w.setup(f"{db}.t", kafka__partitions=8)
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL, v VARCHAR(300))",
            f"INSERT INTO t SELECT seq, seq % 1000, REPEAT(MD5(seq), 6) FROM seq_1_to_{rows}")
    view(setup, db, ["id", "n", "v"], ["INTEGER", "INTEGER", "TEXT"])
    setup.settings["source.start"] = "earliest"
    setup.write()
    expected = (rows, int(run_sql(connection, "SELECT SUM(n) FROM t")[0][0]))
    return run_views(w, setup, connection, "view, one transaction", "SELECT COUNT(*), SUM(n) FROM rows", expected)


def view_large_rows(w):
    """A view of rows just below the record limit, in 64 partitions."""
    db, connection = w.database()
    rows, size = max(3, int(40 * w.scale)), 15_000_000
    setup = w.setup(f"{db}.t", kafka__partitions=64)
    run_sql(connection, "CREATE TABLE t (id INT PRIMARY KEY, body LONGBLOB)")
    view(setup, db, ["id", "body"], ["INTEGER", "BLOB"])
    block = os.urandom(MB)
    with connection.cursor() as cursor:
        for i in range(rows):
            cursor.execute("INSERT INTO t VALUES (%s, LEFT(REPEAT(%s, 15), %s))", (i, block, size))
    return run_views(w, setup, connection, "view of 15 MB rows", "SELECT COUNT(*), SUM(LENGTH(body)) FROM rows", (rows, rows * size))


CASES = {
    "huge-transaction": huge_transaction,
    "huge-transaction-mysql": huge_transaction,
    "payload": payload,
    "large-row": large_blob,
    "large-rows": large_rows,
    "compressed": compressed_event,
    "compressed-giant": compressed_giant,
    "many-tables": many_tables,
    "silent-broker": silent_broker,
    "copy-large": copy_large,
    "copy-wide": copy_wide,
    "view-partitions": view_partitions,
    "view-members": view_members,
    "view-transaction": view_transaction,
    "view-large-rows": view_large_rows,
}
ON = {"payload": "mysql:8.0", "huge-transaction-mysql": "mysql:8.0"}     # the others are on MariaDB 10.11
