"""The operator of a command, as the audit trail and the deployments record it."""

from __future__ import annotations

import getpass
import os


def operator_name() -> str:
    """Return cli:<operating system user>, at most 255 characters; a user without a name gets the number."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a user id without a name
        user = str(os.getuid())
    return f"cli:{user}"[:255]
