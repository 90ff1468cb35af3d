"""Waits for a condition in another thread or process, long enough for a busy machine."""

import time

PATIENCE_S = 240


def wait_until(condition, message=str):
    """Return once `condition()` is true; fail with `message()` after PATIENCE_S."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, message()
        time.sleep(0.01)
