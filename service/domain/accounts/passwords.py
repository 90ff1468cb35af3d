"""Passwords: argon2id hashes, and verification that takes as long for an unknown user."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from db.tables import NO_PASSWORD, SSO_ONLY
from service.config.cpus import all_cpus
from service.domain.limits import MAX_PASSWORD_CHARS
from service.errors import Fault

# OWASP Password Storage Cheat Sheet, argon2id row: 19 MiB, 2 passes, 1 lane. The package's default
# (64 MiB, 4 lanes) would let eight log-ins at once hold half a gigabyte.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# The hash of a random password that nobody knows, with the parameters above.
_DECOY_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$rOtk82+UNnzODHKFfmYYCA$"
    "4wKT7c5ZJK+HcY5+4kP6LCpZbHeQxen7C7oYAySm6kE"
)


def hash_password(password: str) -> str:
    """Return the argon2id hash of `password` with its parameters and a fresh salt."""
    with all_cpus():
        return _HASHER.hash(password)


def password_faults(password: str, *, min_chars: int, field: str = "password") -> list[Fault]:
    """Return the faults of a new password; only its length is checked."""
    if min_chars <= len(password) <= MAX_PASSWORD_CHARS:
        return []
    return [Fault(field, f"The password has {min_chars} to {MAX_PASSWORD_CHARS} characters.")]


def verify_password(password: str, password_hash: str | None) -> bool:
    """Return whether `password` matches the hash.

    Without a hash (unknown account, or one without a password) it takes the same time and returns False.
    """
    has_password = password_hash not in {None, NO_PASSWORD, SSO_ONLY}
    try:
        with all_cpus():
            _HASHER.verify(
                password_hash if password_hash and has_password else _DECOY_HASH, password
            )
    except (VerificationError, InvalidHashError):
        return False
    return has_password


def is_outdated(password_hash: str) -> bool:
    """Return whether the hash was computed with other parameters than today's."""
    return _HASHER.check_needs_rehash(password_hash)
