"""Which cells of a workbook are dates or durations, and their text. Excel stores both as a number of days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.nlp.extraction.office_package import OfficePackage, Relationship, clear, local

_BUILT_IN = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
"""Numbers of the built-in formats that show dates or times (ECMA-376, part 1, 18.8.30)."""
_BUILT_IN_DURATION = "46"  # [h]:mm:ss
_DURATION = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"|\\.')
_LITERALS = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
_DATE_LETTERS = re.compile("[dmyhs]", re.IGNORECASE)
_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001 - a date of a cell has no zone
_DAYS_TO_1904 = 1_462
_LEAP_DAY = 60
"""Excel counts 29 February 1900, which did not exist, so earlier numbers are one day off."""
_LAST_DAY = 2_958_466  # 10000-01-01
_MAX_STYLES = 65_536


@dataclass(frozen=True, slots=True)
class DateStyles:
    """The styles that show a number as a date or duration; `offset_days` is added to each date.

    Those in `durations` show the hours since 0, also more than 24.
    """

    styles: frozenset[int]
    durations: frozenset[int] = frozenset()
    offset_days: int = 0

    def text(self, value: str, style: str) -> str:
        """Return the text of a number in a cell of this style: ISO 8601 for a date or time, else "36:00"."""
        is_date = style.isdecimal() and int(style) in self.styles
        try:
            number = float(value)
        except ValueError:
            return value
        if is_date and int(style) in self.durations and abs(number) < _LAST_DAY:
            return _duration(number)
        if not is_date or not 0 <= number + self.offset_days < _LAST_DAY:
            return format(number, ".15g") if "." in value or "E" in value.upper() else value
        return _iso(number, self.offset_days)


def _iso(number: float, offset_days: int) -> str:
    if number < _LEAP_DAY and not offset_days:
        offset_days = 1
    moment = _FIRST_DAY + timedelta(days=offset_days, seconds=round(number * 86_400))
    clock = moment.strftime("%H:%M:%S" if moment.second else "%H:%M")
    if number < 1:
        return clock
    return f"{moment:%Y-%m-%d}" if number.is_integer() else f"{moment:%Y-%m-%d} {clock}"


def _duration(number: float) -> str:
    """Return days as hours, minutes and, unless they are 0, seconds."""
    minutes, seconds = divmod(round(abs(number) * 86_400), 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if number < 0 else ""
    return f"{sign}{hours}:{minutes:02}{f':{seconds:02}' if seconds else ''}"


def read_date_styles(
    package: OfficePackage, related: dict[str, Relationship], *, is_1904: bool
) -> DateStyles:
    """Return the styles of a workbook that show dates; `related` are the workbook's references."""
    names = [r.target for r in related.values() if r.kind == "styles"]
    formats: dict[str, str] = {}
    styles: set[int] = set()
    durations: set[int] = set()
    n_styles = 0
    for element in package.ended(names[0], "{*}numFmt", "{*}xf") if names else ():
        if local(element) == "numFmt":
            formats[element.get("numFmtId", "")] = element.get("formatCode", "")[:255]
        elif local(element.getparent()) == "cellXfs" and n_styles < _MAX_STYLES:
            number = element.get("numFmtId", "")
            if _shows_duration(number, formats):
                durations.add(n_styles)
            if _shows_date(number, formats):
                styles.add(n_styles)
            n_styles += 1
            clear(element)
    offset_days = _DAYS_TO_1904 if is_1904 else 0
    return DateStyles(frozenset(styles | durations), frozenset(durations), offset_days)


def _shows_date(number: str, formats: dict[str, str]) -> bool:
    if number in formats:
        return _DATE_LETTERS.search(_LITERALS.sub("", formats[number])) is not None
    return number.isdecimal() and len(number) < 4 and int(number) in _BUILT_IN


def _shows_duration(number: str, formats: dict[str, str]) -> bool:
    if number in formats:
        return _DURATION.search(_QUOTED.sub("", formats[number])) is not None
    return number == _BUILT_IN_DURATION
