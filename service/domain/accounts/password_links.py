"""Use cases of links with which people choose a password: invitations, and resets by an administrator.

A link is signed, expires, and works once: it holds a digest of the present password hash, so any change of
the password ends it. Nothing of it is stored.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import email_validator
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from db.queries import users
from db.tables import NO_PASSWORD, Role, User
from service.config.settings import Config
from service.domain.accounts import user_admin
from service.domain.accounts.passwords import hash_password, password_faults
from service.domain.audit import Action, Actor, account_event, record
from service.domain.email_addresses import normalized
from service.domain.transactions import Transactions
from service.errors import Conflict, Fault, InvalidRequest

_INVALID = (
    "This link does not work: it has expired, was used already, or is incomplete. Ask an administrator for a "
    "new one."
)


@dataclass(frozen=True, slots=True)
class PasswordLink:
    """A page of this service; the fragment of `path`, which browsers send to nobody, is the link's token."""

    path: str
    expires_at: datetime


class PasswordLinks:
    """Makes links, and stores the passwords that people choose with them."""

    def __init__(self, config: Config, transactions: Transactions) -> None:
        self._transactions = transactions
        self._min_password_chars = config.min_password_length
        self._life = timedelta(hours=config.password_link_expire_hours)
        self._serializer = URLSafeTimedSerializer(
            config.secret_key,
            salt="password-link",
            signer_kwargs={"digest_method": hashlib.sha256},
        )

    def invite(self, email: str, *, role: Role, actor: Actor) -> tuple[User, PasswordLink]:
        """Create an account without a password, and the link with which its owner chooses one.

        Raises:
            InvalidRequest: the address is invalid.
            Conflict: the address has an account.
        """
        try:
            address = normalized(email)
        except email_validator.EmailNotValidError as error:
            faults = [Fault("email", str(error))]
            raise InvalidRequest.with_faults("The account cannot be created.", faults) from error

        def add(session: Session) -> User:
            user = users.add_user(session, email=address, password_hash=NO_PASSWORD, role=role)
            record(session, account_event(Action.USER_INVITED, user.id, actor=actor, role=role))
            return user

        try:
            user = self._transactions.run(add)
        except users.EmailTaken as error:
            raise Conflict("This e-mail address has an account already.") from error
        return user, self._link(user)

    def create(self, user_id: UUID, *, actor: Actor) -> PasswordLink:
        """Return a new link for an account; earlier ones work until one of them is used.

        Raises:
            NotFound: no account has the id.
        """

        def find(session: Session) -> User:
            user = user_admin.get_user(session, user_id)
            record(session, account_event(Action.PASSWORD_LINK_CREATED, user.id, actor=actor))
            return user

        return self._link(self._transactions.run(find))

    def set_password(self, token: str, password: str) -> User:
        """Store the password that a link's owner chose; end the log-ins of the account, delete its keys.

        Raises:
            InvalidRequest: the link does not work, or the password is too short or too long.
        """
        user_id, digest = self._read(token)
        if faults := password_faults(password, min_chars=self._min_password_chars):
            raise InvalidRequest.with_faults("The password was not changed.", faults)
        password_hash = hash_password(password)

        def store(session: Session) -> User:
            user = users.lock_user(session, user_id)
            if user is None or user.disabled_at or not hmac.compare_digest(digest, _digest(user)):
                raise InvalidRequest(_INVALID)
            return user_admin.store_password(session, user.id, password_hash, actor=Actor(user.id))

        return self._transactions.run(store)

    def _link(self, user: User) -> PasswordLink:
        token = self._serializer.dumps([user.id.hex, _digest(user)])
        return PasswordLink(f"/password#{token}", datetime.now(UTC) + self._life)

    def _read(self, token: str) -> tuple[UUID, str]:
        """Return a token's account and digest; InvalidRequest if it is invalid or has expired."""
        try:
            user_hex, digest = self._serializer.loads(
                token, max_age=int(self._life.total_seconds())
            )
        except BadSignature as error:
            raise InvalidRequest(_INVALID) from error
        return UUID(user_hex), digest


def _digest(user: User) -> str:
    """Return a digest of the account's present password; it tells nothing about the hash."""
    return hashlib.sha256(f"{user.id.hex} {user.password_hash}".encode()).hexdigest()
