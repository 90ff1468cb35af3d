"""The CPUs of this process's threads.

Only one thread at a time holds the GIL. If the next one is on another CPU, it must be woken there, and finds
cold caches: with many callers, single sentences are a quarter faster if all Python runs on one CPU. What runs
long without the GIL (forward passes, password hashes, other processes) may use all CPUs.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

_cpus_of_process: set[int] = set()
"""Empty unless Python stays on one of them."""


def stay_on(cpus: Collection[int]) -> None:
    """Keep this thread, and what it starts later, on these CPUs, if the system allows it."""
    with suppress(OSError):  # forbidden here, or the operator has taken these CPUs away meanwhile
        os.sched_setaffinity(0, cpus)


def keep_python_on_one_cpu() -> None:
    """Keep this thread, and the threads that it starts later, on one of the CPUs that it has now.

    The choice is random: not all services on one machine should choose the first.
    """
    _cpus_of_process.update(os.sched_getaffinity(0))
    stay_on({secrets.choice(sorted(_cpus_of_process))})


def use_all_cpus() -> None:
    """Let this thread use all CPUs of the process."""
    if _cpus_of_process:
        stay_on(_cpus_of_process)


@contextmanager
def all_cpus() -> Iterator[None]:
    """Let this thread, and what it starts meanwhile, use all CPUs of the process."""
    before = os.sched_getaffinity(0)
    use_all_cpus()
    try:
        yield
    finally:
        if _cpus_of_process:
            stay_on(before)
