"""Versions of objects that several people change: nobody overwrites a version that they have not seen."""

from __future__ import annotations

from service.errors import PreconditionFailed

Expected = frozenset[int] | None
"""The versions of an object that the caller has seen, any of which may be changed; None: every version."""


def check_version(version: int, expected: Expected) -> None:
    """Raise PreconditionFailed unless the version is one of those expected."""
    if expected is not None and version not in expected:
        raise PreconditionFailed(
            f"Somebody changed this meanwhile; it has version {version} now. Read it again."
        )
