"""MariaDB's words in a test's statements as MySQL has them, so that one test serves both.

Only what the suites use: sequences as tables, CREATE OR REPLACE, the names of statements and variables that differ, SET STATEMENT, Aria (MyISAM is
as much without transactions). What has no counterpart, GTID domains, is left out.
"""
import re

SEQUENCE = re.compile(r"\bseq_(\d+)_to_(\d+)\b(?! *\.)")
STATEMENT = re.compile(r"SET STATEMENT (\w+) *= *(\S+) FOR (.*)", re.S)
REPLACED = re.compile(r"CREATE OR REPLACE TABLE (\S+) (.*)", re.S)
PLAIN = [(re.compile(r"@@(?:GLOBAL\.)?gtid_(?:binlog|current)_pos\b", re.I), "@@GLOBAL.gtid_executed"),
         (re.compile(r"\bENGINE *= *Aria\b", re.I), "ENGINE = MyISAM"),
         (re.compile(r"\bDROP COLUMN IF EXISTS\b", re.I), "DROP COLUMN"),
         (re.compile(r"^SET (?:SESSION )?gtid_domain_id\b.*", re.S), "DO 0")]
SINCE_8_2 = [("SHOW MASTER STATUS", "SHOW BINARY LOG STATUS"), ("RESET MASTER", "RESET BINARY LOGS AND GTIDS")]


def version(connection):
    """None: MariaDB."""
    info = connection.get_server_info()
    return None if "MariaDB" in info else tuple(int(n) for n in re.findall(r"\d+", info)[:3])


def sequence(match):
    first, last = match.groups()
    return (f"(WITH RECURSIVE s (seq) AS (SELECT {first} UNION ALL SELECT seq + 1 FROM s WHERE seq < {last}) "
            f"SELECT seq FROM s) AS seq_{first}_to_{last}")


def translate(connection, statement):
    """The statements to run instead of this one."""
    on = version(connection)
    if on is None:
        return [statement]
    for pattern, other in PLAIN:
        statement = pattern.sub(other, statement)
    if on >= (8, 2):
        for old, new in SINCE_8_2:
            statement = statement.replace(old, new)
    out = []
    if SEQUENCE.search(statement):
        statement = SEQUENCE.sub(sequence, statement)
        out.append("SET cte_max_recursion_depth = 100000000")
    replaced = REPLACED.match(statement)
    if replaced:
        return [*out, f"DROP TABLE IF EXISTS {replaced[1]}", f"CREATE TABLE {replaced[1]} {replaced[2]}"]
    found = STATEMENT.match(statement)
    if not found:
        return [*out, statement]
    name, value, inner = found.groups()
    return [*out, f"SET @before = @@SESSION.{name}", f"SET SESSION {name} = {value}", inner, f"SET SESSION {name} = @before"]
