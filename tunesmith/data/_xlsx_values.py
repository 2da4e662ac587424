"""Numbers of Excel's cells: whole or not, or a moment that the cell's format shows as a date.

Source: ECMA-376, Office Open XML, part 1, sections 18.8.30 (number formats) and 18.17.4 (dates and times).
"""

import re
from datetime import date, datetime, timedelta

__all__ = ["has_time", "moment", "number"]

_BUILT_IN = {*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)}
"""Formats without a code of their own that show dates or times; 46, of lengths of time, is left a number."""
_NOT_CODE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
"""Of a format's code: text, characters taken as they are, space, filling, colours and conditions."""
_LENGTH = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_FIRST_OF_MARCH = 61


def has_time(key: int, code: str | None) -> bool:
    """Whether a number format shows a date or a time of day. `code`: its own, where it has one."""
    if code is None:
        return key in _BUILT_IN
    shown = _NOT_CODE.sub("", code.partition(";")[0])
    return not _LENGTH.search(code) and shown.lower() != "general" and re.search(r"[ymdhs]", shown, re.IGNORECASE) is not None


def number(text: str) -> int | float:
    """A cell's number. Raises: ValueError, for what is none, or not finite."""
    value = float(text)
    if value != value or abs(value) == float("inf"):
        raise ValueError(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def moment(days: float, from_1904: bool) -> int | float | str:
    """A number of days as ISO 8601 text: a date, a time of day where it is below 1, or both. A number that is no date is left as it is.

    The first day is 1 January 1900 (or 1904, where the workbook says so), and 60 is 29 February 1900, which never was, as Lotus 1-2-3 counted.
    """
    seconds = round((days - int(days)) * 86400, 3)
    if days < 0 or days >= 2_958_466:  # 31 December 9999
        return days
    if days < 1 and seconds < 86400:
        return (datetime.min + timedelta(seconds=seconds)).time().isoformat()
    if from_1904:
        day = date(1904, 1, 1) + timedelta(days=int(days))
    elif int(days) == _FIRST_OF_MARCH - 1:
        return "1900-02-29" if not seconds else days
    else:
        day = date(1899, 12, 30 if days >= _FIRST_OF_MARCH else 31) + timedelta(days=int(days))
    whole = datetime(day.year, day.month, day.day) + timedelta(seconds=seconds)
    return whole.isoformat() if seconds else day.isoformat()
