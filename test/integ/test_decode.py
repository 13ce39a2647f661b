"""`millrace decode` on the recorded binlogs: what it prints, which part, from where; and what it says of files that are no
binlogs, or not whole. Needs no server, but for the last test."""
import json
import os
import re
import subprocess
import zlib

import pytest

from harness import MILLRACE, ROOT

GOLDEN = ROOT / "test/golden"
TYPES, TRANSACTIONS, MYSQL, BARE = (GOLDEN / f"{n}.binlog" for n in ("types", "transactions", "mysql80", "mysql56bare"))
# every.inc was run on these
EVERY = ("mysql56", "mysql57", "mysql8015", "mysql97types", "mariadb101", "mariadb102", "mariadb105", "mariadb114",
         "mariadb118")


def decode(*arguments, code=0, input=None):
    out = subprocess.run([MILLRACE, "decode", *map(str, arguments)], capture_output=True, timeout=60, input=input)
    assert out.returncode == code, out.stderr.decode()
    return out.stdout.decode() if code == 0 else (out.stdout.decode(), out.stderr.decode())


def lines(*arguments, **options):
    return [json.loads(line) for line in decode(*arguments, **options).splitlines()]


def offset(line):
    return int(line["at"].rpartition(":")[2])


# ---- what is printed


def rows_of(name):
    """(table, op, [values of each image]) of the tables of every.inc, without the columns' names."""
    return [(r["table"], r["op"], [list(r[k].values()) for k in ("before", "after") if k in r])
            for r in lines(GOLDEN / f"{name}.binlog")
            if "op" in r and r["db"] == "golden" and r["table"] in ("numbers", "times", "texts", "keyless")]


def may_be(got, known):
    """`got`, of a file without row metadata, leaves open what it can't know, and says nothing that isn't so."""
    if isinstance(got, dict) and "signed" in got:
        return str(known) in (str(got["signed"]), str(got["unsigned"]))
    if isinstance(got, dict) and "bytes" in got and isinstance(known, str):
        stored = bytes.fromhex(got["bytes"])
        return any(stored == known.encode(charset, "ignore") for charset in ("utf8", "cp1252", "utf_16_be"))
    if isinstance(known, dict) and "bytes" in known:
        stored = bytes.fromhex(got["bytes"]) if isinstance(got, dict) else got.encode()
        return bytes.fromhex(known["bytes"]).rstrip(b"\0") == stored.rstrip(b"\0")
    if isinstance(got, int) and isinstance(known, str):
        labels = {"ä": 1, "b": 2, "x,ÿ": 3, "": 0}
        return got == labels.get(known, -1) or str(got) == known
    return got == known


@pytest.mark.parametrize("name", EVERY)
def test_every_server_wrote_the_same_rows(name):
    want, got = rows_of("mariadb118"), rows_of(name)
    without_metadata = name in ("mysql56", "mysql57", "mariadb101", "mariadb102")
    if name == "mariadb114":
        got = got[:len(want)]  # one more, FULL_NODUP
    assert len(want) == 15 and len(got) == len(want)
    for (table, op, images), (known_table, known_op, known_images) in zip(got, want):
        assert (table, op, len(images)) == (known_table, known_op, len(known_images))
        for image, known_image in zip(images, known_images):
            if not without_metadata:
                assert image == known_image
            assert len(image) == len(known_image) and all(map(may_be, image, known_image)), (table, image, known_image)


def test_changes_and_ends():
    got = lines(TRANSACTIONS)
    ends = [r["end"] for r in got if "end" in r]
    assert set(ends) == {"commit", "rollback", "prepare", "xa commit", "xa rollback"}
    for r in got:
        assert re.fullmatch(r"transactions\.binlog:\d+", r["at"]) and r["time"].endswith("Z") and "gtid" in r
        assert sum(k in r for k in ("op", "statement", "end", "columns")) == 1
        if "op" in r:
            assert ("before" in r, "after" in r) == {"c": (False, True), "u": (True, True), "d": (True, False)}[r["op"]]
    by_gtid = {}
    for r in got:
        if "op" in r:
            by_gtid[r["gtid"]] = by_gtid.get(r["gtid"], 0) + 1
            assert r["order"] == by_gtid[r["gtid"]]
        if "end" in r:
            assert r["rows"] == by_gtid.get(r["gtid"], 0)


def test_what_the_file_does_not_say_is_said():
    got = lines(GOLDEN / "nolog.binlog")
    (table,) = [r for r in got if "columns" in r]
    assert table["unknown"] == ["names", "signs", "charsets", "labels"]
    assert table["columns"]["@2"] == "bigint of unknown sign"
    row = next(r for r in got if "op" in r)["after"]
    assert row["@1"] == {"signed": -1, "unsigned": 2**32 - 1} and row["@3"] == {"bytes": "ä日".encode().hex()}
    assert (row["@5"], row["@6"]) == (2, 5)
    (table,) = [r for r in lines(GOLDEN / "mysql80minimal.binlog") if "columns" in r]
    assert table["unknown"] == ["names", "labels"]
    assert not [r for r in lines(TYPES) if "columns" in r]


def test_tables():
    got = lines(TYPES, "--table", "golden.numbers,other.*")
    assert {r["table"] for r in got if "op" in r} == {"numbers"}
    assert all("golden.numbers" in f"{t['db']}.{t['table']}" for r in got for t in r.get("tables", []))
    shown = {r["gtid"] for r in got if "end" not in r}
    assert {r["gtid"] for r in got if "end" in r} == shown
    assert lines(TYPES, "--table", "golden.*") == [r for r in lines(TYPES) if r.get("statement") != "DDL" and r["gtid"] != "0-1-1"]
    for wrong in ("numbers", "golden.n*", "*.*", ".x", "x."):
        assert "neither db.table nor db.*" in decode(TYPES, "--table", wrong, code=2)[1]


def test_events_are_the_golden_files():
    assert decode(TYPES, "--events") == (GOLDEN / "types.jsonl").read_text()


def test_stdin_and_several_files():
    assert decode("-", input=TYPES.read_bytes()) == decode(TYPES).replace("types.binlog", "stdin")
    assert decode(TYPES, MYSQL) == decode(TYPES) + decode(MYSQL)


# ---- which part


def test_positions():
    everything = lines(TRANSACTIONS)
    for gtid in ("0-1-4", "0-1-9"):
        seq = int(gtid.split("-")[2])
        after, until = lines(TRANSACTIONS, "--from", gtid), lines(TRANSACTIONS, "--to", gtid)
        assert after == [r for r in everything if int(r["gtid"].split("-")[2]) > seq or r["gtid"][0] != "0"]
        assert until == [r for r in everything if int(r["gtid"].split("-")[2]) <= seq and r["gtid"][0] == "0"]
        assert len(after) > 0 and len(until) > 0


def test_sets_of_gtids():
    everything = lines(MYSQL)
    uuid = everything[0]["gtid"].split(":")[0]
    chosen = lines(MYSQL, "--from", f"{uuid}:1-4:6", "--to", f"{uuid}:1-8")
    assert {r["gtid"] for r in chosen} == {f"{uuid}:{n}" for n in (5, 7, 8)}
    assert "no GTID" in decode(BARE, "--from", f"{uuid}:1", code=4)[1]


def test_offsets_and_places():
    events = [json.loads(line) for line in (GOLDEN / "types.jsonl").read_text().splitlines()]
    begins = [offset(e) for e in events if e["type"] == "Gtid"]
    everything = lines(TYPES)
    for at in begins[2:4]:
        assert lines(TYPES, "--from", at) == [r for r in everything if offset(r) >= at]
        assert lines(TYPES, "--to", f"types.binlog:{at}") == [r for r in everything if offset(r) < at]
        assert lines("-", "--from", at, input=TYPES.read_bytes()) == [
            {**r, "at": f"stdin:{offset(r)}"} for r in everything if offset(r) >= at]
    assert lines(TYPES, "--from", "other.000001:4", code=0) is not None
    (a, b) = begins[2], begins[5]
    assert lines(TYPES, "--from", a, "--to", b) == [r for r in everything if a <= offset(r) < b]
    rows = next(offset(e) for e in events if e["type"] == "Write_rows_v1")
    out, err = decode(TYPES, "--from", rows, code=4)
    assert out == "" and f"types.binlog:{rows}: stands outside of any transaction" in err and "HINT" in err
    assert "ends at" in decode(TYPES, "--from", 10**9, code=3)[1]


def test_what_lies_before_a_place_may_be_damaged(tmp_path):
    begin = [offset(json.loads(line)) for line in (GOLDEN / "types.jsonl").open() if '"type":"Gtid"' in line][3]
    data = bytearray(TYPES.read_bytes())
    data[400:600] = bytes(200)
    broken = tmp_path / "types.binlog"
    broken.write_bytes(data)
    assert lines(broken, "--from", begin) == lines(TYPES, "--from", begin)


def test_times():
    everything = lines(GOLDEN / "mysql57.binlog")
    assert lines(GOLDEN / "mysql57.binlog", "--to", "2023-11-14T22:13:20Z") == []
    old = lines(GOLDEN / "mysql57.binlog", "--to", "2023-11-14 22:13:20.000001")
    assert old == [r for r in everything if r["time"] == "2023-11-14T22:13:20.000Z"] and old
    assert lines(GOLDEN / "mysql57.binlog", "--from", "2023-11-14 22:13:21") == [r for r in everything if r not in old]
    for wrong in ("yesterday", "2026-11-21T25:00", "0-1", "x:y:z"):
        assert "--from: " in decode(TYPES, "--from", wrong, code=2)[1]


# ---- counts


def test_stats_add_up():
    for path in sorted(GOLDEN.glob("*.binlog")):
        stats = json.loads(decode("--stats", "--json", path))
        got = lines(path)
        assert stats["bytes"] == path.stat().st_size - 4
        assert sum(t["bytes"] for t in stats["types"].values()) == stats["bytes"]
        assert sum(t["events"] for t in stats["types"].values()) == stats["events"] == len(lines("--events", path))
        for op, name in (("c", "insert"), ("u", "update"), ("d", "delete")):
            rows = [r for r in got if r.get("op") == op]
            assert stats["rows"][name] == len(rows) == sum(t[name] for t in stats["tables"])
        assert stats["transactions"]["all"] == len([r for r in got if "end" in r])
        if stats["transactions"]["all"] > 0 and "largest_by_rows" in stats:
            assert stats["largest_by_rows"]["rows"] == max(r["rows"] for r in got if "end" in r)
            assert stats["largest_by_bytes"]["bytes"] == max(r["bytes"] for r in got if "end" in r)
    table = decode("--stats", TYPES, MYSQL)
    for word in ("Write_rows_v1", "golden.numbers", "largest transaction", "GTIDs", "all, of 2 files"):
        assert word in table


# ---- what is wrong


def damaged(tmp_path, data, name="binlog.000007"):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


def test_damage_is_named_and_nothing_is_made_up(tmp_path):
    data, whole = TYPES.read_bytes(), decode(TYPES)
    for cut in (len(data) - 1, len(data) // 2, 300, 100):
        out, err = decode(damaged(tmp_path, data[:cut]), code=4)
        assert re.search(r"binlog\.000007:\d+: the file ends inside", err), err
        assert whole.replace("types.binlog", "binlog.000007").startswith(out)
    events = [json.loads(line) for line in (GOLDEN / "types.jsonl").open()]
    rows = [offset(e) for e in events if e["type"] == "Write_rows_v1"]
    flipped = bytearray(data)
    flipped[rows[2] + 40] ^= 4
    out, err = decode(damaged(tmp_path, flipped), code=4)
    assert f"binlog.000007:{rows[2]}: " in err and "CRC32 does not match" in err
    assert out and all(offset(json.loads(line)) < rows[2] for line in out.splitlines())
    # cut between two events, but inside of a transaction
    out, err = decode(damaged(tmp_path, data[:rows[1]]), code=4)
    assert f"binlog.000007:{rows[1]}: the file ends inside the transaction 0-1-" in err and "HINT" in err


def test_no_binlogs(tmp_path):
    assert "not a binlog file" in decode(damaged(tmp_path, b"PK\3\4 something else"), code=4)[1]
    assert "not a binlog file" in decode(damaged(tmp_path, b""), code=4)[1]
    assert "No such file" in decode(tmp_path / "nothing", code=3)[1]
    assert "not a file" in decode(tmp_path, code=3)[1]
    assert "which file?" in decode(code=2)[1]
    assert decode(damaged(tmp_path, b"\xfebin")) == ""


def test_encrypted(tmp_path):
    for data, at in ((b"\xfdbin" + bytes(508), 0), (encrypted_of_mariadb(), 256)):
        out, err = decode(damaged(tmp_path, data), code=4)
        assert f"binlog.000007:{at}: the file is encrypted" in err and "--read-from-remote-server --raw binlog.000007" in err
        assert out == ""


def test_a_copy_in_the_clear_of_an_encrypted_file(tmp_path):
    data = encrypted_of_mariadb(b"")
    data += event_of(3, len(data), b"")     # Stop
    lines_ = lines("--events", damaged(tmp_path, data))
    assert [e["type"] for e in lines_] == ["Format_description", "Start_encryption", "Stop"]


def event_of(kind, at, body):
    size = 19 + len(body) + 4
    event = b"".join((bytes(4), bytes([kind]), (1).to_bytes(4, "little"), size.to_bytes(4, "little"),
                      (at + size).to_bytes(4, "little"), bytes(2), body))
    return event + zlib.crc32(event).to_bytes(4, "little")


def encrypted_of_mariadb(rest=os.urandom(300)):
    """Begins as MariaDB's do: Start_encryption behind Format_description, then nothing that can be read."""
    data = TYPES.read_bytes()[:256]
    return data + event_of(164, len(data), b"\1\1\0\0\0" + bytes(12)) + rest


def test_a_reader_that_goes_away():
    out = subprocess.run(f"'{MILLRACE}' decode '{TYPES}' '{TYPES}' '{TYPES}' | head -n 1", shell=True, capture_output=True)
    assert out.stdout.count(b"\n") == 1 and out.stderr == b""


def test_examples_of_the_docs():
    text = (ROOT / "docs/DECODE.md").read_text() + (ROOT / "README.md").read_text()
    examples = re.findall(r"^(millrace decode [^#\n]*)", text, re.M)
    assert len(examples) >= 6
    for example in examples:
        # a place of the documentation's file, in a file that we have
        command = example.replace("binlog.000003:4711", "types.binlog:1017").replace("binlog.000003", str(TYPES))
        out = subprocess.run(["bash", "-c", "set -euo pipefail; " + command], capture_output=True, timeout=60,
                             env={**os.environ, "PATH": f"{MILLRACE.parent}:{os.environ['PATH']}"})
        assert out.returncode == 0 and out.stderr == b"", (command, out.stderr)
