"""Who runs a command: the name under which the audit trail and the deployments record it."""

from __future__ import annotations

import getpass
import os


def operator_name() -> str:
    """Return cli:<user of the operating system> in at most 255 characters; a nameless user goes by number."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        user = str(os.getuid())
    return f"cli:{user}"[:255]
