"""Fingerprints, by which the findings of two scans are compared.

A fingerprint covers the sentence without differences of white space, case and Unicode form; the risk type;
and the number among the equal ones before it in the document. Findings store it: a change takes a migration.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable

from service.nlp.document import Finding


def fingerprints(findings: Iterable[Finding]) -> list[str]:
    """Return the fingerprint of each of a scan's findings, 32 hex characters; all of them differ."""
    seen: Counter[tuple[str, str]] = Counter()
    digests = []
    for finding in findings:
        content = (normalized(finding.context), finding.risk_type or finding.foreign_risk or "")
        seen[content] += 1
        text = "\0".join([*content, str(seen[content])])
        digests.append(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32])
    return digests


def normalized(sentence: str) -> str:
    """Return a sentence without differences of white space, case and Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", sentence).casefold().split())
