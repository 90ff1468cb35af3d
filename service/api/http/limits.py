"""How large a request may be: fixed, or from the limits of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.config.settings import Config  # imports SQLAlchemy, which not every process needs

RETRY_AFTER_S = 2
"""Seconds after which the client may retry a request refused for lack of room."""
PROBE_PATHS = ("/health", "/health/live", "/health/ready", "/metrics")
"""Paths that are answered at once, however long the queue is; exact, without a query."""
# JSON may write one character as two \uXXXX escapes; so many bytes a text within its limit can take.
_BYTES_PER_CHAR = 12
_ENVELOPE_BYTES = 65_536
SMALL_BODY_BYTES = 65_536
"""Most bytes of a body from an unauthenticated sender, and of any body under /auth."""
MAX_FIELDS = 20
"""Most fields of a form, or of all objects of a JSON body together."""
MAX_JSON_ITEMS = 1_000
MAX_JSON_DEPTH = 8
MAX_JSON_DIGITS = 40
# waitress goes through the whole header again with each piece that comes, so that its own 256 KiB,
# sent byte by byte, would cost the listener 64 times what these do; a token takes under 1 KiB.
MAX_HEADER_BYTES = 32_768


def max_body_bytes(config: Config) -> int:
    """Return the bytes of the largest request body that can hold a permitted file or text."""
    return max(config.max_file_bytes, config.max_text_chars * _BYTES_PER_CHAR) + _ENVELOPE_BYTES


def body_too_large(config: Config) -> str:
    """Return the sentence for a body beyond any of these limits, with the settings among them."""
    return (
        f"The request is larger than this service takes: files have at most "
        f"{config.max_file_bytes:,} bytes (MAX_FILE_BYTES), texts {config.max_text_chars:,} characters "
        f"(MAX_TEXT_CHARS), requests about accounts {SMALL_BODY_BYTES:,} bytes, forms {MAX_FIELDS} fields."
    )
