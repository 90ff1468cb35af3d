"""`python -m tests.bench.cuda`: exit with 1 without a CUDA driver, before gigabytes are installed."""

import ctypes
import sys

ABSENT = "There is no CUDA driver on this machine, so make bench-gpu has nothing to measure here."


def has_driver():
    """Return whether libcuda can be loaded."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    if not has_driver():
        print(ABSENT)
        sys.exit(1)
