"""Passwords: argon2id hashes and a verification that takes as long for an unknown user."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from service.domain.limits import MAX_PASSWORD_CHARS
from service.errors import Fault

# OWASP Password Storage Cheat Sheet, argon2id row: 19 MiB, 2 passes, 1 lane. The package's default
# (64 MiB, 4 lanes) would let eight log-ins at once hold half a gigabyte.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """Return the argon2id hash of `password` with its parameters and a fresh salt."""
    return _HASHER.hash(password)


def password_faults(password: str, *, min_chars: int, field: str = "password") -> list[Fault]:
    """Return the faults of a new password; only its length is checked."""
    if min_chars <= len(password) <= MAX_PASSWORD_CHARS:
        return []
    return [Fault(field, f"The password has {min_chars} to {MAX_PASSWORD_CHARS} characters.")]


class PasswordCheck:
    """Verifies passwords; one instance per process, since its decoy hash takes time to make."""

    def __init__(self) -> None:
        self._decoy = hash_password("no user has this hash")

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Return whether `password` fits; with no hash (unknown user) spend the same time on a decoy."""
        try:
            _HASHER.verify(password_hash or self._decoy, password)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Return whether the hash has other parameters than new ones."""
        return _HASHER.check_needs_rehash(password_hash)
