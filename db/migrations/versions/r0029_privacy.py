"""Client addresses of audit events in a column that may be blanked, and a table of exports.

The chain of digests then covers the SHA-256 of the address and of a random salt. An upgrade moves the
addresses there and computes the digests again; an event that did not match its digest before does not match
it afterwards. Seals that were kept elsewhere do not match any more: keep a new one. A downgrade moves the
addresses back, but those that were blanked, whose events then do not match their digests, and deletes the
list of exports.

Rule about locks: columns are added in the catalogue alone. Moving the addresses reads all of `audit_events`,
in one transaction. An interrupted revision can run again.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, row_id, table_options, time

revision = "0029"
down_revision: str | None = "0028"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_EVENTS, _REPORTS = "audit_events", "report_logs"
_BATCH = 1000
_ADDRESS = "client_address"
_events = sa.table(
    _EVENTS,
    sa.column("id", row_id()),
    sa.column("created_at", time()),
    sa.column("action", sa.String()),
    sa.column("user_id", row_id()),
    sa.column("object_type", sa.String()),
    sa.column("object_id", sa.String()),
    sa.column("request_id", sa.String()),
    sa.column("detail", sa.JSON()),
    sa.column("n", sa.BigInteger()),
    sa.column("digest", sa.String()),
    sa.column("personal", sa.JSON(none_as_null=True)),
    sa.column("personal_digest", sa.String()),
)
_seals = sa.table(
    "audit_seals", sa.column("last_n", sa.BigInteger()), sa.column("digest", sa.String())
)
_Event = dict[str, Any]


def upgrade() -> None:
    """Add the columns and the table, then move the addresses."""
    inspector = sa.inspect(op.get_bind())
    columns = {column["name"] for column in inspector.get_columns(_EVENTS)}
    for column in (sa.Column("personal", sa.JSON()), sa.Column("personal_digest", exact(64))):
        if column.name not in columns:
            op.add_column(_EVENTS, column)
    if not inspector.has_table(_REPORTS):
        op.create_table(
            _REPORTS,
            sa.Column("id", row_id(), nullable=False),
            sa.Column("created_at", time(), nullable=False),
            sa.Column("user_id", row_id()),
            sa.Column("operator", exact(255)),
            sa.Column("kind", exact(32), nullable=False),
            sa.Column("format", exact(16), nullable=False),
            sa.Column("scope", sa.JSON(), nullable=False),
            sa.Column("n_rows", sa.BigInteger(), nullable=False),
            sa.Column("size_bytes", sa.BigInteger(), nullable=False),
            sa.Column("request_id", exact(64)),
            sa.Column("outcome", exact(16), nullable=False),
            sa.Column("ended_at", time()),
            sa.PrimaryKeyConstraint("id", name="pk_report_logs"),
            sa.Index("ix_report_logs_created_at_id", "created_at", "id"),
            **table_options(),
        )
    _rewrite(_move_out)


def downgrade() -> None:
    """Move the addresses back, then drop the columns and the table."""
    inspector = sa.inspect(op.get_bind())
    columns = {column["name"] for column in inspector.get_columns(_EVENTS)}
    if {"personal", "personal_digest"} <= columns:
        _rewrite(_move_back)
    for name in ("personal", "personal_digest"):
        if name in columns:
            op.drop_column(_EVENTS, name)
    op.drop_table(_REPORTS, if_exists=True)


def _move_out(event: _Event) -> _Event:
    if _ADDRESS not in event["detail"]:
        return event
    detail = dict(event["detail"])
    personal = {_ADDRESS: detail.pop(_ADDRESS), "salt": secrets.token_hex(16)}
    return {**event, "detail": detail, "personal": personal, "personal_digest": _sha256(personal)}


def _move_back(event: _Event) -> _Event:
    if not event["personal"]:
        return event
    detail = {**event["detail"], _ADDRESS: event["personal"][_ADDRESS]}
    return {**event, "detail": detail, "personal": None, "personal_digest": None}


def _rewrite(move: Callable[[_Event], _Event]) -> None:
    """Move the addresses, first of the sealed events in the order of the chain."""
    bind = op.get_bind()
    n, before, new_before = 0, "", ""
    sealed = sa.select(_events).order_by(_events.c.n).limit(_BATCH)
    while rows := bind.execute(sealed.where(_events.c.n > n)).mappings().all():
        for row in rows:
            event = dict(row)
            moved = move(event)
            is_sound = event["digest"] == _digest(event, before)
            before, n = event["digest"], event["n"]
            new_before = _digest(moved, new_before) if is_sound else before
            if new_before != before:
                seal = sa.update(_seals).where(_seals.c.last_n == n, _seals.c.digest == before)
                bind.execute(seal.values(digest=new_before))
            _store(event, {**moved, "digest": new_before})
    unsealed = sa.select(_events).where(_events.c.n.is_(None)).order_by(_events.c.id).limit(_BATCH)
    query = unsealed
    while rows := bind.execute(query).mappings().all():
        for row in rows:
            _store(dict(row), move(dict(row)))
        query = unsealed.where(_events.c.id > rows[-1]["id"])


def _store(event: _Event, moved: _Event) -> None:
    if moved != event:
        names = ("detail", "personal", "personal_digest", "digest")
        change = sa.update(_events).where(_events.c.id == event["id"])
        op.get_bind().execute(change.values({name: moved[name] for name in names}))


def _digest(event: _Event, before: str) -> str:
    content = [
        before,
        event["n"],
        event["id"].hex,
        event["created_at"].replace(tzinfo=UTC).isoformat(timespec="microseconds"),
        event["action"],
        event["user_id"].hex if event["user_id"] else None,
        event["object_type"],
        event["object_id"],
        event["request_id"],
        event["detail"],
    ]
    return _sha256([*content, *filter(None, [event["personal_digest"]])])


def _sha256(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
