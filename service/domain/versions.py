"""Versions of objects that several people change: nobody overwrites a version that they have not seen."""

from __future__ import annotations

import hashlib

from service.errors import PreconditionFailed

Expected = frozenset[int] | None
"""The versions of an object that the caller has seen, any of which may be changed; None: every version."""


def state_version(*fields: object) -> int:
    """Return a number that differs if any of the fields differs, for objects that count no versions.

    The fields are those that a change may replace.
    """
    digest = hashlib.blake2b(repr(fields).encode(), digest_size=7)
    return int.from_bytes(digest.digest())


def check_version(version: int, expected: Expected) -> None:
    """Raise PreconditionFailed unless the version is one of those expected."""
    if expected is not None and version not in expected:
        raise PreconditionFailed("Somebody changed this meanwhile. Read it again.")
