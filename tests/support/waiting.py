"""Waiting for what happens elsewhere, with the patience that a busy machine needs."""

import time

PATIENCE_S = 120


def wait_until(is_so, told=str):
    """Return once `is_so()` holds; fail, with what `told()` says, where it never does."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s, told()
        time.sleep(0.01)
