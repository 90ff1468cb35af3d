"""Delays after failed log-ins: they grow with the failures, and nobody can lock an owner out for good.

Failures count for the account and the client's address together, so somebody else's do not delay the owner.
Clients that never logged in to the account share another quota, which stops guessing from many addresses; an
address from which its owner has logged in does not need it.
"""

from __future__ import annotations

import hashlib

import email_validator

from service.domain.email_addresses import normalized
from service.domain.limit_storage import LimitStorage
from service.domain.rate_limits import RateLimit
from service.observability.client_address import limit_key

SAME_CLIENT = "5 per minute; 10 per 15 minutes; 20 per hour; 50 per day"
"""Failures of one client for one account: the fifth costs a minute, the tenth a quarter of an hour."""
NEW_CLIENTS = "50 per hour"
"""Failures for one account of all addresses from which nobody logged in to it."""


class FailedLogins:
    """Counts failures in `storage`."""

    def __init__(self, storage: LimitStorage) -> None:
        self._same_client = RateLimit(SAME_CLIENT, setting="failed log-ins", storage=storage)
        self._new_clients = RateLimit(
            NEW_CLIENTS, setting="failed log-ins of new clients", storage=storage
        )

    def check_client(self, email: str, address: str | None) -> None:
        """Raise RateLimited if this client must wait; it does not matter whether the account exists."""
        if address:
            self._same_client.require(_key(email, address))

    def check_new_client(self, email: str) -> None:
        """Raise RateLimited if clients that never logged in to the account must wait."""
        self._new_clients.require(_key(email))

    def count(self, email: str, address: str | None, *, is_new: bool) -> None:
        """Count a failed log-in; `is_new` if nobody has logged in to the account from this address."""
        if not address:
            return
        self._same_client.count(_key(email, address))
        if is_new:
            self._new_clients.count(_key(email))


def _key(email: str, address: str | None = None) -> str:
    """Return the key of an account and a client; the storage must not learn addresses of people."""
    digest = hashlib.sha256(_account(email).encode()).hexdigest()
    return f"{digest} {limit_key(address)}"


def _account(email: str) -> str:
    """Return the address as accounts are looked up by it, since a domain has many spellings."""
    try:
        return normalized(email)
    except email_validator.EmailNotValidError:
        return email.strip().lower()
