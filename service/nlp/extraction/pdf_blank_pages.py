"""Tells blank pages of a PDF from pages whose content is damaged; pdfium finds nothing on either.

pdfium does not report content that it cannot decode, so pypdf reads the content of these pages.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader
    from pypdf.generic import StreamObject

_PAINTS_NOTHING = re.compile(
    rb"[-+.\d]+|/\S+|\[|\]|q|Q|cm|[wJjMdi]|ri|gs|W\*?|n|re|[mlcvyh]|CS|cs|SCN?|scn?|[GgKk]|RG|rg|BMC|EMC"
    rb"|BT|ET|T[cwzLfrsdDm*]"
)
"""Operands, and operators that show nothing (PDF 32000-1, table A.1)."""
_MAX_EMPTY_BYTES = 16
"""A stream without content is not longer when it is compressed."""


def blank_pages(data: bytes, indexes: Sequence[int]) -> set[int]:
    """Return which of these pages, counted from 0, are blank; a page that cannot be read is not."""
    if not indexes:
        return set()
    from pypdf import PdfReader  # noqa: PLC0415 - few documents have such pages

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # its warnings quote the file
    try:
        reader = PdfReader(io.BytesIO(data))
    except Exception:  # noqa: BLE001 - pypdf raises errors of many types for a damaged file
        return set()
    return {index for index in indexes if _is_readable_and_blank(reader, index)}


def _is_readable_and_blank(reader: PdfReader, index: int) -> bool:
    try:
        return _is_blank(reader.pages[index])
    except Exception:  # noqa: BLE001 - as above
        return False


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
    return all(_PAINTS_NOTHING.fullmatch(token) for token in tokens)
