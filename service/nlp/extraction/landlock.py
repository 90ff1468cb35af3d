"""Takes rights from this process for good by Landlock, the kernel's sandbox for processes without privileges.

The numbers are those of linux/landlock.h; the system calls have the same numbers on all architectures.
"""

from __future__ import annotations

import ctypes
import struct

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_RETURN_VERSION = 1
_SET_NO_NEW_PRIVS = 38  # of prctl; without it the kernel refuses the restriction
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_TCP = 0b11  # bind and connect, since version 4 (Linux 6.7)
_SCOPE = 0b11  # abstract Unix sockets and signals to others, since version 6 (Linux 6.12)


def version() -> int:
    """Return the version of Landlock. Below 1: the kernel has no Landlock, or the container forbids it."""
    return _call("syscall", _CREATE_RULESET, 0, 0, _RETURN_VERSION)


def drop_rights() -> bool:
    """Let this process write, create or delete no file, start no program, use no TCP, signal nobody.

    It may read files, change their modes, and use what is open already. Older kernels restrict less. Returns
    False without Landlock.
    """
    if (known := version()) < 1:
        return False
    network, scope = (_TCP if known >= 4 else 0), (_SCOPE if known >= 6 else 0)
    rights = struct.pack("QQQ", _file_rights(known), network, scope)
    buffer = ctypes.create_string_buffer(rights, len(rights))
    # A ruleset without rules allows none of the rights that it names.
    ruleset = _call("syscall", _CREATE_RULESET, ctypes.addressof(buffer), len(rights), 0)
    if ruleset < 0 or _call("prctl", _SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return _call("syscall", _RESTRICT_SELF, ruleset, 0) == 0


def _file_rights(known: int) -> int:
    """Return all rights to files that a version knows, except reading."""
    n_rights = 13 + min(known - 1, 2) + (known >= 5)  # 2: renaming, 3: truncating, 5: ioctl
    return ((1 << n_rights) - 1) & ~(_READ_FILE | _READ_DIR)


def _call(function: str, *arguments: int) -> int:
    """Call a function of the C library that returns -1 if it fails."""
    called = ctypes.CDLL(None)[function]
    called.restype = ctypes.c_long if function == "syscall" else ctypes.c_int
    return int(called(*map(ctypes.c_long, arguments)))
