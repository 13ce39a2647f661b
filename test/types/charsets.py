"""The character sets of a server: which characters each has, as the server itself says."""
import dataclasses

# Those whose characters are Unicode's own: how Python calls them, the most bytes of one, and the highest of them.
UNICODE = {"utf8": ("utf-8", 0xffff), "utf8mb3": ("utf-8", 0xffff), "utf8mb4": ("utf-8", 0x10ffff), "ucs2": ("utf-16-be", 0xffff),
           "utf16": ("utf-16-be", 0x10ffff), "utf16le": ("utf-16-le", 0x10ffff), "utf32": ("utf-32-be", 0x10ffff)}
SCRIPTS = ((0x20, 0x7e), (0x20, 0x7e), (0, 0x1f), (0x80, 0xff), (0x100, 0x24f), (0x370, 0x3ff), (0x400, 0x52f), (0x530, 0x58f), (0x590, 0x5f4),
           (0x600, 0x6ff), (0x900, 0x97f), (0xe00, 0xe5b), (0x1100, 0x11ff), (0x2000, 0x206f), (0x20a0, 0x20bf), (0x2190, 0x21ff),
           (0x3040, 0x30ff), (0x4e00, 0x9fff), (0xac00, 0xd7a3), (0xe000, 0xf8ff), (0xfb00, 0xfeff), (0xff00, 0xffff), (0x10000, 0x1ffff),
           (0x1f300, 0x1faff), (0x20000, 0x2a6df), (0xe0000, 0x10ffff))


@dataclasses.dataclass
class Charset:
    name: str
    longest: int        # bytes of a character
    chars: list = None  # codes of its own, bytes; None: Unicode

    def string(self, r, length):
        """That many characters of it; hardly ever a '?', which is what the server prints for what it doesn't know."""
        if self.chars is None:
            codec, highest = UNICODE[self.name]
            return "".join(any_character(r, highest) for _ in range(length)).encode(codec)
        return b"".join(r.choice(self.chars) for _ in range(length))

    def question_marks(self, stored):
        """How many there are; in none of the narrow sets 3F is a part of another character."""
        mark = self.ascii("?")
        return sum(stored[i:i + len(mark)] == mark for i in range(0, len(stored), len(mark)))

    def ascii(self, plain):
        return plain.encode(UNICODE[self.name][0] if self.name in UNICODE else "ascii")


def any_character(r, highest):
    while True:
        low, high = r.choice(SCRIPTS)
        point = r.randint(low, high)
        if point <= highest and point != 0x3f and not 0xd800 <= point <= 0xdfff:
            return chr(point)


def known(ask, name, codes):
    """Those of the codes that are a character of the set to the server. ask: SQL -> rows."""
    rows = ask(f"SELECT HEX(c), HEX(CONVERT(CONVERT(c USING {name}) USING utf8mb4)) FROM ({codes}) q")
    out = []
    for code, said in rows:
        if said is None or said in (b"", b"3F"):
            continue
        try:
            if len(bytes.fromhex(said.decode()).decode()) == 1:
                out.append(bytes.fromhex(code.decode()))
        except UnicodeDecodeError:
            continue
    return out


def number_table(ask):
    ask("CREATE TEMPORARY TABLE numbers (n INT UNSIGNED PRIMARY KEY) ENGINE=MyISAM")
    for begin in range(0, 65536, 8192):
        ask("INSERT INTO numbers VALUES " + ",".join(f"({n})" for n in range(begin, begin + 8192)))


def read(ask, r, sampled):
    """Every set of the server but binary. sampled: with a part of the characters of the large ones only."""
    number_table(ask)
    some = f" AND n % 7 = {r.randrange(7)}" if sampled else ""
    out = []
    for name, longest in ask("SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS ORDER BY 1"):
        name, longest = name.decode(), int(longest)
        if name == "binary":
            continue
        if name in UNICODE:
            out.append(Charset(name, longest))
            continue
        chars = known(ask, name, "SELECT UNHEX(LPAD(HEX(n), 2, '0')) c FROM numbers WHERE n < 256")
        if longest > 1:
            chars += known(ask, name, f"SELECT UNHEX(HEX(n)) c FROM numbers WHERE n >= 32768{some}")
        if longest == 3:
            chars += known(ask, name, f"SELECT UNHEX(CONCAT('8F', HEX(n))) c FROM numbers WHERE n >= 41377{some}")
        if longest == 4:
            wide = {any_character(r, 0x10ffff).encode("gb18030", "ignore") for _ in range(4000)}
            chars += known(ask, name, " UNION ".join(f"SELECT x'{c.hex()}' c" for c in sorted(wide) if len(c) == 4))
        out.append(Charset(name, longest, chars))
    return out


def collations(ask):
    """(collation, character set) of all that a column may have."""
    columns = {row[0] for row in ask("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema' AND "
                                     "TABLE_NAME = 'COLLATION_CHARACTER_SET_APPLICABILITY'")}
    full = "FULL_COLLATION_NAME" if b"FULL_COLLATION_NAME" in columns else "COLLATION_NAME"
    rows = ask(f"SELECT {full}, CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY ORDER BY 1, 2")
    return [(collation.decode(), charset.decode()) for collation, charset in rows if charset and charset != b"binary"]
