"""Use cases of the caller's own account: register, log in, refresh, log out, log-ins, password.

The API and the CLI share them. user_admin.py has the operator's use cases.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import email_validator
import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_missing_parent
from db.queries import users
from db.tables import Login, Role, User
from service.config.settings import Config
from service.domain.accounts.email_addresses import normalized
from service.domain.accounts.passwords import PasswordCheck, hash_password, password_faults
from service.domain.accounts.tokens import AccessClaims, TokenMaker
from service.domain.audit import UNKNOWN, Action, Actor, account_event, record
from service.domain.group_commit import Combiner
from service.domain.transactions import Transactions
from service.errors import (
    Conflict,
    DatabaseUnavailable,
    Fault,
    InvalidRequest,
    NotFound,
    Unauthenticated,
)
from service.observability.request_id import current_client_address

_WRONG = "The e-mail address or the password is wrong."
_NOT_CURRENT = "This is not the current password."
_USE_STEP = timedelta(minutes=1)
_REFRESH_REFUSED = "The refresh token is no longer valid; log in again."


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a log-in or a refresh hands out; `expires_in_s` is the access token's life."""

    user_id: UUID
    access_token: str
    refresh_token: str
    expires_in_s: int


class Accounts:
    """Accounts and their log-ins; each method makes its changes in one transaction."""

    def __init__(self, config: Config, transactions: Transactions, tokens: TokenMaker) -> None:
        self._min_password_chars = config.min_password_length
        self._transactions = transactions
        self._tokens = tokens
        self._password_check = PasswordCheck()
        self._note_again_at_s = 0.0
        self._users = Combiner(self._look_up, common=DatabaseUnavailable)

    def register(
        self, email: str, password: str, *, role: Role = Role.USER, actor: Actor | None = None
    ) -> User:
        """Create an account; `actor` is given where somebody else creates it.

        Raises:
            InvalidRequest: with every fault of address and password.
            Conflict: the address has an account.
        """
        address = self._checked(email, password)
        password_hash = hash_password(password)
        user_id = uuid_utils.compat.uuid7()  # ours, so that a transaction run again finds its row

        def work(session: Session) -> User:
            if stored := session.get(User, user_id):  # by a run whose answer was lost
                return stored
            user = users.add_user(
                session, email=address, password_hash=password_hash, role=role, user_id=user_id
            )
            creator = actor or Actor(user.id)
            registered = account_event(Action.USER_REGISTERED, user.id, actor=creator, role=role)
            record(session, registered)
            return user

        try:
            return self._transactions.run(work)
        except users.EmailTaken as error:
            raise Conflict("This e-mail address has an account already; log in.") from error

    def log_in(self, email: str, password: str) -> TokenPair:
        """Verify the password and begin a log-in.

        Raises:
            Unauthenticated: one message and one duration, whichever part was wrong.
        """
        user = self._transactions.run(lambda s: _user_by_email(s, email))
        known_hash = user.password_hash if user and user.disabled_at is None else None
        if not self._password_check.verify(password, known_hash) or user is None:
            self._record_failed_login(user)
            raise Unauthenticated(_WRONG)
        user_id = user.id
        is_outdated = self._password_check.is_outdated(user.password_hash)
        renewed = hash_password(password) if is_outdated else None
        refresh_token = self._tokens.refresh_token()

        def work(session: Session) -> UUID | None:
            if stored := self._stored_login(session, refresh_token):
                return stored.id
            if not self._still_fits(session, user, password):
                return None
            if renewed:
                users.set_password_hash(session, user_id, renewed)
            login = users.begin_login(session, user_id, client_address=current_client_address())
            self._add_refresh_token(session, login.id, refresh_token)
            _record(session, Action.USER_LOGGED_IN, user_id, login_id=str(login.id))
            return login.id

        login_id = self._transactions.run(work)
        if login_id is None:
            self._record_failed_login(user)
            raise Unauthenticated(_WRONG)
        return self._pair(user_id, login_id, refresh_token)

    def refresh(self, refresh_token: str) -> TokenPair:
        """Exchange a refresh token for a new pair; the old one is used up.

        Raises:
            Unauthenticated: unknown, expired or revoked; a token used twice ends its whole log-in.
        """
        token_hash = self._tokens.refresh_token_hash(refresh_token)
        successor = self._tokens.refresh_token()

        def work(session: Session) -> AccessClaims | None:
            if stored := self._stored_login(session, successor):
                return AccessClaims(stored.user_id, stored.id)
            outcome, login = users.take_refresh_token(session, token_hash, datetime.now(UTC))
            if outcome == "reused" and login is not None:
                users.revoke_login(session, login.id, "refresh token reused")
                _record(session, Action.TOKEN_REUSED, login.user_id, login_id=str(login.id))
            if outcome != "ok" or login is None:
                return None
            self._add_refresh_token(session, login.id, successor)
            users.mark_login_used(session, login.id, datetime.now(UTC))
            return AccessClaims(login.user_id, login.id)

        with _unless_deleted(_REFRESH_REFUSED):
            claims = self._transactions.run(work)
        if claims is None:
            raise Unauthenticated(_REFRESH_REFUSED)
        return self._pair(claims.user_id, claims.login_id, successor)

    def log_out(self, claims: AccessClaims) -> None:
        """End the log-in: its refresh tokens and its access tokens stop working at once."""
        self._transactions.run(lambda s: _end_login(s, claims.user_id, claims.login_id))

    def log_out_everywhere(self, user_id: UUID) -> None:
        """End every log-in of the account."""

        def work(session: Session) -> None:
            n_ended = users.revoke_logins_of_user(session, user_id, "logged out everywhere")
            if n_ended:  # 0 in a retry after a commit that succeeded
                _record(session, Action.USER_LOGGED_OUT, user_id, n_logins=n_ended)

        self._transactions.run(work)

    def logins(
        self, user_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None = None
    ) -> Sequence[Login]:
        """Return up to `limit` usable log-ins after the position `after`, newest first."""
        return self._transactions.run(
            lambda s: users.live_logins(s, user_id, limit=limit, after=after)
        )

    def end_login(self, user_id: UUID, login_id: UUID) -> None:
        """End one log-in of the account; do nothing if it has ended already.

        Raises:
            NotFound: the account never had it.
        """
        if not self._transactions.run(lambda s: _end_login(s, user_id, login_id)):
            raise NotFound("You have no log-in with this id; GET /api/v1/auth/logins lists yours.")

    def change_password(self, user: User, claims: AccessClaims, *, current: str, new: str) -> None:
        """Store a new password and end every log-in of the account but the one of `claims`.

        Raises:
            InvalidRequest: with every fault of both passwords.
            Conflict: another request changed the password meanwhile.
        """
        is_current = self._password_check.verify(current, user.password_hash)
        faults = [] if is_current else [Fault("current_password", _NOT_CURRENT)]
        faults += password_faults(new, min_chars=self._min_password_chars, field="new_password")
        if not is_current:
            self._transactions.run(lambda s: _record(s, Action.PASSWORD_REFUSED, user.id))
        if faults:
            raise InvalidRequest("The password was not changed.", faults=tuple(faults))
        verified, renewed = user.password_hash, hash_password(new)

        def work(session: Session) -> bool:
            stored = users.user_to_change(session, user.id)
            if stored is None or stored.password_hash not in {verified, renewed}:
                return False
            if stored.password_hash == verified:  # else a first run stored it
                users.set_password_hash(session, user.id, renewed)
                reason = "password changed"
                n = users.revoke_logins_of_user(session, user.id, reason, but=claims.login_id)
                _record(session, Action.PASSWORD_CHANGED, user.id, n_logins=n)
            return True

        if not self._transactions.run(work):
            raise Conflict("The password was changed elsewhere meanwhile; log in again.")

    def user_of(self, claims: AccessClaims) -> User:
        """Return the user that `claims` speak for, as the database has it after this call began.

        Those who ask for the same user at once share one look, and the object.

        Raises:
            Unauthenticated: the account is gone or disabled, or the log-in has ended.
        """
        user = self._users.do(claims, None)
        if user is None:
            raise Unauthenticated("This log-in has ended; log in again.")
        return user

    def _look_up(self, claims: AccessClaims, askers: Sequence[None]) -> Sequence[User | None]:
        found = self._transactions.run(
            lambda s: users.user_of_login(s, claims.user_id, claims.login_id)
        )
        if found is None:
            return [None] * len(askers)
        user, last_used_at = found
        self._note_use(claims.login_id, last_used_at)
        return [user] * len(askers)

    def _note_use(self, login_id: UUID, last_used_at: datetime | None) -> None:
        """Store the time of use, once a minute at most; skip it if the database refuses the write."""
        now = datetime.now(UTC)
        if last_used_at is not None and now - last_used_at < _USE_STEP:
            return
        if time.monotonic() < self._note_again_at_s:
            return
        try:
            self._transactions.run(lambda s: users.mark_login_used(s, login_id, now))
        except DatabaseUnavailable:
            # Requests go on with a read-only database; do not try this write for each of them.
            self._note_again_at_s = time.monotonic() + _USE_STEP.total_seconds()

    def _still_fits(self, session: Session, verified: User, password: str) -> bool:
        """Lock the account; return whether the verified password is still valid for it.

        Without the lock, a log-in with the old password could start after a password change ended all others.
        """
        stored = users.user_to_change(session, verified.id)
        if stored is None or stored.disabled_at is not None:
            return False
        if stored.password_hash == verified.password_hash:
            return True
        return self._password_check.verify(password, stored.password_hash)

    def _record_failed_login(self, user: User | None) -> None:
        """Record a failed log-in; `user` is None if the address has no account."""
        detail = {"reason": "unknown address"}
        if user is not None:
            detail = {"reason": "wrong password" if user.disabled_at is None else "disabled"}
        user_id = user.id if user else None
        failed = account_event(Action.LOGIN_FAILED, user_id, actor=UNKNOWN, **detail)
        self._transactions.run(lambda s: record(s, failed))

    def _checked(self, email: str, password: str) -> str:
        faults = []
        address = ""
        try:
            address = normalized(email)
        except email_validator.EmailNotValidError as error:
            faults.append(Fault("email", str(error)))
        faults += password_faults(password, min_chars=self._min_password_chars)
        if faults:
            raise InvalidRequest("The account cannot be made as asked.", faults=tuple(faults))
        return address

    def _stored_login(self, session: Session, refresh_token: str) -> Login | None:
        """Return the log-in of a token made here, when an earlier run's commit kept it after all."""
        token_hash = self._tokens.refresh_token_hash(refresh_token)
        return users.login_of_refresh_token(session, token_hash)

    def _add_refresh_token(self, session: Session, login_id: UUID, token: str) -> None:
        users.add_refresh_token(
            session,
            login_id,
            token_hash=self._tokens.refresh_token_hash(token),
            expires_at=datetime.now(UTC) + self._tokens.refresh_life,
        )

    def _pair(self, user_id: UUID, login_id: UUID, refresh_token: str) -> TokenPair:
        access_token = self._tokens.access_token(user_id, login_id)
        life_s = int(self._tokens.access_life.total_seconds())
        return TokenPair(user_id, access_token, refresh_token, life_s)


def _record(session: Session, action: Action, user_id: UUID, **detail: object) -> None:
    """Record an action of the owner on the account."""
    record(session, account_event(action, user_id, actor=Actor(user_id), **detail))


def _end_login(session: Session, user_id: UUID, login_id: UUID) -> bool:
    """End a live log-in; return whether it belongs to the account."""
    login = session.get(Login, login_id)
    if login is None or login.user_id != user_id:
        return False
    if users.revoke_login(session, login_id, "logged out"):
        _record(session, Action.USER_LOGGED_OUT, user_id, login_id=str(login_id))
    return True


@contextlib.contextmanager
def _unless_deleted(message: str) -> Iterator[None]:
    """Raise Unauthenticated if the block stores a row of an account that was deleted meanwhile."""
    try:
        yield
    except IntegrityError as error:
        if is_missing_parent(error):
            raise Unauthenticated(message) from error
        raise


def _user_by_email(session: Session, email: str) -> User | None:
    try:
        return users.user_by_email(session, normalized(email))
    except email_validator.EmailNotValidError:
        return None
