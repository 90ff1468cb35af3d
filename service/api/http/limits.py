"""Limits on the size of requests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.config.settings import Config  # the lighter processes do not import it

RETRY_AFTER_S = 2
"""Retry-After, in seconds, of a request rejected for lack of capacity."""
PROBE_PATHS = ("/health", "/health/live", "/health/ready", "/metrics")
"""Paths that bypass the queue; matched exactly, without a query."""
# JSON may write one character as two \uXXXX escapes.
_BYTES_PER_CHAR = 12
_ENVELOPE_BYTES = 65_536
SMALL_BODY_BYTES = 65_536
"""Maximum size of a body without authentication, and of every body under /auth."""
MAX_FORM_FIELDS = 20
MAX_PART_HEAD_BYTES = 8_192
"""Maximum size of the head of a part of a form; a browser's has the name of the file, and under 500 bytes."""
MAX_JSON_FIELDS = 1_000
"""Maximum number of fields of all objects of a JSON body together. A user's settings may name a threshold
for each category, and companies have taxonomies with hundreds."""
MAX_JSON_ITEMS = 1_000
MAX_JSON_DEPTH = 8
MAX_JSON_DIGITS = 40
_UPLOAD_PATH = re.compile(r"/api/(v1/)?(sessions/[^/]+/files|batches)")
_PART_BYTES = 1_024
"""The head of one file in a form."""


def is_upload(method: str, path: str) -> bool:
    """Return whether a request uploads a file into a session, or a batch: its body goes to the disk."""
    return method == "POST" and _UPLOAD_PATH.fullmatch(path) is not None


# waitress rescans the whole header after each received piece, so its default of 256 KiB, sent byte by
# byte, would cost the listener 64 times as much as this limit. A token takes under 1 KiB.
MAX_HEADER_BYTES = 32_768


def max_body_bytes(config: Config) -> int:
    """Return the size of the largest request body that can hold a permitted file or text."""
    return max(config.max_file_bytes, config.max_text_chars * _BYTES_PER_CHAR) + _ENVELOPE_BYTES


def max_upload_body_bytes(config: Config) -> int:
    """Return the size of the largest request body that uploads a file into a session."""
    return config.max_upload_bytes + _ENVELOPE_BYTES


def max_batch_body_bytes(config: Config) -> int:
    """Return the size of the largest request body that sends a batch."""
    heads = config.max_batch_files * _PART_BYTES
    return config.max_batch_bytes + heads + _ENVELOPE_BYTES


def body_too_large(config: Config) -> str:
    """Return the message for a body beyond any of these limits; it names the settings."""
    return (
        f"The request is larger than this service accepts: files have at most "
        f"{config.max_file_bytes:,} bytes (MAX_FILE_BYTES), in sessions {config.max_upload_bytes:,} "
        f"(MAX_UPLOAD_BYTES), batches {config.max_batch_bytes:,} (MAX_BATCH_BYTES), texts "
        f"{config.max_text_chars:,} characters (MAX_TEXT_CHARS), requests about accounts "
        f"{SMALL_BODY_BYTES:,} bytes, forms {MAX_FORM_FIELDS} fields."
    )
