"""Cells of spreadsheets whose text somebody else wrote: a program that opens them must run nothing.

Excel and LibreOffice take a text of a CSV file for a formula if it begins with one of these characters.
Source: OWASP, CSV Injection.
"""

from __future__ import annotations

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_cell(value: object) -> object:
    """Return a value as a cell of a CSV file; a text that would be a formula begins with an apostrophe."""
    if isinstance(value, str) and value.startswith(_STARTS_FORMULA):
        return f"'{value}"
    return value
