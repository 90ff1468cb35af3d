"""Perturbations: changes that do not change a sentence's risk, and how many decisions they flip."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ml.corpus.dataset import Example
from ml.evaluation.scoring import ExampleResults, analyze_examples
from service.nlp.analyzers.base import Analyzer
from service.nlp.artifacts.operating_points import risk_scores

_FIRST_NAMES = (  # without names that are also words, such as Mark, Will and Grace
    "Alice|Andrew|Anna|Ben|Carlos|David|Elena|Emma|Fatima|George|Hannah|Ivan|James|Jane|John|Julia|Karen|"
    "Laura|Linda|Maria|Mary|Michael|Mohammed|Nina|Omar|Paul|Peter|Priya|Ravi|Robert|Sarah|Sofia|Susan|"
    "Thomas|William"
)
_PERSON = re.compile(
    rf"\b(?:(?:Mr|Mrs|Ms|Dr)\.? [A-Z][a-z]+|(?:{_FIRST_NAMES})\b(?: [A-Z][a-z]+\b)?)"
)
_COMPANY = re.compile(
    r"\b(?:[A-Z][\w&-]* ){1,3}(?:Inc|Ltd|LLC|Corp|Corporation|Limited|GmbH|AG|plc|PLC|Company)\b"
)


def swap_names(text: str) -> str:
    """Replace the names of persons and companies that patterns recognise.

    Persons: a common first name, with or without a surname, or a title with a surname. Companies:
    capitalised words before a legal form.
    """
    return _PERSON.sub("Tamsin Okafor", _COMPANY.sub("Brightwater Holdings Ltd", text))


def toggle_full_stop(text: str) -> str:
    """Remove the full stop, or add one if no punctuation ends the text."""
    stripped = text.rstrip()
    if stripped.endswith("."):
        return stripped[:-1]
    return stripped if stripped[-1:] in "!?:;" else stripped + "."


PERTURBATIONS: dict[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "upper case": str.upper,
    "full stop removed or added": toggle_full_stop,
    'bullet "- "': lambda text: f"- {text}",
    'bullet "(a) "': lambda text: f"(a) {text}",
    'bullet "1. "': lambda text: f"1. {text}",
    "names of persons and companies": swap_names,
    "white space doubled": lambda text: "  ".join(text.split(" ")),
}


def invariance(
    analyzer: Analyzer, examples: Sequence[Example], before: ExampleResults
) -> dict[str, dict[str, Any]]:
    """Return, for each perturbation of whole documents, its effect on the sentences that it alters.

    `before` are the analyzer's results on the unaltered `examples`. `sentences` counts the altered ones;
    `risk_changed` and `types_changed` are the shares of them whose decision (risk or none; the types)
    flips; `score_change` is the mean absolute change of the risk score, None without probabilities.
    Decisions are at the first sensitivity of `before`.
    """
    effects = {}
    for name, perturb in PERTURBATIONS.items():
        texts = [perturb(e.text) for e in examples]
        rows = [k for k, e in enumerate(examples) if texts[k] not in {e.text, ""}]
        altered = [replace(e, text=texts[k] or e.text) for k, e in enumerate(examples)]
        effects[name] = _effect(analyzer, altered, before, rows)
    return effects


def _effect(
    analyzer: Analyzer, altered: Sequence[Example], before: ExampleResults, rows: Sequence[int]
) -> dict[str, Any]:
    if not rows:
        return {"sentences": 0, "risk_changed": 0.0, "types_changed": 0.0, "score_change": None}
    sensitivity = next(iter(before.hits))
    after = analyze_examples(analyzer, altered, sensitivities=[sensitivity])
    a, b = before.hits[sensitivity][rows], after.hits[sensitivity][rows]
    score_change = None
    if before.scores is not None and after.scores is not None:
        moved = np.abs(risk_scores(before.scores[rows]) - risk_scores(after.scores[rows]))
        score_change = float(moved.mean())
    return {
        "sentences": len(rows),
        "risk_changed": float((a.any(axis=1) != b.any(axis=1)).mean()),
        "types_changed": float((a != b).any(axis=1).mean()),
        "score_change": score_change,
    }
