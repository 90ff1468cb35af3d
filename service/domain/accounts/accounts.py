"""Use cases that hash or verify a password: register, log in, change or reset the password.

argon2 takes tens of milliseconds, so it runs before the transaction that depends on it. logins.py and
user_admin.py have the other use cases.
"""

from __future__ import annotations

from uuid import UUID

import email_validator
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_missing_parent
from db.queries import users
from db.tables import Role, User
from service.config.settings import Config
from service.domain.accounts import logins, user_admin
from service.domain.accounts.failed_logins import FailedLogins
from service.domain.accounts.logins import TokenPair, record_own
from service.domain.accounts.passwords import (
    hash_password,
    is_outdated,
    password_faults,
    verify_password,
)
from service.domain.accounts.tokens import AccessClaims, TokenMaker
from service.domain.audit import UNKNOWN, Action, Actor, account_event, record
from service.domain.email_addresses import normalized
from service.domain.last_use import LastUse
from service.domain.limit_storage import LimitStorage
from service.domain.preferences import Preferences, preferences
from service.domain.transactions import Transactions
from service.errors import Conflict, Fault, InvalidRequest, Unauthenticated
from service.observability.client_address import limit_key
from service.observability.request_id import current_client_address

_NOBODY = UUID(int=0)
_WRONG = "The e-mail address or the password is wrong."
_NOT_CURRENT = "This is not the current password."
_REFRESH_REFUSED = "The refresh token is no longer valid; log in again."


class Accounts:
    """Accounts as their owners use them."""

    def __init__(
        self,
        config: Config,
        transactions: Transactions,
        tokens: TokenMaker,
        *,
        limit_storage: LimitStorage,
    ) -> None:
        self._min_password_chars = config.min_password_length
        self._transactions = transactions
        self._tokens = tokens
        self._last_use = LastUse(transactions, users.mark_login_used)
        self._failures = FailedLogins(limit_storage)

    def register(
        self, email: str, password: str, *, role: Role = Role.USER, actor: Actor | None = None
    ) -> User:
        """Create an account; pass `actor` if somebody else creates it.

        Raises:
            InvalidRequest: address or password is invalid; lists every fault.
            Conflict: the address has an account.
        """
        address = self._validated_address(email, password)
        password_hash = hash_password(password)

        def add(session: Session) -> User:
            user = users.add_user(session, email=address, password_hash=password_hash, role=role)
            creator = actor or Actor(user.id)
            registered = account_event(Action.USER_REGISTERED, user.id, actor=creator, role=role)
            record(session, registered)
            return user

        try:
            return self._transactions.run(add)
        except users.EmailTaken as error:
            raise Conflict("This e-mail address has an account already; log in.") from error

    def log_in(self, email: str, password: str) -> TokenPair:
        """Verify the password and begin a log-in.

        Raises:
            Unauthenticated: address or password is wrong; message and duration do not show which.
            RateLimited: too many failed log-ins before this one.
        """
        client = current_client_address()
        self._failures.check_client(email, client)
        user, is_new = self._transactions.read(_user_by_email, email, client)
        if is_new:
            self._failures.check_new_client(email)
        known_hash = user.password_hash if user and user.disabled_at is None else None
        if not verify_password(password, known_hash) or user is None:
            self._failures.count(email, client, is_new=is_new)
            self._transactions.run(_record_failed_login, user)
            raise Unauthenticated(_WRONG)
        verified = user
        new_hash = hash_password(password) if is_outdated(user.password_hash) else None

        def begin(session: Session) -> TokenPair | None:
            if not self._is_still_valid(session, verified, password):
                _record_failed_login(session, verified)
                return None
            if new_hash:
                users.set_password_hash(session, verified.id, new_hash)
            return logins.begin(session, self._tokens, verified.id)

        pair = self._transactions.run(begin)
        if pair is None:
            raise Unauthenticated(_WRONG)
        return pair

    def refresh(self, refresh_token: str) -> TokenPair:
        """Exchange a refresh token for a new pair; the old one is used up.

        Raises:
            Unauthenticated: the token is unknown, expired or revoked; using it twice ends its log-in.
        """
        token_hash = self._tokens.refresh_token_hash(refresh_token)
        try:
            pair = self._transactions.run(logins.refresh, self._tokens, token_hash)
        except IntegrityError as error:
            if is_missing_parent(error):
                raise Unauthenticated(_REFRESH_REFUSED) from error
            raise
        if pair is None:
            raise Unauthenticated(_REFRESH_REFUSED)
        return pair

    def change_password(self, user: User, claims: AccessClaims, *, current: str, new: str) -> None:
        """Store a new password and end every log-in of the account except that of `claims`.

        Raises:
            InvalidRequest: a password is wrong or invalid; lists every fault.
            Conflict: another request changed the password meanwhile.
        """
        is_current = verify_password(current, user.password_hash)
        faults = [] if is_current else [Fault("current_password", _NOT_CURRENT)]
        faults += password_faults(new, min_chars=self._min_password_chars, field="new_password")
        if not is_current:
            self._transactions.run(lambda s: record_own(s, Action.PASSWORD_REFUSED, user.id))
        if faults:
            raise InvalidRequest.with_faults("The password was not changed.", faults)
        verified_hash, new_hash = user.password_hash, hash_password(new)

        def change(session: Session) -> None:
            stored = users.lock_user(session, user.id)
            if stored is None or stored.password_hash != verified_hash:
                raise Conflict("The password was changed elsewhere meanwhile; log in again.")
            users.set_password_hash(session, user.id, new_hash)
            reason = "password changed"
            n = users.revoke_user_logins(session, user.id, reason, except_login_id=claims.login_id)
            record_own(session, Action.PASSWORD_CHANGED, user.id, n_logins=n)

        self._transactions.run(change)

    def confirm_password(self, user: User, password: str) -> None:
        """Raise InvalidRequest unless this is the account's password; the trail records a wrong one."""
        if not verify_password(password, user.password_hash):
            self._transactions.run(lambda s: record_own(s, Action.PASSWORD_REFUSED, user.id))
            raise InvalidRequest(_NOT_CURRENT, faults=(Fault("password", _NOT_CURRENT),))

    def reset_password(self, user_id: UUID, password: str, *, actor: Actor) -> User:
        """Store a new password that `actor` chose, end every log-in and delete the keys of the account.

        Raises:
            NotFound: no account has the id.
            InvalidRequest: the password is too short or too long.
        """
        if faults := password_faults(password, min_chars=self._min_password_chars):
            raise InvalidRequest.with_faults("The password was not reset.", faults)
        new_hash = hash_password(password)
        return self._transactions.run(user_admin.store_password, user_id, new_hash, actor=actor)

    def authenticate(self, claims: AccessClaims) -> tuple[User, Preferences]:
        """Return the user of `claims` and the user's settings, as stored now.

        Raises:
            Unauthenticated: the account is gone or disabled, or the log-in has ended.
        """
        row = self._transactions.read(users.user_by_login, claims.user_id, claims.login_id)
        if row is None:
            raise Unauthenticated("This log-in has ended; log in again.")
        user, last_used_at, settings = row
        self._last_use.store(claims.login_id, last_used_at)
        return user, preferences(settings)

    def _is_still_valid(self, session: Session, verified: User, password: str) -> bool:
        """Lock the account; return whether the verified password is still valid for it.

        Without the lock, a log-in with the old password could start after a password change ended all others.
        """
        stored = users.lock_user(session, verified.id)
        if stored is None or stored.disabled_at is not None:
            return False
        if stored.password_hash == verified.password_hash:
            return True
        return verify_password(password, stored.password_hash)

    def _validated_address(self, email: str, password: str) -> str:
        """Return the normalized address; InvalidRequest if it or the password is invalid."""
        faults = []
        address = ""
        try:
            address = normalized(email)
        except email_validator.EmailNotValidError as error:
            faults.append(Fault("email", str(error)))
        faults += password_faults(password, min_chars=self._min_password_chars)
        if faults:
            raise InvalidRequest.with_faults("The account cannot be created.", faults)
        return address


def _record_failed_login(session: Session, user: User | None) -> None:
    """Record a failed log-in; `user` is None if the address has no account."""
    reason = "unknown address"
    if user is not None:
        reason = "wrong password" if user.disabled_at is None else "disabled"
    user_id = user.id if user else None
    record(session, account_event(Action.LOGIN_FAILED, user_id, actor=UNKNOWN, reason=reason))


def _user_by_email(session: Session, email: str, client: str | None) -> tuple[User | None, bool]:
    """Return the account of an address, and whether nobody has logged in to it from the client's network."""
    try:
        user = users.user_by_email(session, normalized(email))
    except email_validator.EmailNotValidError:
        user = None
    user_id = (
        user.id if user else _NOBODY
    )  # asked for in any case, so that the duration tells nothing
    return user, not _has_login_from(session, user_id, client)


def _has_login_from(session: Session, user_id: UUID, client: str | None) -> bool:
    """Return whether somebody has logged in to the account from the address or network that limits count."""
    if client is None or ":" not in client:
        return users.has_login_from(session, user_id, client)
    addresses = users.ipv6_login_addresses(session, user_id)
    return limit_key(client) in map(limit_key, addresses)
