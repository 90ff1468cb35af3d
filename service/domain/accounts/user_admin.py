"""Use cases of an operator: list accounts, change roles, disable, enable, reset passwords.

Every change is one transaction and leaves an audit event that names the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import email_validator
from sqlalchemy.orm import Session

from db.queries import users
from db.tables import Role, User
from service.config.settings import Config
from service.domain.accounts.email_addresses import normalized
from service.domain.accounts.passwords import hash_password, password_faults
from service.domain.audit import Action, Actor, account_event, record
from service.domain.transactions import Transactions
from service.errors import Conflict, InvalidRequest, NotFound


class UserAdmin:
    """The accounts of all users, managed by `actor`."""

    def __init__(self, config: Config, transactions: Transactions, *, actor: Actor) -> None:
        self._min_password_chars = config.min_password_length
        self._transactions = transactions
        self._actor = actor

    def list(self) -> Sequence[User]:
        """Return all accounts ordered by address, disabled ones included."""
        return self._transactions.read(users.list_users)

    def set_role(self, email: str, role: Role) -> User:
        """Give the account a role; its log-ins stay valid, with the new role.

        Raises:
            NotFound: no account has the address.
            Conflict: it is the last enabled administrator.
        """

        def change(session: Session, user: User) -> None:
            if user.role == role:
                return
            self._record(session, Action.USER_ROLE_CHANGED, user, before=user.role, after=role)
            user.role = role

        return self._change(email, change, takes_admin=role != Role.ADMIN)

    def disable(self, email: str) -> User:
        """Disable the account and end its log-ins: its tokens stop working at once.

        Raises:
            NotFound: no account has the address.
            Conflict: it is the last enabled administrator.
        """

        def change(session: Session, user: User) -> None:
            if user.disabled_at is not None:
                return
            user.disabled_at = datetime.now(UTC)
            n = users.revoke_logins_of_user(session, user.id, "disabled")
            self._record(session, Action.USER_DISABLED, user, n_logins=n)

        return self._change(email, change, takes_admin=True)

    def enable(self, email: str) -> User:
        """Let the account log in again; its earlier log-ins stay ended.

        Raises:
            NotFound: no account has the address.
        """

        def change(session: Session, user: User) -> None:
            if user.disabled_at is None:
                return
            user.disabled_at = None
            self._record(session, Action.USER_ENABLED, user)

        return self._change(email, change)

    def reset_password(self, email: str, password: str) -> User:
        """Store a new password and end every log-in of the account.

        Raises:
            NotFound: no account has the address.
            InvalidRequest: the password is too short or too long.
        """
        faults = password_faults(password, min_chars=self._min_password_chars)
        if faults:
            raise InvalidRequest("The password was not reset.", faults=tuple(faults))
        new_hash = hash_password(password)

        def change(session: Session, user: User) -> None:
            user.password_hash = new_hash
            n = users.revoke_logins_of_user(session, user.id, "password reset")
            self._record(session, Action.PASSWORD_RESET, user, n_logins=n)

        return self._change(email, change)

    def _change(
        self, email: str, change: Callable[[Session, User], None], *, takes_admin: bool = False
    ) -> User:
        """Run `change` on the locked account of `email`."""

        def work(session: Session) -> User:
            # Lock before the account, so that two operators cannot each disable one of the last two.
            admins = users.lock_enabled_admins(session) if takes_admin else []
            user = _locked(session, email)
            if list(admins) == [user.id]:
                raise Conflict(
                    f"{user.email} is the last enabled administrator. Appoint another one first: "
                    "`python -m service users set-role EMAIL admin`."
                )
            change(session, user)
            session.flush()
            return user

        return self._transactions.run(work)

    def _record(self, session: Session, action: Action, user: User, **detail: object) -> None:
        record(session, account_event(action, user.id, actor=self._actor, **detail))


def _locked(session: Session, email: str) -> User:
    try:
        user = users.user_by_email(session, normalized(email))
    except email_validator.EmailNotValidError:
        user = None
    locked = users.user_to_change(session, user.id) if user else None
    if locked is None:
        raise NotFound(
            f"No account has the address {email}; `python -m service users list` shows them."
        )
    return locked
