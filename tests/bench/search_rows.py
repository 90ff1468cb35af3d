"""Rows of scans and findings for the benchmarks of search."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from db.tables import Finding, Scan, SearchVectors, SearchWords

PER_SCAN = 20
"""Findings of a scan."""
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def scan_row(owner, scan_id, k):
    return {
        "id": scan_id,
        "user_id": owner,
        "source": "model",
        "created_at": WHEN + timedelta(seconds=k),
        "model_name": "riskscan-fast",
        "model_version": "1.2.0",
        "document_sha256": "0" * 64,
        "coverage": {"characters": 1},
        "n_findings": PER_SCAN,
    }


def finding_row(scan_id, n, text):
    return {
        "scan_id": scan_id,
        "n": n,
        "risk_type": "tight-budget",
        "category": "financial",
        "score": 0.5,
        "context": text,
        "start": 0,
        "end": len(text),
    }


def store(session, scans, findings, terms, vectors):
    for table, rows in (
        (Scan, scans),
        (Finding, findings),
        (SearchWords, terms),
        (SearchVectors, vectors),
    ):
        if rows:
            session.connection().execute(insert(table.__table__), rows)
