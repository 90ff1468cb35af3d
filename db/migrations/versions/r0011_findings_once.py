"""Drop scans.data, which repeated the sentence and the titles of each finding.

Later releases derive it from the findings. A finding that only `data` has becomes a row with its titles;
a downgrade below 0009 deletes such rows. The downgrade builds `data` from the findings.

Rule about locks: PostgreSQL, MariaDB and MySQL 8.0.29 or newer change their catalogue alone; older MySQL and
SQLite copy `scans` and block its writers. Stop processes of the previous version first, since they write the
column. The upgrade does not shrink the files: run OPTIMIZE TABLE scans, VACUUM FULL scans (PostgreSQL) or
VACUUM (SQLite) for that. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, long_text, row_id
from db.migrations.sqlite import rebuild

revision = "0011"
down_revision: str | None = "0010"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_SCANS_AT_ONCE = 500
_scans = sa.table(
    "scans", sa.column("id", row_id()), sa.column("data", sa.JSON()), sa.column("n_findings")
)
_findings = sa.table(
    "findings",
    sa.column("scan_id", row_id()),
    sa.column("n"),
    sa.column("risk_type", exact(64)),
    sa.column("category", exact(64)),
    sa.column("context", long_text()),
    sa.column("foreign_risk", exact(255)),
    sa.column("foreign_category", exact(255)),
)


def upgrade() -> None:
    """Store the findings that only `data` has, then drop the column."""
    if not _has_data():
        return
    for scans in _batches(_scans.c.data, incomplete=True):
        if missing := list(_missing_findings(scans)):
            op.get_bind().execute(sa.insert(_findings), missing)
    op.drop_column("scans", "data")


def downgrade() -> None:
    """Add the column, and fill it from the findings."""
    if not _has_data():
        op.add_column("scans", sa.Column("data", sa.JSON()))
    for scans in _batches(_scans.c.id):
        items = _items([scan.id for scan in scans])
        fill = sa.update(_scans).where(_scans.c.id == sa.bindparam("scan_id", type_=row_id()))
        op.get_bind().execute(
            fill.values(data=sa.bindparam("items", type_=sa.JSON())),
            [{"scan_id": scan.id, "items": items.get(scan.id, [])} for scan in scans],
        )
    _require_data()


def _has_data() -> bool:
    return "data" in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("scans")}


def _batches(column: sa.ColumnElement[Any], *, incomplete: bool = False) -> Iterator[Any]:
    """Yield the scans in batches, with id and `column`; the incomplete ones lack rows of findings."""
    query = sa.select(_scans.c.id, column).order_by(_scans.c.id).limit(_SCANS_AT_ONCE)
    if incomplete:
        rows = sa.select(sa.func.count()).where(_findings.c.scan_id == _scans.c.id)
        query = query.where(_scans.c.n_findings > rows.scalar_subquery())
    batch = op.get_bind().execute(query).all()
    while batch:
        yield batch
        batch = op.get_bind().execute(query.where(_scans.c.id > batch[-1].id)).all()


def _missing_findings(scans: Sequence[Any]) -> Iterator[dict[str, Any]]:
    query = sa.select(_findings.c.scan_id, _findings.c.n)
    query = query.where(_findings.c.scan_id.in_([scan.id for scan in scans]))
    stored = {(row.scan_id, row.n) for row in op.get_bind().execute(query)}
    for scan in scans:
        for n, item in enumerate(scan.data, start=1):
            if (scan.id, n) not in stored:
                yield {
                    "scan_id": scan.id,
                    "n": n,
                    "context": item["context"],
                    "foreign_risk": item["risk"][:255],
                    "foreign_category": item["category"][:255],
                }


def _items(scan_ids: Sequence[Any]) -> dict[Any, list[dict[str, str]]]:
    """Return the findings of some scans as `data` had them, by scan."""
    query = sa.select(_findings).where(_findings.c.scan_id.in_(scan_ids))
    items: dict[Any, list[dict[str, str]]] = {}
    for row in op.get_bind().execute(query.order_by(_findings.c.scan_id, _findings.c.n)):
        item = {
            "risk": _title(row.risk_type, row.foreign_risk, _RISKS),
            "category": _title(row.category, row.foreign_category, _CATEGORIES),
            "context": row.context,
        }
        items.setdefault(row.scan_id, []).append(item)
    return items


def _title(key: str | None, foreign: str | None, titles: Mapping[str, str]) -> str:
    return titles.get(key, key) if key else foreign or ""


def _require_data() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        rebuild(bind, "scans", [("data JSON", "data JSON NOT NULL")])
    elif bind.dialect.name == "postgresql":
        op.execute("ALTER TABLE scans ALTER COLUMN data SET NOT NULL")
    else:
        op.execute("ALTER TABLE scans MODIFY COLUMN data JSON NOT NULL")


# The titles of taxonomy 1, when this revision was written; a key of a later taxonomy is its own title.
_CATEGORIES = {
    "schedule": "Schedule",
    "budget": "Budget",
    "scope": "Scope",
    "people": "People",
    "technical": "Technical",
    "quality": "Quality",
    "security": "Security and privacy",
    "legal": "Legal and compliance",
    "vendor": "Vendor and third party",
    "operations": "Operations",
    "stakeholder": "Stakeholders",
    "external": "External",
    "safety": "Safety and environment",
}
_RISKS = {
    "aggressive-deadline": "Aggressive or unrealistic deadline",
    "schedule-delay": "Delay, slippage or missed milestone",
    "blocked-dependency": "Blocked by an upstream task or dependency",
    "weak-estimate": "Uncertain or weak estimate",
    "tight-budget": "Insufficient or tight budget",
    "cost-overrun": "Cost overrun or cost growth",
    "funding-uncertainty": "Funding uncertain, late or withdrawn",
    "scope-creep": "Scope growth or uncontrolled change",
    "unclear-requirements": "Unclear, missing or conflicting requirements",
    "staff-shortage": "Too few people or too little capacity",
    "key-person": "Key-person dependency or turnover",
    "skill-gap": "Missing skill or experience",
    "unproven-technology": "Unproven, immature or obsolete technology",
    "complexity": "Complexity or technical debt",
    "integration": "Integration or compatibility failure",
    "performance": "Performance or scalability limit",
    "data-integrity": "Data loss, corruption or failed migration",
    "insufficient-testing": "Insufficient testing or validation",
    "defects": "Defects, regressions or poor workmanship",
    "vulnerability": "Exploitable weakness or attack",
    "data-exposure": "Exposure of confidential or personal data",
    "access-control": "Weak authentication or excessive privilege",
    "regulatory": "Breach of a law, regulation or standard",
    "contract-liability": "Liability, penalty or onerous contract term",
    "intellectual-property": "Intellectual-property or licensing problem",
    "supplier-failure": "Supplier or partner fails to deliver",
    "lock-in": "Lock-in or reliance on a third party",
    "outage": "Outage or single point of failure",
    "operational-burden": "Maintenance or operational burden",
    "no-recovery": "No rollback, backup or recovery path",
    "lack-of-support": "Missing sponsorship, approval or stakeholder conflict",
    "poor-communication": "Poor communication, coordination or governance",
    "low-adoption": "Low adoption or resistance to change",
    "market": "Market, economic or competitive change",
    "force-majeure": "Political, natural or other event outside control",
    "injury": "Harm to people's health or safety",
    "environmental": "Environmental damage",
}
