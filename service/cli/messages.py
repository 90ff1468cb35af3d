"""Error messages of commands."""

from __future__ import annotations

from service.errors import RiskscanError


def error_message(error: RiskscanError | OSError) -> str:
    """Return what went wrong, with the message of every fault."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    details = [fault.message for fault in error.faults if fault.message not in error.message]
    return " ".join([error.message, *details])
