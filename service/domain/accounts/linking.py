"""Links an account to the identity with which the owner of its address logs in at the provider.

An address is not verified at registration, so somebody else may have made the account. Its owner gets it, and
whoever made it can no longer use it. Signed links to reports, which nothing stores, work until they expire.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from db.queries import api_keys, identities, users, webhooks
from db.queries.audit import EventFilter, list_events
from db.tables import SSO_ONLY, User
from service.domain.audit import Action, Actor, account_event, record

_CREATION = timedelta(minutes=1)
"""The event of an account's creation is stored with it, and is never later than this."""


def link(session: Session, user: User, *, actor: Actor) -> None:
    """Record the link of a locked account; take what gives access away unless an administrator made it."""
    taken = {} if _is_made_by_administrator(session, user) else _take_access(session, user)
    record(session, account_event(Action.USER_LINKED, user.id, actor=actor, **taken))


def _take_access(session: Session, user: User) -> dict[str, int]:
    """End log-ins, password, keys, webhooks and identities of an account; return the numbers of them."""
    user.password_hash = SSO_ONLY
    return {
        "n_logins": users.revoke_user_logins(session, user.id, "linked to single sign-on"),
        "n_keys": api_keys.delete_user_keys(session, user.id),
        "n_webhooks": webhooks.delete_user_webhooks(session, user.id),
        "n_identities": identities.delete_user_identities(session, user.id),
    }


def _is_made_by_administrator(session: Session, user: User) -> bool:
    """Return whether the audit trail says so; accounts that it does not know count as made by anybody."""
    made = EventFilter(
        object_type="user",
        object_id=str(user.id),
        created_from=user.created_at,
        created_before=user.created_at + _CREATION,
    )
    creation = {Action.USER_INVITED, Action.USER_REGISTERED}
    events = list_events(session, made, limit=100)
    return any(event.action in creation and event.user_id != user.id for event in events)
