"""Columns of text in every character set, and of bytes."""
from kind import BIG, Inexact, Kind, any_length, raw

STRING, BYTES = {"type": "string"}, {"type": "bytes"}
ASKS = ("HEX({})", "HEX(CONVERT({} USING utf8mb4))")


def text_kind(type_, declaration, charset, most, weight, **more):
    """most: characters at most."""
    marks = {charset.ascii(s) for s in ("?", "a?b", "???")}

    def expect(stored, converted):
        """What the server does not know in a character set, it prints as '?': one more than are stored."""
        stored = bytes.fromhex(stored.decode())
        try:
            said = bytes.fromhex(converted.decode()).decode() if converted is not None else None
        except UnicodeDecodeError:
            said = None
        if said is None or said.count("?") != charset.question_marks(stored):
            return Inexact("0x" + stored.hex())
        return said

    def random(r):
        if r.random() < 0.04:   # not of the set's characters: the server takes of it what it takes
            return raw(r.randbytes(r.randint(1, min(most, 9))))
        return raw(charset.string(r, any_length(r, most))[:65000])

    edges = ["", " ", "a", " a", "a ", "\t\r\n", "'", "\\", '"', "%_", "\0", "\0a\0"]
    return Kind(type_, declaration, STRING, expect, random,
                [raw(charset.ascii(s)) for s in edges] + [raw(m) for m in sorted(marks) if len(m) <= most],
                weight=weight, distinct=0.3 if most > 8 else 0.1, **{"asks": ASKS, **more})


def texts(utf8mb4, utf8mb3):
    """Each type of text, in UTF-8."""
    for declaration, charset, most, weight in (
            ("CHAR(20)", utf8mb4, 20, 80), ("CHAR(255)", utf8mb4, 255, BIG), ("VARCHAR(40)", utf8mb4, 40, 160), ("VARCHAR(63)", utf8mb4, 63, 252),
            ("VARCHAR(64)", utf8mb4, 64, 256), ("VARCHAR(2000)", utf8mb4, 2000, BIG), ("TINYTEXT", utf8mb4, 63, 252), ("TEXT", utf8mb4, 9000, BIG),
            ("MEDIUMTEXT", utf8mb4, 9000, BIG), ("LONGTEXT", utf8mb4, 9000, BIG)):
        yield text_kind(declaration.split("(")[0], f"{declaration} CHARACTER SET utf8mb4", charset, most, weight)
    for declaration in ("NCHAR(12)", "NATIONAL CHAR VARYING(30)"):
        yield text_kind(declaration.split("(")[0], declaration, utf8mb3, 12, 90)


def in_charset(charset):
    yield text_kind(f"text in {charset.name}", f"VARCHAR(40) CHARACTER SET {charset.name}", charset, 40, 40 * charset.longest)
    yield text_kind(f"text in {charset.name}", f"CHAR(9) CHARACTER SET {charset.name}", charset, 9, 9 * charset.longest)
    yield text_kind(f"text in {charset.name}", f"TEXT CHARACTER SET {charset.name}", charset, 200, BIG)


def in_collation(charset, collation, share):
    more = {}
    if collation == "latin2_czech_cs":      # knows no control characters from 80 on, as latin2 does
        more["asks"] = (ASKS[0], "HEX(CONVERT({} COLLATE latin2_general_ci USING utf8mb4))")
    return text_kind("every collation", f"VARCHAR(12) CHARACTER SET {charset.name} COLLATE {collation}", charset, 12, 12 * charset.longest,
                     share=share, **more)


def bytes_kind(declaration, most, weight, distinct=0.3):
    def random(r):
        data = r.randbytes(any_length(r, most))
        return raw((data + bytes(r.choice((0, 0, 1, 3))))[:most])

    return Kind(declaration.split("(")[0], declaration, BYTES, lambda said: bytes.fromhex(said.decode()), random,
                [b"''", b"x'00'", b"x'0000'", b"x'20'", b"x'2020'", b"x'ff'", b"x'c328'", b"x'6100'"], asks=("HEX({})",), weight=weight,
                distinct=distinct)


def binaries():
    for declaration, most, weight, distinct in (
            ("BINARY(1)", 1, 1, 0), ("BINARY(16)", 16, 16, 0.3), ("BINARY(255)", 255, 255, 0.3), ("VARBINARY(1)", 1, 2, 0),
            ("VARBINARY(255)", 255, 256, 0.3), ("VARBINARY(256)", 256, 258, 0.3), ("VARBINARY(3000)", 3000, BIG, 0.3), ("TINYBLOB", 255, 256, 0.3),
            ("BLOB", 20000, BIG, 0.3), ("MEDIUMBLOB", 20000, BIG, 0.3), ("LONGBLOB", 20000, BIG, 0.3),
            ("CHAR(20) CHARACTER SET binary", 20, 20, 0.3)):
        yield bytes_kind(declaration, most, weight, distinct)
