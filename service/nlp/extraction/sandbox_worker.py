"""Reads one untrusted document in a separate process, under limits that the kernel enforces.

The parent sends the document on standard input and the order on the command line, as JSON. The answer goes
to standard output: one line of JSON, then the blocks' offsets as int64 in native byte order, then the text in
UTF-8. Imports as little as possible, since every request pays for the start.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from service.errors import RiskscanError, TooLarge
from service.nlp.extraction.text_builder import TextBuilder


def _reader(order: dict[str, Any]) -> Callable[[bytes, TextBuilder], None]:
    """Return the reader of the ordered format; its libraries load before the limits close in."""
    if order["format"] == "pdf":
        from service.nlp.extraction.pdf import read_pdf  # noqa: PLC0415 - only its format pays for it

        return lambda data, builder: read_pdf(data, builder, max_pages=order["max_pages"])
    if order["format"] == "docx":
        from service.nlp.extraction.docx import read_docx  # noqa: PLC0415

        return read_docx
    if order["format"] == "html":
        from service.nlp.extraction.html_page import read_html  # noqa: PLC0415

        return lambda data, builder: read_html(data, builder, charset=order["charset"])
    from service.nlp.extraction.plain_text import reader_of  # noqa: PLC0415

    return reader_of(order["format"], charset=order["charset"])


def _limit(order: dict[str, Any]) -> None:
    limits = {
        resource.RLIMIT_AS: order["memory_bytes"],
        resource.RLIMIT_CPU: order["cpu_s"],
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 8,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in limits.items():
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))


def _answer(order: dict[str, Any]) -> tuple[dict[str, object], Sequence[bytes | array[int]]]:
    """Return the line of JSON and the parts that follow it; an error has none."""
    read = _reader(order)
    _limit(order)
    builder = TextBuilder(order["max_chars"])
    try:
        read(sys.stdin.buffer.read(), builder)
        head: dict[str, object] = {
            "n_blocks": len(builder.offsets) // 2,
            "page_starts": builder.page_starts or None,
            "pages_without_text": builder.pages_without_text,
        }
        return head, (builder.offsets, builder.text().encode("utf-8"))
    except RiskscanError as error:
        return {"error": error.code, "message": error.message}, ()
    except MemoryError:
        return {"error": TooLarge.code, "message": memory_message(order["memory_bytes"])}, ()


def memory_message(memory_bytes: int) -> str:
    """Return the sentence for a document that needs more memory than it gets."""
    return (
        f"Reading the file needs more than {memory_bytes:,} bytes of memory. Split the document, or "
        "ask the operator to raise EXTRACT_MEMORY_BYTES."
    )


def main() -> None:
    """Read the document on standard input as the first argument orders; write the answer."""
    head, body = _answer(json.loads(sys.argv[1]))
    sys.stdout.buffer.write(json.dumps(head).encode("ascii") + b"\n")
    for part in body:
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
    os._exit(0)  # spares the teardown of what the kernel frees anyway
