"""Columns of dates and times. A date that is none is null, and its text is in `exact`."""
from kind import Inexact, Kind, word

DAY = 86400 * 1000000
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in(year, month):
    return MONTH_DAYS[month - 1] + (month == 2 and leap(year))


def days(year, month, day):
    """Since 1970-01-01, counted year by year; None: there is no such day (the year 0 is none)."""
    if year == 0 or not 1 <= month <= 12 or not 1 <= day <= days_in(year, month):
        return None
    before = year - 1
    return before * 365 + before // 4 - before // 100 + before // 400 + sum(days_in(year, m) for m in range(1, month)) + day - 1 - 719162


def micros(clock):
    """'838:59:59.5' -> microseconds"""
    hours, minutes, seconds = clock.split(":")
    whole, _, fraction = seconds.partition(".")
    return ((int(hours) * 60 + int(minutes)) * 60 + int(whole)) * 1000000 + int((fraction + "000000")[:6])


def date(answer):
    said = answer.decode()
    since = days(*(int(part) for part in said.split("-")))
    return Inexact(said) if since is None else since


def moment(answer):
    said = answer.decode()
    day, clock = said.split(" ")
    since = days(*(int(part) for part in day.split("-")))
    return Inexact(said) if since is None else since * DAY + micros(clock)


def span(answer):
    said = answer.decode()
    return -micros(said[1:]) if said.startswith("-") else micros(said)


def any_day(r):
    pick = r.random()
    year = r.choice((0, 1, 999, 1000, 1582, 1752, 1899, 1900, 1969, 1970, 2000, 2024, 2038, 2100, 9999)) if pick < 0.3 else r.randint(0, 9999)
    if pick > 0.9:      # impossible ones, and those with zeros in them
        return f"{year:04d}-{r.choice((0, 0, 2, 4, 12)):02d}-{r.choice((0, 29, 30, 31)):02d}"
    month = r.randint(1, 12)
    return f"{year:04d}-{month:02d}-{r.randint(1, days_in(year, month)):02d}"


def digits(r, count):
    return "." + "".join(r.choice("0123456789") for _ in range(count)) if count else ""


def any_clock(r, count):
    return f"{r.randint(0, 23):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}" + digits(r, count)


def civil(seconds):
    """Seconds since 1970 as a date and time, day by day from the year's first."""
    day, clock = divmod(seconds, 86400)
    year = 1970 + day // 366
    while days(year + 1, 1, 1) <= day:
        year += 1
    month, day = 1, day - days(year, 1, 1)
    while day >= days_in(year, month):
        day, month = day - days_in(year, month), month + 1
    return f"{year:04d}-{month:02d}-{day + 1:02d} {clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}"


def times(last_stamp, short_years):
    days_of = ["0000-00-00", "0000-00-01", "0000-01-00", "0000-01-01", "0001-01-01", "1000-01-01", "1582-10-10", "1899-12-31", "1900-02-28",
               "1900-03-01", "1969-12-31", "1970-01-01", "1970-01-02", "2000-02-29", "2023-02-29", "2024-02-29", "2024-02-31", "2024-00-15",
               "2024-04-31", "2024-12-00", "9999-12-31"]
    yield Kind("DATE", "DATE", {"type": "int", "logicalType": "date"}, date, lambda r: word(any_day(r)), [word(d) for d in days_of])
    for n in range(7):
        name, nines = f"({n})" if n else "", "." + "9" * n if n else ""
        yield Kind(f"TIME{name}", f"TIME({n})", {"type": "long"}, span,
                   lambda r, n=n: word(f"{r.choice(('', '-'))}{r.choice((0, 0, 23, 24, 99, 100, 837, r.randint(0, 838)))}:"
                                       f"{r.randint(0, 59):02d}:{r.randint(0, 58):02d}{digits(r, n)}"),
                   [word(t) for t in ("00:00:00", f"838:59:59{'.' + '0' * n if n else ''}", f"-838:59:59{'.' + '0' * n if n else ''}",
                                      f"838:59:58{nines}", f"-838:59:58{nines}", f"23:59:59{nines}", f"-00:00:00{nines}", "24:00:00",
                                      f"-00:00:01{nines}", "-00:00:01", "-24:00:00", f"838:59:59{nines}", "00:00:00.1", "-00:00:00.000001")])
        yield Kind(f"DATETIME{name}", f"DATETIME({n})", {"type": "long", "logicalType": "local-timestamp-micros"}, moment,
                   lambda r, n=n: word(f"{any_day(r)} {any_clock(r, n)}"),
                   [word(f"{d} {c}") for d in days_of for c in ("00:00:00", f"23:59:59{nines}")] +
                   [word(f"0000-00-00 00:00:00{'.' + '0' * n if n else ''}")])
        yield Kind(f"TIMESTAMP{name}", f"TIMESTAMP({n})", {"type": "long", "logicalType": "timestamp-micros"}, moment,
                   lambda r, n=n: word(civil(r.choice((r.randint(1, 86400), r.randint(1, last_stamp), r.randint(1, last_stamp)))) + digits(r, n)),
                   [word(t) for t in ("0000-00-00 00:00:00", "1970-01-01 00:00:01", f"1970-01-01 00:00:01{nines}", "2001-09-09 01:46:40",
                                      civil(last_stamp), civil(last_stamp) + nines, "2016-12-31 23:59:59", "2024-03-31 01:30:00",
                                      "2024-02-29 12:00:00")], behind="NULL DEFAULT NULL")
    yield Kind("YEAR", "YEAR", {"type": "int"}, int, lambda r: str(r.choice((0, r.randint(1901, 2155)))).encode(),
               [b"0", b"1901", b"1999", b"2000", b"2155", b"'00'", b"'70'", b"'69'"], distinct=0)
    if short_years:
        yield Kind("YEAR(2)", "YEAR(2)", {"type": "int"}, lambda t: int(t) + (2000 if int(t) < 70 else 1900),
                   lambda r: str(r.randint(1970, 2069)).encode(), [b"1970", b"1999", b"2001", b"2069", b"0", b"'0'", b"'0000'"], distinct=0)
