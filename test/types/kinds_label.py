"""ENUM and SET, with labels of every kind."""
from kind import Inexact, Kind, number

FIXED = ["", "a", "'", "''", '"', "\\", "\\n", "\n", "\r", "`", "a b", "0", "1", "NULL", "x'y\"z", "%", "(", ")", "ß", "ü", "日本語", "שלום", "مرحبا", "Ω", "я", "\t"]


def labels_of(r, count, charset, sets):
    """Different ones, also to a collation that minds neither case nor accents nor blanks at the end."""
    out, seen = [], set()
    for label in (FIXED if count > len(FIXED) else []):
        out.append(label)
    while len(out) < count:
        alphabet = "abcdefghijklmnopqrstuvwxyz0123456789-_.:;/ '\"\\"
        if charset == "utf8mb4":
            alphabet += "äöü€日本語한국어ελληνικάрусскийעבריתعربيไทย"
        out.append("".join(r.choice(alphabet) for _ in range(r.randint(1, 9))).strip() + f"{len(out):x}" + ("" if sets else r.choice(("", ",", ",,b"))))
    if sets:
        out = [label for label in out if label and "," not in label]    # of an empty one servers don't even print the comma
    out = [label for label in out if not (label in seen or seen.add(label))]
    return out if charset == "utf8mb4" else [label for label in out if label.isascii()]


def quoted(label):
    return "'" + label.replace("\\", "\\\\").replace("'", "''") + "'"


def declared(word, labels, charset):
    return f"{word}({','.join(quoted(label) for label in labels)}) CHARACTER SET {charset}" + (" COLLATE utf8mb4_bin" if charset == "utf8mb4" else "")


def as_utf8(answer):
    return bytes.fromhex(answer.decode()).decode()


def enum_kind(labels, charset, type_="ENUM"):
    def expect(text, place):
        place = int(place)
        if place == 0:
            return Inexact("")
        if as_utf8(text) != labels[place - 1]:
            raise ValueError(f"the server calls number {place} {as_utf8(text)!r}, it was declared as {labels[place - 1]!r}")
        return labels[place - 1]

    edges = sorted({0, 1, len(labels), min(255, len(labels)), min(256, len(labels))})
    return Kind(type_, declared("ENUM", labels, charset), {"type": "string"}, expect, lambda r: number(r.randint(1, len(labels))),
                [number(v) for v in edges], asks=("HEX(CONVERT({} USING utf8mb4))", "CAST({} AS UNSIGNED)"), labels=labels, weight=4, distinct=0)


def set_kind(labels, charset, type_="SET"):
    def expect(text, members):
        chosen = [label for i, label in enumerate(labels) if int(members) >> i & 1]
        if as_utf8(text) != ",".join(chosen):
            raise ValueError(f"the server prints members {int(members):#x} as {as_utf8(text)!r}, they were declared as {chosen!r}")
        return chosen

    high = 2 ** len(labels) - 1
    return Kind(type_, declared("SET", labels, charset), {"type": "array", "items": "string"}, expect,
                lambda r: number(r.randint(0, high) & r.choice((high, r.randint(0, high), r.randint(0, high)))),
                [number(v) for v in sorted({0, 1, high, high >> 1, (high >> 1) + 1})],
                asks=("HEX(CONVERT({} USING utf8mb4))", "CAST({} AS UNSIGNED)"), labels=labels, weight=8, distinct=0)


def all_labels(r, told):
    """told: the server can tell labels with a '?' and characters beyond the basic plane (others refuse them)."""
    if told:
        odd = ["?", "😀", "??", "a?", "😀?", "?\U00020000", "b", "\U0001f600\U0001f601", "'?'", "3"]
        yield enum_kind(odd, "utf8mb4")
        yield set_kind(odd[:8], "utf8mb4")      # of more members MariaDB doesn't tell
    for count, charset in ((1, "latin1"), (3, "utf8mb4"), (60, "utf8mb4"), (255, "utf8mb4"), (256, "utf8mb4"), (400, "utf8mb4"), (40, "sjis"), (5, "ucs2")):
        yield enum_kind(labels_of(r, count, charset, False), charset)
    for count, charset in ((1, "latin1"), (8, "utf8mb4"), (9, "utf8mb4"), (16, "utf8mb4"), (17, "latin1"), (24, "utf8mb4"), (30, "utf8mb4"),
                           (33, "utf8mb4"), (64, "utf8mb4"), (64, "latin1"), (12, "utf16")):
        yield set_kind(labels_of(r, count, charset, True), charset)
