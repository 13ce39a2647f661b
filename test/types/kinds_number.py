"""Columns of numbers and bits."""
import decimal
import math
import struct

from kind import Kind, any_size, decimal_type, number

WIDTHS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}


def integers():
    for name, width in WIDTHS.items():
        for unsigned in (False, True):
            for zerofill in (False, True) if unsigned else (False,):
                yield integer(name, width, unsigned, zerofill)
    yield integer("TINYINT", 8, False, False, "BOOLEAN")


def integer(name, width, unsigned, zerofill, declared=None):
    low, high = (0, 2**width - 1) if unsigned else (-2**(width - 1), 2**(width - 1) - 1)
    edges = {low, low + 1, high, high - 1, 0, 1, -1, 9, 10, 127, 128, 255, 256, 32767, 32768, 2**31 - 1, 2**31, 2**63 - 1, 2**63}

    def random(r):
        value = any_size(r, high)
        return number(value if unsigned or r.random() < 0.5 else -value - (value < high))

    big = name == "BIGINT" and unsigned
    avro = decimal_type(20, 0) if big else {"type": "long" if name == "BIGINT" or (name == "INT" and unsigned) else "int"}
    words = " UNSIGNED" * unsigned + " ZEROFILL" * zerofill
    return Kind(declared or name + words, declared or name + words, avro, (lambda t: decimal.Decimal(t.decode())) if big else int,
                random, [number(v) for v in sorted(edges) if low <= v <= high], distinct=0.3 if width > 16 else 0)


def decimals(r, most_scale=30):
    shapes = [(65, 30), (65, 0), (30, 30), (1, 0), (1, 1), (9, 9), (10, 0), (18, 9), (19, 10), (65, most_scale), (most_scale, most_scale)]
    while len(shapes) < 18:
        precision = r.randint(1, 65)
        shapes.append((precision, r.randint(0, min(most_scale, precision))))
    for i, (precision, scale) in enumerate(dict.fromkeys(shapes)):
        for words in ("", " UNSIGNED") if i % 3 == 0 else ("",):
            yield fixed(precision, scale, words)
    yield fixed(12, 3, " UNSIGNED ZEROFILL")


def fixed(precision, scale, words):
    def printed(value):
        digits = f"{value:0{scale + 1}d}"
        return digits if scale == 0 else f"{digits[:-scale]}.{digits[-scale:]}"

    def random(r):
        value = printed(any_size(r, 10**precision - 1))
        return ("-" + value if not words and r.random() < 0.5 else value).encode()

    edges = {0, 1, 10**precision - 1, 10**(precision - 1), 10**scale if scale < precision else 1}
    boundary = [printed(v) for v in sorted(edges)]
    if not words:
        boundary += ["-" + b for b in boundary]
    return Kind("DECIMAL" + words, f"DECIMAL({precision},{scale}){words}", decimal_type(precision, scale),
                lambda t: decimal.Decimal(t.decode()), random, [b.encode() for b in boundary], weight=30,
                distinct=0.3 if precision > 4 else 0)


def single(number_):
    return struct.unpack("<f", struct.pack("<f", number_))[0]


def reals():
    def any_float(r):
        while True:
            value = struct.unpack("<f", struct.pack("<I", r.getrandbits(32) if r.random() < 0.7 else r.getrandbits(23)))[0]
            if math.isfinite(value):
                return value

    def any_double(r):
        while True:
            value = struct.unpack("<d", struct.pack("<Q", r.getrandbits(64) if r.random() < 0.7 else r.getrandbits(52)))[0]
            if math.isfinite(value):
                return value

    def plain(make, unsigned):
        return lambda r: written(abs(make(r)) if unsigned else make(r) if r.random() < 0.7 else round(r.uniform(-1e6, 1e6), r.randint(0, 9)))

    def written(value):
        return repr(value if "e" in repr(value) else float(value)).encode() + (b"" if "e" in repr(value) else b"e0")

    floats = [0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, single(1e-45), single(1.1754942e-38), single(1.1754944e-38), single(3.4028235e38),
              single(-3.4028235e38), 16777216.0, 16777217.0]
    doubles = [0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 5e-324, 2.2250738585072009e-308, 2.2250738585072014e-308, 1.7976931348623157e308,
               -1.7976931348623157e308, 2.0**53, 2.0**53 + 2, 1e22, 1e23, 123456789012345680.0]
    for name, avro, make, edges in (("FLOAT", "float", any_float, floats), ("DOUBLE", "double", any_double, doubles)):
        expect = (lambda t: single(float(t))) if avro == "float" else float
        for words in ("", " UNSIGNED"):
            yield Kind(name + words, name + words, {"type": avro}, expect, plain(make, bool(words)),
                       [written(abs(v) if words else v) for v in edges], asks=("{}*1e0",))
        for most, digits in ((7, 3), (20, 10), (53, 0), (255, 30)):
            if name == "FLOAT" and most > 53:
                continue
            yield Kind(f"{name}(M,D)", f"{name}({most},{digits})", {"type": avro}, expect,
                       lambda r, m=min(most, 38), d=digits: written(r.uniform(-1, 1) * 10 ** r.randint(-d, m - d)),
                       [b"0", b"-0e0", b"0.5", b"-99.999", b"1e-5"], asks=("{}*1e0",), distinct=0.1)
    yield Kind("FLOAT(p)", "FLOAT(24)", {"type": "float"}, lambda t: single(float(t)), plain(any_float, False), asks=("{}*1e0",))
    yield Kind("FLOAT(p)", "FLOAT(25)", {"type": "double"}, float, plain(any_double, False), asks=("{}*1e0",))


def bit_columns():
    for width in range(1, 65):
        high = 2**width - 1
        yield Kind("BIT", f"BIT({width})", {"type": "boolean" if width == 1 else "bytes"},
                   (lambda t: t == b"\1") if width == 1 else bytes, lambda r, high=high: number(any_size(r, high)),
                   [number(v) for v in sorted({0, 1, high, high >> 1, (high >> 1) + 1})], weight=8, distinct=0 if width < 20 else 0.3)
