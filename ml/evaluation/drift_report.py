"""The drift report: do recent documents still resemble those that the model was calibrated on?

The index is the population stability index minus its expected value by chance: below 0.1 stable, up to 0.25
watch, above drifted. A reference of 700 sentences needs about as many new ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml.corpus.dataset import Example
from ml.corpus.reading_order import score_documents
from ml.evaluation.drift_reference import Counts, Pieces, histogram_rows, sum_rows
from ml.evaluation.markdown_table import markdown_table
from service.errors import RiskscanError
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.drift_index import (
    ObservedFinding,
    Reference,
    Shift,
    finding_counts,
    shifts,
    top_findings,
)
from service.nlp.taxonomy import Taxonomy

_TITLES = {
    "risk_score": "risk score",
    "score": "score of the findings",
    "category": "categories",
    "length": "words per sentence",
    "pieces": "frequency of the word pieces",
}


class DriftError(RiskscanError):
    """A file of scans or sentences cannot be used."""


def scan_counts(
    scans: Sequence[Mapping[str, Any]], pieces: Pieces, *, taxonomy: Taxonomy
) -> Counts:
    """Return the histograms over the findings of scans, which keep no other text of a document.

    Raises:
        KeyError, TypeError: a scan lacks coverage or findings.
    """
    parts, contexts = [finding_counts([], 0, taxonomy=taxonomy)], list[str]()
    for scan in scans:
        findings = [
            ObservedFinding(*(f[key] for key in ObservedFinding._fields)) for f in scan["findings"]
        ]
        parts.append(finding_counts(findings, scan["coverage"]["sentences"], taxonomy=taxonomy))
        contexts += [f.context for f in top_findings(findings)]
    added = {name: np.sum([part[name] for part in parts], axis=0) for name in parts[0]}
    return {
        **{name: [int(n) for n in counts] for name, counts in added.items()},
        "pieces": [int(n) for n in pieces.counts(contexts).sum(axis=0)],
    }


def data_shifts(path: Path, folder: Path, reference: Reference) -> tuple[dict[str, Shift], str]:
    """Score a file of sentences with the model in `folder`; return the shifts and a note on unknown words."""
    examples = [
        Example(row["text"], (), doc=str(row.get("doc") or row["text"]), id=str(row.get("id", "")))
        for row in _lines(path, {"text"})
    ]
    texts = [e.text for e in examples]
    analyzer = LocalAnalyzer.open(folder)
    try:
        scores = score_documents(analyzer, examples)
        hits = analyzer.decide(scores)
    finally:
        analyzer.close()
    pieces = Pieces(artifacts.load(folder).tokenizer(), reference.piece_bins)
    rows = histogram_rows(texts, scores, hits, pieces, taxonomy=analyzer.taxonomy)
    counts = sum_rows(rows["sentences"])
    shifted = shifts(reference.sentences, counts, noise=reference.noise.sentences)
    return shifted, _unknown(pieces.unknown_share(texts), reference, f"{len(texts):,} sentences")


def scan_shifts(path: Path, folder: Path, reference: Reference) -> tuple[dict[str, Shift], str]:
    """Compare the findings of a file of scans with the reference's; return the shifts and a note."""
    scans = _lines(path, {"coverage", "findings"})
    artifact = artifacts.load(folder)
    pieces = Pieces(artifact.tokenizer(), reference.piece_bins)
    try:
        counts = scan_counts(scans, pieces, taxonomy=artifact.taxonomy)
    except (KeyError, TypeError) as error:
        raise DriftError(f"{path} is not what `python -m service scan --json` prints.") from error
    contexts = [f["context"] for scan in scans for f in scan["findings"]]
    shifted = shifts(reference.findings, counts, noise=reference.noise.findings)
    return shifted, _unknown(pieces.unknown_share(contexts), reference, f"{len(scans):,} scans")


def _unknown(share: float, reference: Reference, size: str) -> str:
    return (
        f"{size}; {100 * share:.2f} % of their word pieces are unknown to the tokenizer, "
        f"{100 * reference.unknown_share:.2f} % of the reference's."
    )


def _lines(path: Path, keys: set[str]) -> list[dict[str, Any]]:
    if not path.is_file():
        raise DriftError(f"There is no {path}.")
    rows = []
    with path.open(encoding="utf-8") as lines:
        for n, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DriftError(f"{path}, line {n} is not JSON.") from error
            if not isinstance(row, dict) or not keys <= row.keys():
                raise DriftError(f"{path}, line {n} lacks {' or '.join(sorted(keys))}.")
            rows.append(row)
    return rows


def report(shifted: Mapping[str, Shift], note: str) -> str:
    """Return the shifts as a Markdown table."""
    lines = [
        [_TITLES[name], f"{s.psi:.3f}", f"{s.chance:.3f}", s.status] for name, s in shifted.items()
    ]
    return markdown_table(["", "PSI", "of it by chance", ""], lines) + f"\n\n{note}"
