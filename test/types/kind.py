"""What a column can be: how it is declared, which values go in, how the server is asked for them, and what a record must hold.

Nothing here knows Millrace's code: `expect` and `avro` are written from schemas/mapping.md.
"""
import dataclasses
import struct


@dataclasses.dataclass(frozen=True)
class Inexact:
    """A value that its Avro type can't hold: the field is null, and `exact` has this text."""
    text: str


@dataclasses.dataclass
class Kind:
    type: str               # its line in the report
    declaration: str        # as CREATE TABLE has it
    avro: object            # the Avro type that the schema must have, without "mysql" and "labels"
    expect: object          # the server's answers, bytes each -> the record's value, or Inexact
    random: object = None   # random.Random -> an SQL expression, bytes; None: a generated column
    boundary: list = dataclasses.field(default_factory=list)    # SQL expressions that are always there
    asks: tuple = ("{}",)   # what the server is asked; {}: the column
    labels: list = None     # that the schema must list
    weight: int = 16        # bytes of a row, about; BIG: it has a place of its own
    behind: str = ""        # NULL DEFAULT NULL and the like, or how it is generated
    share: int = 1          # its line's values are spread over so many columns
    distinct: float = 0.3   # of the values, so many must differ, or what was meant did not arrive; 0: few there are
    streamed: bool = True   # False: the server's row images lack it; it is absent
    column: str = ""        # set when it stands in a table

    def same(self, want, got):
        return want == got and type(want) is type(got) and (not isinstance(want, float) or bits(want) == bits(got))


BIG = 700


def bits(number):
    """A float apart from its equals: -0.0 is not 0.0."""
    return struct.pack("<d", number)


def raw(data):
    """Bytes as an SQL literal: of no character set, so a column takes them as they are."""
    return b"x'" + data.hex().encode() + b"'" if data else b"''"


def text(string):
    return b"_utf8mb4 " + (raw(string.encode()) if string else b"''")


def number(value):
    return str(value).encode()


def word(value):
    return f"'{value}'".encode()


def any_size(r, most):
    """A whole number up to `most`: each number of digits as likely as any other."""
    return r.randrange(min(most, 2 ** r.randint(0, most.bit_length())) + 1)


def any_length(r, most):
    """Mostly short; the longest now and then."""
    pick = r.random()
    if pick < 0.06:
        return 0
    if pick < 0.1:
        return most
    return r.randint(1, min(most, r.choice((1, 4, 12, 40, 40, 40, 300, 3000) if pick < 0.4 else (4, 12, 24))))


def decimal_type(precision, scale):
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}
