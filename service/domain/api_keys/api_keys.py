"""Use cases of API keys: create, list, rotate, delete, and authenticate with one."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.orm import Session

from db.queries import api_keys as queries
from db.queries.users import lock_user
from db.tables import ADMINISTRATORS, ApiKey, Scope, User
from service.domain.api_keys.key_text import HINT_CHARS, KeyMaker, invalid_key, key_hash
from service.domain.audit import Action, Actor, account_event, record
from service.domain.last_use import LastUse
from service.domain.preferences import Preferences, preferences
from service.domain.transactions import Transactions
from service.errors import Conflict, Forbidden, NotFound, Unauthenticated

_NOT_FOUND = "You have no API key with this id; GET /api/v1/auth/keys lists yours."


@dataclass(frozen=True, slots=True)
class NewKey:
    """A stored key, and its text, which is shown only once."""

    key: ApiKey
    text: str


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """The key that a request carries, and what it may do."""

    key_id: UUID
    scopes: frozenset[Scope]


class ApiKeys:
    """API keys as their owners and their machines use them."""

    def __init__(self, transactions: Transactions, maker: KeyMaker, *, max_keys: int) -> None:
        """`max_keys` is the limit of each account, expired keys included."""
        self._transactions = transactions
        self._maker = maker
        self._max_keys = max_keys
        self._last_use = LastUse(transactions, queries.mark_key_used)

    def create(
        self, user: User, *, name: str, scopes: Sequence[Scope], lifetime: timedelta | None
    ) -> NewKey:
        """Create a key for an account; without `lifetime` it never expires.

        Raises:
            Forbidden: the scope is beyond the account's role.
            Conflict: the account has `max_keys` keys.
        """
        if Scope.ADMIN in scopes and user.role not in ADMINISTRATORS:
            roles = ", ".join(ADMINISTRATORS)
            raise Forbidden(
                f"The scope admin is for keys of accounts with one of the roles {roles}."
            )
        text = self._maker.new_key(user.id)
        return self._transactions.run(
            self._create, user.id, text, name=name, scopes=scopes, lifetime=lifetime
        )

    def rotate(self, user_id: UUID, key_id: UUID, *, grace: timedelta) -> NewKey:
        """Replace a key by a new one with its name, scopes and lifetime; the old one expires after `grace`.

        Raises:
            NotFound: the account has no such key.
            Conflict: the key has expired or was rotated before, or the account has `max_keys` keys.
        """
        text = self._maker.new_key(user_id)
        return self._transactions.run(self._rotate, user_id, text, key_id, grace)

    def authenticate(self, text: str) -> tuple[User, Preferences, KeyGrant]:
        """Return the account of a key with its settings, and what the key may do.

        Raises:
            Unauthenticated: the key is unknown or expired, or its account is disabled.
        """
        self._maker.read(text)
        digest = key_hash(text)
        row = self._transactions.read(queries.user_by_key, digest)
        if row is None or not hmac.compare_digest(row[1].key_hash, digest):
            raise invalid_key()
        user, key, settings = row
        if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
            raise Unauthenticated(
                f"The API key {key.name!r} has expired. Log in, and create a key with "
                "POST /api/v1/auth/keys."
            )
        self._last_use.store(key.id, key.last_used_at)
        grant = KeyGrant(key.id, frozenset(map(Scope, key.scopes)))
        return user, preferences(settings), grant

    def _create(
        self,
        session: Session,
        user_id: UUID,
        text: str,
        *,
        name: str,
        scopes: Sequence[Scope],
        lifetime: timedelta | None,
    ) -> NewKey:
        self._check_number(session, user_id)
        key = _add(session, user_id, text, name=name, scopes=scopes, lifetime=lifetime)
        _record(session, Action.KEY_CREATED, user_id, key.id, scopes=key.scopes)
        return NewKey(key, text)

    def _rotate(
        self, session: Session, user_id: UUID, text: str, key_id: UUID, grace: timedelta
    ) -> NewKey:
        self._check_number(session, user_id)
        old, now = queries.lock_key(session, key_id, user_id), datetime.now(UTC)
        if old is None:
            raise NotFound(_NOT_FOUND)
        if old.replaced_by_id is not None:
            raise Conflict("This key was rotated before; rotate the key that replaced it.")
        if old.expires_at is not None and old.expires_at <= now:
            raise Conflict("This key has expired; create a new one with POST /api/v1/auth/keys.")
        lifetime = None if old.expires_at is None else old.expires_at - old.created_at
        key = _add(session, user_id, text, name=old.name, scopes=old.scopes, lifetime=lifetime)
        old.replaced_by_id = key.id
        old.expires_at = min(now + grace, old.expires_at or now + grace)
        _record(session, Action.KEY_ROTATED, user_id, old.id, replaced_by=str(key.id))
        return NewKey(key, text)

    def _check_number(self, session: Session, user_id: UUID) -> None:
        """Lock the account, which an operator may have just disabled, and refuse a key beyond the limit."""
        user = lock_user(session, user_id)
        if user is None or user.disabled_at is not None:
            raise Unauthenticated("This account was deleted or disabled meanwhile.")
        if queries.count_keys(session, user_id) >= self._max_keys:
            raise Conflict(
                f"You have {self._max_keys:,} API keys, the limit (MAX_API_KEYS). Delete those that you no "
                "longer use."
            )


def get_key(session: Session, user_id: UUID, key_id: UUID) -> ApiKey:
    """Return a key of an account; NotFound if it has none with this id."""
    key = queries.get_key(session, key_id, user_id)
    if key is None:
        raise NotFound(_NOT_FOUND)
    return key


def delete_key(session: Session, user_id: UUID, key_id: UUID) -> None:
    """Delete a key, which stops working at once; NotFound as in `get_key`."""
    if not queries.delete_key(session, key_id, user_id):
        raise NotFound(_NOT_FOUND)
    _record(session, Action.KEY_DELETED, user_id, key_id)


def _add(
    session: Session,
    user_id: UUID,
    text: str,
    *,
    name: str,
    scopes: Sequence[str],
    lifetime: timedelta | None,
) -> ApiKey:
    now = datetime.now(UTC)
    values = {
        "id": uuid_utils.compat.uuid7(),
        "user_id": user_id,
        "name": name,
        "key_hash": key_hash(text),
        "hint": text[-HINT_CHARS:],
        "scopes": sorted(map(str, scopes)),
        "created_at": now,
        "expires_at": None if lifetime is None else now + lifetime,
    }
    return queries.add_key(session, values)


def _record(
    session: Session, action: Action, user_id: UUID, key_id: UUID, **detail: object
) -> None:
    detail["key_id"] = str(key_id)
    record(session, account_event(action, user_id, actor=Actor(user_id), **detail))
