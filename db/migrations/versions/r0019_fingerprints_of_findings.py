"""Findings store fingerprints, by which the findings of two scans are compared; stored ones get theirs.

Rule about locks: PostgreSQL, MariaDB and MySQL 8.0.12 or newer add the column in their catalogue alone. The
fingerprints of stored findings are written in batches of scans, without a lock on others (SQLite has one
writer). PostgreSQL blocks writers while it builds the index. An interrupted revision can run again.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, long_text, row_id

revision = "0019"
down_revision: str | None = "0018"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_INDEX = "ix_findings_scan_id_fingerprint"
_SCANS_AT_ONCE = 500
_scans = sa.table("scans", sa.column("id", row_id()), sa.column("n_findings"))
_findings = sa.table(
    "findings",
    sa.column("scan_id", row_id()),
    sa.column("n"),
    sa.column("risk_type", exact(64)),
    sa.column("foreign_risk", exact(255)),
    sa.column("context", long_text()),
    sa.column("fingerprint", exact(32)),
)


def upgrade() -> None:
    """Add the column, fill it, and build its index."""
    if not _has_column():
        op.add_column(
            "findings", sa.Column("fingerprint", exact(32), nullable=False, server_default="")
        )
    for scan_ids in _batches():
        _fill(scan_ids)
    if _INDEX not in _indexes():
        op.create_index(_INDEX, "findings", ["scan_id", "fingerprint"])


def downgrade() -> None:
    """Drop the column and its index."""
    if _INDEX in _indexes():
        op.drop_index(_INDEX, "findings")
    if _has_column():
        op.drop_column("findings", "fingerprint")


def _has_column() -> bool:
    columns = sa.inspect(op.get_bind()).get_columns("findings")
    return "fingerprint" in {column["name"] for column in columns}


def _indexes() -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("findings")}


def _batches() -> Iterator[list[Any]]:
    """Yield the ids of the scans with findings, in batches."""
    query = sa.select(_scans.c.id).where(_scans.c.n_findings > 0)
    query = query.order_by(_scans.c.id).limit(_SCANS_AT_ONCE)
    batch = [*op.get_bind().scalars(query)]
    while batch:
        yield batch
        batch = [*op.get_bind().scalars(query.where(_scans.c.id > batch[-1]))]


def _fill(scan_ids: Sequence[Any]) -> None:
    query = sa.select(_findings).where(_findings.c.scan_id.in_(scan_ids))
    rows = op.get_bind().execute(query.order_by(_findings.c.scan_id, _findings.c.n))
    seen: Counter[tuple[Any, ...]] = Counter()
    values = []
    for row in rows:
        sentence = " ".join(unicodedata.normalize("NFKC", row.context).casefold().split())
        content = (sentence, row.risk_type or row.foreign_risk or "")
        seen[row.scan_id, *content] += 1
        text = "\0".join([*content, str(seen[row.scan_id, *content])])
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        if not row.fingerprint:
            values.append({"of_scan": row.scan_id, "of_n": row.n, "digest": digest})
    if values:
        is_scan = _findings.c.scan_id == sa.bindparam("of_scan", type_=row_id())
        is_own = is_scan & (_findings.c.n == sa.bindparam("of_n"))
        fill = sa.update(_findings).where(is_own).values(fingerprint=sa.bindparam("digest"))
        op.get_bind().execute(fill, values)
