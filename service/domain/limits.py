"""Limits that use cases and the schemas of the HTTP API share. Imports nothing."""

from __future__ import annotations

MAX_PASSWORD_CHARS = 1024
COUNTED_SCANS = 1_000
"""The total of a page counts at most this many of the newest scans, which bounds its cost."""
NUMBERED_SCANS = 10_000
"""Page numbers reach this many scans, since each page reads all before it. Cursors reach every scan."""
