"""Identities of a single sign-on provider."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate
from db.tables import Identity


class IdentityTaken(Exception):
    """Another request stored the identity; the transaction cannot continue."""


def user_id_of(session: Session, *, issuer: str, subject: str) -> UUID | None:
    """Return the account of an identity; None if the identity is new."""
    of = (Identity.issuer == issuer, Identity.subject == subject)
    return session.scalar(select(Identity.user_id).where(*of))


def add_identity(session: Session, user_id: UUID, *, issuer: str, subject: str) -> None:
    """Insert an identity of an account.

    Raises:
        IdentityTaken: it is stored already.
    """
    session.add(
        Identity(
            id=uuid_utils.compat.uuid7(),
            issuer=issuer,
            subject=subject,
            user_id=user_id,
            created_at=datetime.now(UTC),
        )
    )
    try:
        session.flush()
    except IntegrityError as error:
        if is_duplicate(error):
            raise IdentityTaken(subject) from error
        raise


def delete_user_identities(session: Session, user_id: UUID) -> int:
    """Delete every identity of an account; return how many there were."""
    of_user = delete(Identity).where(Identity.user_id == user_id)
    return session.connection().execute(of_user).rowcount
