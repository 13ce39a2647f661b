"""Places, vectors and addresses."""
import math
import struct

from kind import BIG, Kind, raw, word

KINDS = ("GEOMETRY", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION")


def coordinate(r):
    return r.choice((0.0, -0.0, 1.0, r.uniform(-180, 180), r.uniform(-1e-300, 1e-300), r.uniform(-1e15, 1e15), float(r.randint(-90, 90))))


def points(r, count, closed=False):
    out = [(coordinate(r), coordinate(r)) for _ in range(count)]
    return out + out[:1] if closed else out


def packed(number, body):
    return struct.pack("<BI", 1, number) + body


def listed(items):
    return struct.pack("<I", len(items)) + b"".join(items)


def line(r, closed=False):
    return listed([struct.pack("<dd", *p) for p in points(r, r.randint(4, 7) if closed else r.randint(2, 9), closed)])


def rings(r):
    return listed([line(r, True) for _ in range(r.choice((1, 1, 2)))])


def well_known(r, number, depth=2):
    """The bytes of one place of that kind."""
    if number == 0:
        number = r.randint(1, 7)
    few = r.randint(1, 4)
    if number == 1:
        return packed(1, struct.pack("<dd", coordinate(r), coordinate(r)))
    if number == 2:
        return packed(2, line(r))
    if number == 3:
        return packed(3, rings(r))
    if number == 7:
        return packed(7, listed([well_known(r, 0 if depth else r.randint(1, 6), depth - 1) for _ in range(few)]))
    return packed(number, listed([well_known(r, number - 3) for _ in range(few)]))


def place(answer):
    data = bytes.fromhex(answer.decode())
    return {"srid": int.from_bytes(data[:4], "little"), "wkb": data[4:]}


def geometries(limits):
    """limits: a column may be declared with the reference system that all its places have."""
    for number, name in enumerate(KINDS):
        def random(r, number=number):
            srid = r.choice((0, 0, 4326, 3857, r.choice((0, 4326)) if limits else r.getrandbits(32)))
            return raw(struct.pack("<I", srid) + well_known(r, number))
        yield geometry(name, name, random)
    if limits:
        yield geometry("POINT SRID", "POINT SRID 4326", lambda r: raw(struct.pack("<I", 4326) + packed(1, struct.pack(
            "<dd", r.uniform(-180, 180), r.uniform(-90, 90)))))


def geometry(type_, declaration, random):
    return Kind(type_, declaration, "place", place, random, asks=("HEX({})",), weight=BIG)


def floats(answer):
    data = bytes.fromhex(answer.decode())
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def finite(r, most):
    while True:
        value = struct.unpack("<f", struct.pack("<I", r.getrandbits(32)))[0]
        if math.isfinite(value) and abs(value) <= most:
            return value


def vectors(mysql):
    """In MySQL a value may have fewer dimensions than its column; MariaDB refuses one whose length is no float."""
    highest = 3.4028234663852886e38 if mysql else 1e17
    for most in (1, 3, 300):
        def random(r, most=most):
            count = r.randint(1, most) if mysql else most
            return raw(struct.pack(f"<{count}f", *(r.choice((0.0, 1.0, -0.0, finite(r, highest), r.uniform(-1, 1))) for _ in range(count))))
        yield Kind("VECTOR", f"VECTOR({most})", {"type": "array", "items": "float"}, floats, random,
                   [raw(struct.pack(f"<{most}f", *([v] * most))) for v in (0.0, -0.0, highest, 1.401298464324817e-45)],
                   asks=("HEX({})",), weight=BIG, distinct=0.2)


def addresses(uuid):
    def any_uuid(r):
        digits = f"{r.getrandbits(128):032x}"
        if r.random() < 0.2:
            digits = f"{r.getrandbits(64):016x}" + "0" * 16     # ends in zeros, which BINARY would lose
        return word("-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])))

    def any_inet6(r):
        value = r.getrandbits(128) & r.choice((2**128 - 1, ~(2**64 - 1), 0xffff, 2**128 - 2**16, 0xffff00000000ffff))
        return word(":".join(f"{value >> 16 * i & 0xffff:x}" for i in reversed(range(8))))

    def four(r):
        return ".".join(str(r.choice((0, 255, r.randrange(256)))) for _ in range(4))

    said = bytes.decode
    yield Kind("INET6", "INET6", {"type": "string"}, said, lambda r: any_inet6(r) if r.random() < 0.8 else word("::ffff:" + four(r)),
               [word(a) for a in ("::", "::1", "1::", "::ffff:1.2.3.4", "::1.2.3.4", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::1")])
    if uuid:
        yield Kind("INET4", "INET4", {"type": "string"}, said, lambda r: word(four(r)),
                   [word(a) for a in ("0.0.0.0", "255.255.255.255", "1.0.0.0", "127.0.0.1")])
        edges = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
                 "01234567-89ab-7def-8123-456789abcdef", "12345678-1234-1234-1234-000000000000")
        for _ in range(2):      # the server refuses some values
            yield Kind("UUID", "UUID", {"type": "string"}, said, any_uuid, [word(u) for u in edges])
