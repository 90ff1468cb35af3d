"""Log-in with an identity of the single sign-on provider: finds, links or creates the account."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import email_validator
from sqlalchemy.orm import Session

from db.queries import identities, users
from db.tables import NO_PASSWORD, SSO_ONLY, Role
from service.config.settings import Config
from service.domain.accounts import linking, logins, user_admin
from service.domain.accounts.logins import TokenPair
from service.domain.accounts.oidc_provider import OidcProvider
from service.domain.accounts.tokens import TokenMaker
from service.domain.audit import UNKNOWN, Action, Actor, account_event, record
from service.domain.email_addresses import normalized
from service.domain.transactions import Transactions
from service.errors import Conflict, Forbidden, RiskscanError
from service.nlp.observer import Observer

METHOD = "sso"
MAX_SUBJECT_CHARS = 255
SetTeams = Callable[[Session, UUID, Sequence[str], Actor], None]
_PROVIDER = Actor(operator=METHOD)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SsoLogin:
    """A log-in: our tokens, and the provider's ID token, which names the log-in there."""

    tokens: TokenPair
    id_token: str


class SingleSignOn:
    """Log-ins by the provider of OIDC_ISSUER."""

    def __init__(
        self,
        config: Config,
        transactions: Transactions,
        tokens: TokenMaker,
        *,
        set_teams: SetTeams,
        observer: Observer,
    ) -> None:
        """`set_teams` makes an account a member of the teams of these names, and of no other.

        `observer` receives each call to the provider.
        """
        self._team_claim = config.oidc_team_claim
        self._set_teams = set_teams
        self.provider = OidcProvider(config, observer)
        self._accepts_unverified = config.oidc_unverified_email == "accept"
        self._role_claim = config.oidc_role_claim
        self._roles = _role_map(config.oidc_role_map)
        self._transactions = transactions
        self._tokens = tokens

    def log_in(self, code: str, *, nonce: str, verifier: str) -> SsoLogin:
        """Redeem a code of the provider and begin a log-in.

        Raises:
            SsoUnavailable: the provider does not answer.
            Unauthenticated: the provider refuses the code, or its ID token is not valid.
            Forbidden: no account may be used or created; the message says why.
        """
        try:
            id_token, claims = self.provider.redeem(code, nonce=nonce, verifier=verifier)
            return SsoLogin(self._begin(claims), id_token)
        except RiskscanError as error:
            self.record_failure(error.code)
            raise

    def record_failure(self, reason: str) -> None:
        """Record a failed log-in in the audit trail."""
        failed = account_event(
            Action.LOGIN_FAILED, None, actor=UNKNOWN, reason=reason, method=METHOD
        )
        self._transactions.run(record, failed)

    def role_of(self, claims: Mapping[str, Any]) -> Role | None:
        """Return the strongest role of the claims; None if administrators assign roles."""
        if not self._role_claim:
            return None
        names = _names(claims, self._role_claim)
        order = list(Role)
        roles = [self._roles[name] for name in names if name in self._roles]
        return max(roles, key=order.index, default=Role.USER)

    def _begin(self, claims: Mapping[str, Any]) -> TokenPair:
        try:
            return self._transactions.run(self._log_in, claims)
        except (users.EmailTaken, identities.IdentityTaken):  # a log-in at the same time won
            return self._transactions.run(self._log_in, claims)

    def _log_in(self, session: Session, claims: Mapping[str, Any]) -> TokenPair:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARS:
            raise Forbidden("The single sign-on provider sent no usable subject (claim sub).")
        user_id = identities.user_id_of(session, issuer=self.provider.issuer, subject=subject)
        if user_id is None:
            user_id = self._link_or_create(session, claims)
            issuer = self.provider.issuer
            identities.add_identity(session, user_id, issuer=issuer, subject=subject)
        user = users.lock_user(session, user_id)
        if user is None or user.disabled_at is not None:
            raise Forbidden("This account is disabled; ask an administrator.")
        if user.password_hash == NO_PASSWORD:
            users.set_password_hash(session, user_id, SSO_ONLY)
        role = self.role_of(claims)
        if role is not None and role != user.role:
            _set_role(session, user_id, role)
        if self._team_claim:
            self._set_teams(session, user_id, _names(claims, self._team_claim), _PROVIDER)
        return logins.begin(session, self._tokens, user_id, method=METHOD)

    def _link_or_create(self, session: Session, claims: Mapping[str, Any]) -> UUID:
        """Return the account of the address, which is linked now, or a new one.

        Raises:
            Forbidden: the provider has not verified the address, which has an account; or the settings ask
                for verified addresses alone.
            IdentityTaken: a log-in at the same time linked it.
        """
        email = _email(claims)
        is_verified = claims.get("email_verified") is True
        found = users.user_by_email(session, email)
        if found is not None and not is_verified:
            raise Forbidden(
                "This e-mail address has an account already, and the provider has not verified that "
                "the address is yours (claim email_verified). Ask an administrator."
            )
        if not is_verified and not self._accepts_unverified:
            raise Forbidden(
                "The single sign-on provider has not verified that this e-mail address is yours (claim "
                "email_verified). Ask an administrator. If the provider never sends the claim, the operator "
                "may set OIDC_UNVERIFIED_EMAIL."
            )
        user = found and users.lock_user(session, found.id)
        if user is not None:
            subject = claims["sub"]
            if identities.user_id_of(session, issuer=self.provider.issuer, subject=subject):
                raise identities.IdentityTaken  # while this one waited for the lock
            linking.link(session, user, actor=_PROVIDER)
            return user.id
        user = users.add_user(session, email=email, password_hash=SSO_ONLY)
        detail = {"role": user.role, "method": METHOD}
        record(
            session, account_event(Action.USER_REGISTERED, user.id, actor=Actor(user.id), **detail)
        )
        return user.id


def _email(claims: Mapping[str, Any]) -> str:
    try:
        return normalized(str(claims.get("email", "")))
    except email_validator.EmailNotValidError as error:
        raise Forbidden(
            "The single sign-on provider sent no valid e-mail address. The operator adds the scope email "
            "to OIDC_SCOPES, and the claim email to the client at the provider."
        ) from error


def _set_role(session: Session, user_id: UUID, role: Role) -> None:
    try:
        user_admin.set_role(session, user_id, role, actor=_PROVIDER)
    except Conflict:
        _log.warning("single sign-on keeps the role of the last enabled administrator")


def _role_map(text: str) -> dict[str, Role]:
    pairs = (entry.rpartition("=") for entry in text.split(",") if entry.strip())
    return {name.strip(): Role(role.strip()) for name, _, role in pairs}


def _names(claims: Mapping[str, Any], path: str) -> list[str]:
    """Return the strings of a claim, whose name may hold dots or lead into objects."""
    value: Any = claims
    if path in claims:
        value = claims[path]
    else:
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]
