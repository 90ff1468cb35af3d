"""Pages of a PDF on which pdfium finds nothing: are they blank, or is their content damaged?

pdfium does not report content that it cannot decode, so pypdf reads the content of these pages.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdf import PageObject
    from pypdf.generic import StreamObject

_STATE = re.compile(
    rb"[-+.\d]+|/\S+|\[|\]|q|Q|cm|[wJjMdi]|ri|gs|W\*?|n|re|[mlcvyh]|CS|cs|SCN?|scn?|[GgKk]|RG|rg|BMC|EMC"
    rb"|BT|ET|T[cwzLfrsdDm*]"
)
"""Operands, and operators that show nothing (PDF 32000-1, table A.1)."""
_MAX_EMPTY_BYTES = 16
"""A stream without content is not longer when it is compressed."""
logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # its warnings quote the file


def blank_pages(data: bytes, indexes: Iterable[int]) -> set[int]:
    """Return which of these pages, counted from 0, show nothing.

    A page that cannot be read is not among them.
    """
    from pypdf import PdfReader  # noqa: PLC0415 - few documents have such pages

    try:
        pages = PdfReader(io.BytesIO(data)).pages
        return {index for index in indexes if _is_blank(pages[index])}
    except Exception:  # noqa: BLE001 - a damaged file raises errors of many types
        return set()


def _is_blank(page: PageObject) -> bool:
    contents = page.get("/Contents")
    if contents is None:
        return True
    found = contents.get_object()
    streams = found if isinstance(found, list) else [found]
    return all(_shows_nothing(stream.get_object()) for stream in streams)


def _shows_nothing(stream: StreamObject) -> bool:
    tokens = stream.get_data().split()
    if not tokens:
        encoded: bytes = stream._data  # noqa: SLF001 - pypdf has no other name for it
        return "/Filter" not in stream or len(encoded) <= _MAX_EMPTY_BYTES
    return all(_STATE.fullmatch(token) for token in tokens)
