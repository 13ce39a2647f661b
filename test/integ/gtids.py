"""GTID sets of both dialects, as plain Python, and whether one holds another. Knows nothing of Millrace's own code.

MariaDB: '0-1-5,1-2-7' -> {0: 5, 1: 7}: all of the domain up to that sequence number.
MySQL: 'UUID:1-5:9,UUID:tag:1' -> {'uuid': [(1, 5), (9, 9)], 'uuid:tag': [(1, 1)]}: intervals, both ends included.
"""


def gtid_set(text):
    out = {}
    for part in text.replace("\n", "").split(","):
        part = part.strip()
        if ":" in part:
            mysql_part(part, out)
        elif part:
            domain, _, sequence = part.split("-")
            out[int(domain)] = int(sequence)
    return {key: joined(value) if isinstance(value, list) else value for key, value in out.items()}


def mysql_part(text, out):
    """UUID, then intervals; a word that is no interval is a tag, and stands before the intervals it holds for."""
    uuid, *words = text.lower().split(":")
    key = uuid
    for word in words:
        if not word[0].isdigit():
            key = f"{uuid}:{word}"
            continue
        first, _, last = word.partition("-")
        out.setdefault(key, []).append((int(first), int(last or first)))


def joined(intervals):
    """In order, and those that touch are one: only then does an interval lie within a single other."""
    out = []
    for first, last in sorted(intervals):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(last, out[-1][1]))
        else:
            out.append((first, last))
    return out


def contains(have, want):
    for key, wanted in want.items():
        if isinstance(wanted, int):
            if have.get(key, 0) < wanted:
                return False
        elif not all(any(a <= first and last <= b for a, b in have.get(key, [])) for first, last in wanted):
            return False
    return True
