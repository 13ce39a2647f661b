"""JSON: a binary form on MySQL, which may hold what no JSON text says; a text on MariaDB."""
import json

from charsets import any_character
from kind import BIG, Kind, any_size, raw, text

ASKS = ("HEX(CAST({} AS CHAR CHARACTER SET utf8mb4))",)
NUMBERS = ["0", "-1", "1", "32767", "-32768", "32768", "2147483647", "-2147483648", "2147483648", "9223372036854775807", "-9223372036854775808",
           "9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "0.0", "-0.0", "1.0", "1.5", "1e0", "1e22",
           "1e23", "0.1", "1e-7", "123456789.123456789", "1e308", "-2.2250738585072014e-308", "5e-324", "3.141592653589793"]


def expect(answer):
    return bytes.fromhex(answer.decode()).decode()


def any_string(r, most):
    return "".join(any_character(r, 0x10ffff) if r.random() < 0.4 else r.choice('abc "\\/\b\f\n\r\t\x01\x1f\x7f?') for _ in range(r.randint(0, most)))


def any_number(r):
    pick = r.random()
    if pick < 0.4:
        return r.choice(NUMBERS)
    if pick < 0.8:
        return str(any_size(r, 2**64) * r.choice((1, -1)))
    return repr(r.uniform(-1, 1) * 10.0 ** r.randint(-30, 30))


def any_document(r, depth):
    """JSON text."""
    pick = r.random()
    if depth > 0 and pick < 0.3:
        return "[" + r.choice((",", ", ", " ,\n")).join(any_document(r, depth - 1) for _ in range(r.choice((0, 1, 2, 5)))) + "]"
    if depth > 0 and pick < 0.65:
        keys = dict.fromkeys(r.choice(("a", "b", "", "key", "日本", any_string(r, 6), "k" * r.randint(1, 300))) for _ in range(r.choice((0, 1, 3, 6))))
        return "{" + ", ".join(f"{json.dumps(key, ensure_ascii=r.random() < 0.5)}:{any_document(r, depth - 1)}" for key in keys) + "}"
    if pick < 0.8:
        return any_number(r)
    if pick < 0.92:
        return json.dumps(any_string(r, r.choice((0, 3, 20, 130, 300))), ensure_ascii=r.random() < 0.5)
    return r.choice(("true", "false", "null"))


def opaque(r):
    """SQL for what JSON text has no word for."""
    clock = f"{r.randint(0, 23):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}.{r.randrange(10**6):06d}"
    day = f"{r.randint(1, 9999):04d}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"
    return r.choice((
        lambda: f"CAST('{r.choice(('', '-'))}{any_size(r, 10**30)}.{any_size(r, 10**20)}' AS DECIMAL({r.choice((65, 50, 40))},{r.randint(0, 30)}))",
        lambda: f"CAST('{day} {clock}' AS DATETIME({r.randint(0, 6)}))",
        lambda: f"CAST('{r.choice(('', '-'))}{r.choice((1, 99, 837))}:{clock[3:]}' AS TIME({r.randint(0, 6)}))",
        lambda: f"CAST('{day}' AS DATE)",
        lambda: "x'" + bytes(r.randrange(256) for _ in range(r.choice((1, 2, 3, 60)))).hex() + "'",
        lambda: f"b'{any_size(r, 2**40):b}'",
        lambda: f"ST_GeomFromText('POINT({r.randint(-99, 99)} {r.uniform(-9, 9)!r})')",
        lambda: f"{any_size(r, 2**64 - 1)}", lambda: f"{r.uniform(-1e9, 1e9)!r}e0", lambda: "TRUE", lambda: "NULL",
        lambda: text(any_string(r, 20)).decode()))()


def built(r):
    parts = [opaque(r) for _ in range(r.randint(1, 4))]
    if r.random() < 0.5:
        return f"JSON_ARRAY({', '.join(parts)})".encode()
    return f"JSON_OBJECT({', '.join(f'{json.dumps(str(i))}, {p}' for i, p in enumerate(parts))})".encode()


def deep(levels, wrap):
    return (wrap[0] * levels + "1" + wrap[1] * levels)


def edges():
    out = [*NUMBERS, "null", "true", "false", '""', "[]", "{}", '"?"', deep(95, "[]"), deep(90, ('{"a":', "}")), "[" + ",".join(["1"] * 70) + "]",
           json.dumps("x" * 127), json.dumps("x" * 128), json.dumps("x" * 16383), json.dumps("x" * 16384), json.dumps(["y" * 300] * 250),
           json.dumps({f"key{i}": i for i in range(300)}), "[" + ",".join(str(70000 + i) for i in range(20000)) + "]",
           json.dumps({"b": 1, "a": 2, "aa": 3, "": 4}), '{"a": 1, "a": 2}', '"\\ud83d\\ude00"', '"\\u0000"']
    return [text(document) for document in out]


def binary_json():
    return Kind("JSON", "JSON", {"type": "string"}, expect, lambda r: text(any_document(r, 4)) if r.random() < 0.7 else built(r), edges(),
                asks=ASKS, weight=BIG)


def text_json():
    """MariaDB's: a LONGTEXT, so it stays as it was written."""
    return Kind("JSON", "JSON", {"type": "string"}, lambda said: bytes.fromhex(said.decode()).decode(), lambda r: raw(any_document(r, 4).encode()),
                edges(), asks=("HEX({})",), weight=BIG)
