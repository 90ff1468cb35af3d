"""Use cases of accounts: register, log in, refresh, log out; shared by the API and the CLI."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import email_validator
import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.faults import is_missing_parent
from db.models import Login, User
from db.queries import users
from service.audit import Action, event, record
from service.combining import Combiner
from service.config import Config
from service.errors import Conflict, DatabaseUnavailable, Fault, InvalidRequest, Unauthenticated
from service.passwords import MAX_PASSWORD_CHARS, PasswordCheck, hash_password
from service.store import Store
from service.tokens import AccessClaims, TokenMaker

_WRONG = "The e-mail address or the password is wrong."
_REFRESH_REFUSED = "The refresh token is no longer valid; log in again."


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a log-in or a refresh hands out; `expires_in_s` is the access token's life."""

    access_token: str
    refresh_token: str
    expires_in_s: int


class Accounts:
    """Accounts and their log-ins; every method is one transaction."""

    def __init__(self, config: Config, store: Store, tokens: TokenMaker) -> None:
        self._min_password_chars = config.min_password_length
        self._store = store
        self._tokens = tokens
        self._password_check = PasswordCheck()
        self._users = Combiner(self._look_up, common=DatabaseUnavailable)
        # On-prem addresses live on internal domains (a@corp.local), which this list would refuse;
        # emptying it is the package's documented way.
        email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

    def register(self, email: str, password: str, *, role: str = "user") -> User:
        """Create an account.

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
            record(
                session,
                event(
                    Action.USER_REGISTERED,
                    user_id=user.id,
                    object_type="user",
                    object_id=user.id,
                    detail={"role": role},
                ),
            )
            return user

        try:
            return self._store.transaction(work)
        except users.EmailTaken as error:
            raise Conflict("This e-mail address has an account already; log in.") from error

    def log_in(self, email: str, password: str) -> TokenPair:
        """Verify the password and begin a log-in.

        Raises:
            Unauthenticated: one message and one duration, whichever part was wrong.
        """
        user = self._store.transaction(lambda s: _user_by_email(s, email))
        known_hash = user.password_hash if user and user.disabled_at is None else None
        if not self._password_check.verify(password, known_hash) or user is None:
            self._store.transaction(lambda s: self._record(s, Action.LOGIN_FAILED, None))
            raise Unauthenticated(_WRONG)
        user_id = user.id
        is_outdated = self._password_check.is_outdated(user.password_hash)
        renewed = hash_password(password) if is_outdated else None
        refresh_token = self._tokens.refresh_token()

        def work(session: Session) -> UUID:
            if stored := self._stored_login(session, refresh_token):
                return stored.id
            if renewed:
                users.set_password_hash(session, user_id, renewed)
            login = users.begin_login(session, user_id)
            self._add_refresh_token(session, login.id, refresh_token)
            self._record(session, Action.USER_LOGGED_IN, user_id)
            return login.id

        with _unless_deleted(_WRONG):
            login_id = self._store.transaction(work)
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
                self._record(session, Action.TOKEN_REUSED, login.user_id)
            if outcome != "ok" or login is None:
                return None
            self._add_refresh_token(session, login.id, successor)
            return AccessClaims(login.user_id, login.id)

        with _unless_deleted(_REFRESH_REFUSED):
            claims = self._store.transaction(work)
        if claims is None:
            raise Unauthenticated(_REFRESH_REFUSED)
        return self._pair(claims.user_id, claims.login_id, successor)

    def log_out(self, claims: AccessClaims) -> None:
        """End the log-in: its refresh tokens and its access tokens stop working at once."""

        def work(session: Session) -> None:
            users.revoke_login(session, claims.login_id, "logged out")
            self._record(session, Action.USER_LOGGED_OUT, claims.user_id)

        self._store.transaction(work)

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
        user = self._store.transaction(
            lambda s: users.user_of_login(s, claims.user_id, claims.login_id)
        )
        return [user] * len(askers)

    def _checked(self, email: str, password: str) -> str:
        faults = []
        address = ""
        try:
            address = _normalized(email)
        except email_validator.EmailNotValidError as error:
            faults.append(Fault("email", str(error)))
        if not self._min_password_chars <= len(password) <= MAX_PASSWORD_CHARS:
            faults.append(
                Fault(
                    "password",
                    f"The password has {self._min_password_chars} to {MAX_PASSWORD_CHARS} characters.",
                )
            )
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

    @staticmethod
    def _record(session: Session, action: Action, user_id: UUID | None) -> None:
        made = event(action, user_id=user_id, object_type="user", object_id=user_id)
        record(session, made)

    def _pair(self, user_id: UUID, login_id: UUID, refresh_token: str) -> TokenPair:
        access_token = self._tokens.access_token(user_id, login_id)
        return TokenPair(access_token, refresh_token, int(self._tokens.access_life.total_seconds()))


@contextlib.contextmanager
def _unless_deleted(message: str) -> Iterator[None]:
    """Raise Unauthenticated where what is stored belongs to an account that was deleted meanwhile."""
    try:
        yield
    except IntegrityError as error:
        if is_missing_parent(error):
            raise Unauthenticated(message) from error
        raise


def _normalized(email: str) -> str:
    """Return the one form of an address that is stored and looked up; EmailNotValidError if none."""
    checked = email_validator.validate_email(
        email.strip(), check_deliverability=False, globally_deliverable=False
    )
    return checked.normalized.lower()


def _user_by_email(session: Session, email: str) -> User | None:
    try:
        return users.user_by_email(session, _normalized(email))
    except email_validator.EmailNotValidError:
        return None
