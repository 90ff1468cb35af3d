"""The child process of OCR: draws one page of an untrusted PDF, and becomes tesseract, which reads it.

The PDF arrives on standard input, the job as JSON on the command line; tesseract writes the text to standard
output. The kernel's limits apply to both steps together.
"""

from __future__ import annotations

import json
import os
import resource
import sys

import pypdfium2 as pdfium  # type: ignore[import-untyped]  # ships no types

from service.nlp.extraction.sandbox_worker import set_limits

_DPI = 300
_POINTS_PER_INCH = 72
_MAX_PIXELS = 16_000_000  # A4 at 300 dots per inch has 8.7 million
_OPEN_FILES = 16


def main() -> None:
    """Draw the page, and replace this process by tesseract with the picture as its input."""
    job = json.loads(sys.argv[1])
    set_limits(
        memory_bytes=job["memory_bytes"],
        cpu_s=job["cpu_s"],
        file_bytes=2 * _MAX_PIXELS,
        open_files=_OPEN_FILES,
    )
    picture, dpi = _draw(sys.stdin.buffer.read(), job["page"] - 1)
    page = os.memfd_create("page", 0)
    with os.fdopen(page, "wb", closefd=False) as out:
        out.write(picture)
    os.lseek(page, 0, os.SEEK_SET)
    os.dup2(page, sys.stdin.fileno())
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    program = job["program"]
    arguments = [program, "stdin", "stdout", "-l", job["languages"], "--dpi", str(dpi)]
    os.execve(program, arguments, {"OMP_THREAD_LIMIT": "1"})  # noqa: S606 - no shell is wanted


def _draw(data: bytes, index: int) -> tuple[bytes, int]:
    """Return a page as a grey picture (PGM), and its dots per inch: fewer than _DPI for a huge page."""
    page = pdfium.PdfDocument(data)[index]
    width, height = page.get_size()
    area = max(width * height, 1.0)
    scale = min(_DPI / _POINTS_PER_INCH, (_MAX_PIXELS / area) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True, may_draw_forms=True)
    pixels = memoryview(bitmap.buffer).cast("B")
    lines = (
        pixels[y * bitmap.stride : y * bitmap.stride + bitmap.width] for y in range(bitmap.height)
    )
    head = f"P5 {bitmap.width} {bitmap.height} 255\n".encode("ascii")
    return head + b"".join(lines), max(70, round(scale * _POINTS_PER_INCH))
