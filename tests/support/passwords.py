"""Passwords hashed with little work, for tests of anything else."""

from contextlib import contextmanager

import pytest
from argon2 import PasswordHasher

from service.domain.accounts import passwords

LIGHT = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""argon2id with the least work that it allows: 0.1 ms, where the service's own takes 25 ms of a core."""


@contextmanager
def light_hashes():
    """Hash with LIGHT in this process, in the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", LIGHT)
        yield
