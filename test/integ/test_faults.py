"""A handful of random histories under faults (`make faults` runs as many as wanted), and proof that their judge sees."""
import os
import subprocess
import sys
import time
from pathlib import Path

from harness import ROOT, faults_build

sys.path.insert(0, str(ROOT / "test" / "fault"))

import judge  # noqa: E402
import witness  # noqa: E402
import world  # noqa: E402


def test_a_handful_of_histories_under_faults(tmp_path):
    faults_build()
    out = subprocess.run([sys.executable, str(ROOT / "test" / "fault" / "faults.py"), "--seed", str(int(time.time()) % 1000000), "--runs", "3",
                          "--keep", str(ROOT / "build" / "faults" / "kept")], capture_output=True, text=True, timeout=1500,
                         env={k: v for k, v in os.environ.items() if k != "MILLRACE"})
    print(out.stdout, out.stderr)
    assert out.returncode == 0
    assert "faults: 3 runs, 0 lost, 0 repeated, 0 reordered, 0 wrong" in out.stdout.splitlines()[-1]


# ---- the witness: what mariadb-binlog prints, and what it means

HEADER = "#261121  9:38:24 server id 1  end_log_pos 1 CRC32 0x00000000 \t"


def group(number, *body, flags=" trans"):
    return [f"{HEADER}GTID 0-1-{number}{flags}", "START TRANSACTION", "/*!*/;", *body]


def row(kind, *images):
    lines = [f"{HEADER}Table_map: `d`.`t` mapped to number 7", "# Columns(`id` INT NOT NULL,", "#         `v` INT)", "# Primary Key(id)",
             f"{HEADER}Write_rows: table id 7 flags: STMT_END_F", f"### {kind} `d`.`t`"]
    for part, image in images:
        lines += [f"### {part}", f"###   @1={image[0]}", f"###   @2={image[1]}"]
    return [*lines, "# Number of rows: 1"]


def query(text):
    return [f"{HEADER}Query\tthread_id=6\texec_time=0\terror_code=0\txid=0", "SET TIMESTAMP=1/*!*/;", text, "/*!*/;"]


XID = [f"{HEADER}Xid = 15", "COMMIT/*!*/;"]


def told(*groups):
    return [(t.gtid, [(c.op, c.before, c.after) for c in t.changes], t.statement)
            for t in witness.Witness([line for g in groups for line in g], "d").transactions]


def test_the_witness_drops_what_was_rolled_back():
    insert = [row("INSERT INTO", ("SET", (n, n))) for n in range(5)]
    at = [("insert", None, {"id": n, "v": n}) for n in range(5)]
    assert told(group(1, *insert[0], *XID), group(2, *insert[1], *query("ROLLBACK")),
                group(3, *insert[2], *query("SAVEPOINT `s`"), *insert[3], *query("ROLLBACK TO `s`"), *insert[4], *XID)) == \
        [("0-1-1", [at[0]], None), ("0-1-3", [at[2], at[4]], None)]
    # cut off by a crash of the server
    assert told(group(1, *insert[0]), [f"{HEADER}Start: binlog v 4"], group(2, *insert[1], *query("COMMIT"))) == [("0-1-2", [at[1]], None)]


def test_the_witness_keeps_prepared_rows_until_their_end():
    insert = [row("INSERT INTO", ("SET", (n, n))) for n in range(3)]

    def xa(number, name, body):
        return [f"{HEADER}GTID 0-1-{number} trans", f"XA START X'{name}',X'',1/*!*/;", *body, *query(f"XA END X'{name}',X'',1"),
                f"{HEADER}XID = X'{name}',X'',1", f"XA PREPARE X'{name}',X'',1", "/*!*/;"]

    def end(number, verb, name):
        return [f"{HEADER}GTID 0-1-{number} trans", *query(f"XA {verb} X'{name}',X'',1")]

    assert told(xa(1, "61", insert[0]), xa(2, "62", insert[1]), group(3, *insert[2], *XID), end(4, "ROLLBACK", "61"), end(5, "COMMIT", "62")) == \
        [("0-1-3", [("insert", None, {"id": 2, "v": 2})], None), ("0-1-5", [("insert", None, {"id": 1, "v": 1})], None)]


# ---- the judge: a small history, delivered right, and then wrong in each way

class Topics:
    """A reader of topics that are lists."""

    def __init__(self, topics):
        self.of = topics

    def records(self, topic):
        return self.of[topic]

    def topics(self, prefix):
        return {t: 1 for t in self.of}


ROWS = [("1", "c", None, {"id": 1, "v": 1}), ("2", "u", {"id": 1, "v": 1}, {"id": 1, "v": 2}), ("3", "d", {"id": 1, "v": 2}, None),
        ("4", "c", None, {"id": 1, "v": 5})]
VERBS = {"c": ("INSERT INTO", ("SET",)), "u": ("UPDATE", ("WHERE", "SET")), "d": ("DELETE FROM", ("WHERE",))}


def history():
    groups = []
    for gtid, op, before, after in ROWS:
        kind, parts = VERBS[op]
        images = [(p, tuple({"WHERE": before, "SET": after}[p].values())) for p in parts]
        groups.append(group(int(gtid), *row(kind, *images), *XID))
    lines = [line.replace("`t`", "`ddl`") for g in groups for line in g]
    return judge.Truth(witness.Witness(lines, "d"), "d", ["ddl"])


def verdict(records, commits=None):
    """records: [(seq, gtid, op, before, after)]"""
    def envelope(seq, gtid, op, before, after):
        return {"source": {"seq": seq, "gtid": gtid, "ts_us": 0, "snapshot": gtid.startswith("snapshot"), "name": "n", "db": "d", "table": "ddl"}, "op": op,
                "before": before, "after": after, "absent": None, "exact": None, "parked": None}

    rows = [(0, n, {"id": (r[3] or r[4])["id"]}, "n.d.ddl.Envelope", envelope(*r)) for n, r in enumerate(records)]
    commits = commits if commits is not None else [
        {"seq": r[0], "first_seq": r[0], "transactions": [{"gtid": r[1], "changes": 1}], "copied": [], "gtid_set": "", "partitions": [
            {"topic": "n.d.ddl", "partition": 0, "records": 1, "last_seq": r[0]}]} for r in records]
    problems = judge.Problems()
    j = judge.Judge(Topics({"n.commits": [(0, n, None, "Commit", c) for n, c in enumerate(commits)], "n.d.ddl": rows}), "n", "d",
                    {**world.INGREDIENTS}, problems)
    j.tables = ["ddl"]
    j.read()
    j.check_numbers()
    j.check_rows(history())
    return {kind for kind, count in problems.counts().items() if count}


def right():
    return [(n, f"0-1-{gtid}", op, before, after) for n, (gtid, op, before, after) in enumerate(ROWS, 1)]


def renumber(records):
    return [(n, *r[1:]) for n, r in enumerate(records, 1)]


def test_the_judge_sees_what_is_wrong():
    assert verdict(right()) == set()
    assert verdict(renumber(right()[:3])) == {"lost"}
    assert verdict(renumber(right()[1:])) == {"lost"}
    assert verdict(renumber([*right()[:1], *right()[2:]])) == {"lost"}
    assert "repeated" in verdict(renumber([*right(), right()[3]]))
    assert "repeated" in verdict(renumber([*right()[:2], *right()[1:]]))
    assert "reordered" in verdict([right()[1], right()[0], *right()[2:]])
    assert "lost" in verdict([*right()[:3], (9, *right()[3][1:])])
    wrong = right()
    wrong[1] = (*wrong[1][:4], {"id": 1, "v": 3})
    assert verdict(wrong) == {"wrong"}
    wrong = right()
    wrong[3] = (*wrong[3][:1], "0-1-9", *wrong[3][2:])
    assert "wrong" in verdict(wrong)


def test_the_judge_allows_a_copy_what_it_may_and_no_more():
    copied = (1, "snapshot:d.ddl:1", "r", None, {"id": 1, "v": 2})
    assert verdict(renumber([copied, *right()[2:]])) == set()              # behind 0-1-2
    assert verdict(renumber([copied, right()[3]])) != set()                # the delete is missing
    assert verdict(renumber([copied, *right()[1:]])) != set()              # the update once more
    stale = (*copied[:4], {"id": 1, "v": 1})
    assert verdict(renumber([stale, *right()[2:]])) == {"wrong"}           # the row before the update, which was not folded in
    assert verdict(renumber([right()[3]])) == {"lost"}                     # no copy came behind what was left out
