"""The dataset card: counts of the splits as JSON and Markdown, never a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ml.corpus.dataset import Dataset, Example, format_counts
from service.nlp.taxonomy import Taxonomy


def summary(dataset: Dataset) -> dict[str, Any]:
    """Return counts per split, risk type, file and licence; never a sentence."""
    return {
        "fingerprint": dataset.fingerprint,
        "files": dict(dataset.sources),
        "unlabelled": len(dataset.unlabelled),
        "dropped_from_train": dict(dataset.dropped),
        "train": _counts(dataset.train, dataset.taxonomy),
        "dev": _counts(dataset.dev, dataset.taxonomy),
    }


def _counts(examples: Sequence[Example], taxonomy: Taxonomy) -> dict[str, Any]:
    types = Counter(label for e in examples for label in e.labels)
    return {
        "sentences": len(examples),
        "composed": sum(e.composed for e in examples),
        "with_risk": sum(bool(e.labels) for e in examples),
        "documents": len({e.doc for e in examples}),
        "mean_words": round(sum(len(e.text.split()) for e in examples) / max(1, len(examples)), 1),
        "risk_types": {risk_type: types[risk_type] for risk_type in taxonomy.risk_types},
        "kinds": dict(Counter(e.kind or "unnamed" for e in examples).most_common()),
        "domains": dict(Counter(e.domain or "unnamed" for e in examples).most_common()),
        "licenses": dict(Counter(e.license for e in examples).most_common()),
    }


def card(counts: Mapping[str, Any]) -> str:
    """Return the dataset card in Markdown; `counts` is a summary."""
    splits = ("train", "dev")
    rows = ["sentences", "composed", "with_risk", "documents", "mean_words"]
    lines = ["# Dataset", "", f"Fingerprint `{counts['fingerprint']}`.", "", "| | train | dev |"]
    lines += ["|---|---|---|"]
    lines += [f"| {r} | " + " | ".join(f"{counts[s][r]:,}" for s in splits) + " |" for r in rows]
    lines += ["", "| risk type | train | dev |", "|---|---|---|"]
    lines += [
        f"| {r} | " + " | ".join(str(counts[s]["risk_types"][r]) for s in splits) + " |"
        for r in counts["train"]["risk_types"]
    ]
    lines += ["", f"Unlabelled sentences to train on: {counts['unlabelled']:,}."]
    for key, title in (("files", "Files"), ("dropped_from_train", "Dropped from train")):
        lines += ["", f"{title}: " + (format_counts(counts[key]) or "none") + "."]
    for key in ("domains", "licenses"):
        lines += [
            "",
            *(f"{key.capitalize()} of {s}: {format_counts(counts[s][key])}." for s in splits),
        ]
    return "\n".join(lines) + "\n"
