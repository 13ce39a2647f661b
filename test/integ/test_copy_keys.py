"""First copies by keys at the edges of their types, while rows change keys and domains change."""
import random
import threading
import time

from fold import check_seq, compare
from harness import run_sql, source_position

LETTERS = "aAbB zZ019 \t-_chllß äÄöéÉèıİIiñ\u00a0日本語ひカ가Яж\u0301\u0308\u00adﬃⅣ"
ASTRAL = LETTERS + "😀😁𝔸"


def hexed(introducer, data):
    return f"_{introducer} x'{data.hex()}'" if introducer else f"x'{data.hex()}'"


def text(charset, codec, letters, most=5):
    """A literal of random text that the character set has."""
    fit = [c for c in letters if c.encode(codec, "ignore").decode(codec) == c]
    return lambda r: hexed(charset, "".join(r.choice(fit) for _ in range(r.randrange(most))).encode(codec))


def when(r):
    return f"{r.randrange(1901, 2156)}-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}"


def clock(r, fraction):
    return f"{r.randrange(24):02}:{r.randrange(60):02}:{r.randrange(60):02}" + (f".{r.randrange(10**fraction):0{fraction}}" if fraction else "")


KEYS = {
    "u64": ("BIGINT UNSIGNED", lambda r: str(r.choice([r.randrange(2**64), 2**63 + r.randrange(-3, 3), 2**64 - 1, r.randrange(4)]))),
    "s64": ("BIGINT", lambda r: str(r.choice([r.randrange(-2**63, 2**63), -2**63, 2**63 - 1, r.randrange(-4, 4)]))),
    "tiny": ("TINYINT", lambda r: str(r.randrange(-128, 128))),
    "medium": ("MEDIUMINT", lambda r: str(r.randrange(-2**23, 2**23))),
    "fixed": ("BINARY(3)", lambda r: "x'%s'" % bytes(r.choice([0, 1, 255]) for _ in range(r.randrange(1, 4))).hex()),
    "bytes": ("VARBINARY(5)", lambda r: "x'%s'" % bytes(r.choice([0, 1, 0x20, 255]) for _ in range(r.randrange(6))).hex()),
    "deci": ("DECIMAL(20,6)", lambda r: str(r.choice([r.randrange(-3, 3), r.randrange(-10**13, 10**13), r.randrange(-10**6, 10**6) / 1000]))),
    "deciu": ("DECIMAL(9,0) UNSIGNED", lambda r: str(r.randrange(10**9))),
    "date": ("DATE", lambda r: f"'{when(r)}'"),
    "time": ("TIME", lambda r: f"'{r.choice(['', '-'])}{r.randrange(839)}:{r.randrange(60):02}:{r.randrange(60):02}'"),
    "time3": ("TIME(3)", lambda r: f"'{r.choice(['', '-'])}{clock(r, 3)}'"),
    "dt": ("DATETIME", lambda r: f"'{when(r)} {clock(r, 0)}'"),
    "dt6": ("DATETIME(6)", lambda r: f"'{when(r)} {clock(r, 6)}'"),
    "ts": ("TIMESTAMP(2) NOT NULL DEFAULT '2000-01-01'", lambda r: f"FROM_UNIXTIME({r.randrange(1, 2**31 - 1)}.{r.randrange(100):02})"),
    "year": ("YEAR", lambda r: str(r.choice([0, r.randrange(1901, 2156)]))),
    "enum": ("ENUM('z','b','a','m')", lambda r: str(r.randrange(1, 5))),
    "setk": ("SET('z','b','a','m','c')", lambda r: str(r.randrange(32))),
    "bit": ("BIT(20)", lambda r: str(r.choice([r.randrange(2**20), r.randrange(4)]))),
    "dbl": ("DOUBLE", lambda r: r.choice(["0", "0.1e0", f"{r.uniform(-1e3, 1e3)!r}e0", f"{r.uniform(-1, 1) * 10.0 ** r.randrange(-300, 300)!r}"])),
    "flt": ("FLOAT", lambda r: f"{r.uniform(-100, 100):.3f}e0"),
    "uni": ("VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", text("utf8mb4", "utf-8", ASTRAL)),
    "gen": ("VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", text("utf8mb4", "utf-8", ASTRAL)),
    "bin": ("VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", text("utf8mb4", "utf-8", ASTRAL)),
    "czech": ("CHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_czech_ci", text("utf8mb4", "utf-8", "chCHlz aäč")),
    "lat": ("VARCHAR(10) CHARACTER SET latin1", text("latin1", "latin-1", LETTERS)),
    "latg": ("CHAR(6) CHARACTER SET latin1 COLLATE latin1_german2_ci", text("latin1", "latin-1", "aäAÄßsS e")),
    "asc": ("CHAR(6) CHARACTER SET ascii COLLATE ascii_bin", text("ascii", "ascii", LETTERS)),
    "ucs": ("VARCHAR(6) CHARACTER SET ucs2 COLLATE ucs2_unicode_ci", text("ucs2", "utf-16-be", LETTERS)),
    "u16": ("VARCHAR(6) CHARACTER SET utf16", text("utf16", "utf-16-be", ASTRAL)),
    "u16le": ("VARCHAR(6) CHARACTER SET utf16le COLLATE utf16le_bin", text("utf16le", "utf-16-le", ASTRAL)),
    "u32": ("VARCHAR(6) CHARACTER SET utf32 COLLATE utf32_bin", text("utf32", "utf-32-be", ASTRAL)),
}
OWN = {  # of one kind of server
    "mariadb": {
        "nopad": ("VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_nopad_ci", text("utf8mb4", "utf-8", ASTRAL)),
        "ascs": ("VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_as_cs", text("utf8mb4", "utf-8", ASTRAL)),
    },
    "mysql": {
        "nopad": ("VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci", text("utf8mb4", "utf-8", ASTRAL)),
        "ascs": ("VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_as_cs", text("utf8mb4", "utf-8", ASTRAL)),
        "japan": ("CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_ja_0900_as_cs_ks", text("utf8mb4", "utf-8", ASTRAL)),
        "bytes9": ("VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin", text("utf8mb4", "utf-8", ASTRAL)),
        "dane": ("VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_da_0900_as_cs", text("utf8mb4", "utf-8", "aAåäæ øoz")),
        "sjis": ("VARCHAR(10) CHARACTER SET sjis", text("sjis", "shift_jis", LETTERS)),
        "gb": ("VARCHAR(10) CHARACTER SET gb18030 COLLATE gb18030_unicode_520_ci", text("gb18030", "gb18030", ASTRAL)),
    },
}
EXTRA = {  # whole tables whose key is not (id, b)
    "pre": ("CREATE TABLE k_pre (id TEXT CHARACTER SET utf8mb4, b INT, v INT, PRIMARY KEY (id(6), b))", text("utf8mb4", "utf-8", ASTRAL, 9)),
    "desc": ("CREATE TABLE k_desc (id INT, b INT, v INT, PRIMARY KEY (id DESC, b))", lambda r: str(r.randrange(-500, 500))),
}


def change(r, connection, tables):
    name, make = r.choice(tables)
    verb = r.randrange(4)
    if verb == 0:
        run_sql(connection, f"SET gtid_domain_id = {r.choice([0, 5, 9])}")
    if verb <= 1:
        run_sql(connection, f"INSERT IGNORE INTO k_{name} (id, b, v) VALUES ({make(r)}, {r.randrange(-1, 2)}, {r.randrange(1000)})")
    elif verb == 2:
        run_sql(connection, f"UPDATE IGNORE k_{name} SET id = {make(r)}, b = {r.randrange(-1, 2)} ORDER BY RAND({r.randrange(99)}) LIMIT 1")
    else:
        run_sql(connection, f"DELETE FROM k_{name} ORDER BY RAND({r.randrange(99)}) LIMIT 1")


def test_keys_at_the_edges(servers, database, make_setup):
    db, connection = database
    seed = int(time.time())
    print("seed", seed)
    r, keys = random.Random(seed), {**KEYS, **OWN[servers.engine]}
    names = [*keys, *EXTRA]
    tables = [(name, (keys.get(name) or EXTRA[name])[1]) for name in names]
    for name, make in tables:
        run_sql(connection, EXTRA[name][0] if name in EXTRA else f"CREATE TABLE k_{name} (id {keys[name][0]}, b INT, v INT, PRIMARY KEY (id, b))")
        values = ",".join(f"({make(r)}, {r.randrange(-1, 2)}, 0)" for _ in range(120))
        run_sql(connection, f"INSERT IGNORE INTO k_{name} (id, b, v) VALUES {values}")
    run_sql(connection, "CREATE TABLE one (id INT PRIMARY KEY)", "INSERT INTO one VALUES (-1)", "CREATE TABLE none (id INT PRIMARY KEY)")
    setup = make_setup(f"{db}.*", copy__chunk_rows=10)
    stopping, failures = [], []
    writer = servers.connect(database=db)

    def write():
        try:
            while not stopping:
                change(r, writer, tables)
        except Exception as failure:  # shown below
            failures.append(failure)

    load = threading.Thread(target=write)
    load.start()
    run = setup.daemon("run")
    for _ in range(4):
        run.start()
        time.sleep(r.uniform(0.8, 2))
        run.kill()
    run.start()
    time.sleep(2)
    stopping.append(True)
    load.join()
    assert not failures
    setup.wait_delivered(source_position(connection), run, 600)
    run.stop()
    for name in names:
        compare(setup.reader.records(setup.topic(f"{db}.k_{name}")), connection, db, f"k_{name}", ["id", "b"])
    compare(setup.reader.records(setup.topic(f"{db}.one")), connection, db, "one", ["id"])
    check_seq(setup)
