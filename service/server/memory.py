"""How the process holds memory: what a large document took goes back, what the start made is left alone."""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_LARGE_BYTES = 1 << 20
_SPARE_BYTES = 8 << 20


def give_back_large_blocks() -> None:
    """Have each block of a megabyte or more mapped alone, so that freeing it gives it back.

    Left alone, glibc raises the size from which it does so to that of the largest block freed yet, up to
    32 MB (mallopt(3)): the copies of one long text then stay with the process, in pieces. Other C libraries
    have no such setting, and are left as they are.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        # 128 kB otherwise, now that glibc no longer sets it: each block of 512 kB would cost 90 page faults
        mallopt(_M_TRIM_THRESHOLD, _SPARE_BYTES)


def leave_alone_what_is_there() -> None:
    """Have the collector of garbage never look again at the objects there are by now.

    A full collection over all that the start made holds every thread up for 140 ms, and reading 40,000
    sentences brings three of them; without it they take 5 ms at most (AMD EPYC, November 2026).
    """
    gc.freeze()
