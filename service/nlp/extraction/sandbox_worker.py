"""The sandbox's child process: reads one untrusted document under limits that the kernel enforces.

The document arrives on standard input, the job (sandbox.ReadJob) as JSON on the command line. The answer on
standard output is one line of JSON, then the blocks' offsets as int64 in native byte order, then, if there
are headings, the row of each block's heading as int32, then the PDFs that OCR may read, then the text in
UTF-8. Imports little, since every document that it reads pays for the imports.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from service.errors import RiskscanError, TooLarge
from service.nlp.extraction.landlock import drop_rights
from service.nlp.extraction.text_builder import TextBuilder


def main() -> None:
    """Read the document on standard input; write the answer to standard output."""
    head, body = _answer(json.loads(sys.argv[1]))
    sys.stdout.buffer.write(json.dumps(head).encode("ascii") + b"\n")
    for part in body:
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
    os._exit(0)  # skip the teardown: the kernel frees everything


def _answer(job: dict[str, Any]) -> tuple[dict[str, object], Sequence[bytes | array[int]]]:
    """Return the line of JSON and the parts that follow it; after an error there are none."""
    read = load_reader(job["reader"])  # before the limits apply, so that its libraries can load
    set_limits(memory_bytes=job["memory_bytes"], cpu_s=job["cpu_s"])
    drop_rights()
    builder = TextBuilder(job["max_chars"], keeps_pictures=job["keeps_pictures"])
    try:
        read(sys.stdin.buffer.read(), builder, **job["options"])
        return _result(builder)
    except RiskscanError as error:
        return {"error": error.code, "message": error.message}, ()
    except MemoryError:
        message = (
            f"Reading the file needs more than {job['memory_bytes']:,} bytes of memory. Split the document, "
            "or ask the operator to raise EXTRACT_MEMORY_BYTES."
        )
        return {"error": TooLarge.code, "message": message}, ()


def _result(builder: TextBuilder) -> tuple[dict[str, object], Sequence[bytes | array[int]]]:
    pictures = builder.kept_pictures()
    head = {
        "n_blocks": len(builder.offsets) // 2,
        "parts": [part.as_json() for part in builder.parts],
        "headings": list(builder.headings),
        "pictures": [(part, len(data)) for part, data in pictures],
    }
    kept = b"".join(data for _, data in pictures)
    return head, (builder.offsets, builder.heading_rows, kept, builder.text().encode("utf-8"))


def load_reader(name: str) -> Callable[..., None]:
    """Import a reader by its name, "module:function"."""
    module, _, function = name.partition(":")
    reader: Callable[..., None] = getattr(importlib.import_module(module), function)
    return reader


def set_limits(*, memory_bytes: int, cpu_s: int, file_bytes: int = 0, open_files: int = 8) -> None:
    """Limit this process for good: it can start no other, and write at most `file_bytes` to a file."""
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NOFILE: open_files,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in limits.items():
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))
