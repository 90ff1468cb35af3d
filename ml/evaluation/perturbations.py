"""Changes that leave a sentence's risk as it is, and how many decisions they change."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ml.corpus.dataset import Example
from ml.evaluation.scoring import Judged, judge
from service.nlp.analyzers.base import Analyzer
from service.nlp.artifacts.operating_points import risk_scores

_FIRST_NAMES = (  # without those that are words as well, such as Mark, Will and Grace
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
    """Return the text with the persons and companies that patterns can tell named otherwise.

    Persons: a common first name, with or without a surname, or a title with a surname. Companies:
    capitalised words before a legal form.
    """
    return _PERSON.sub("Tamsin Okafor", _COMPANY.sub("Brightwater Holdings Ltd", text))


def toggle_full_stop(text: str) -> str:
    """Return the text without its full stop, or with one where no mark ends it."""
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
    analyzer: Analyzer, examples: Sequence[Example], before: Judged
) -> dict[str, dict[str, Any]]:
    """Return, for each perturbation of whole documents, what it changes among the sentences that it alters.

    `before` is what the analyzer says of `examples` as they are. `sentences` it alters,
    `risk_changed` and `types_changed` the shares of them whose decision (risk or none; the types)
    differs, `score_change` the mean absolute change of the risk score, None without probabilities.
    Decisions are those of the first sensitivity of `before`.
    """
    found = {}
    for name, perturb in PERTURBATIONS.items():
        texts = [perturb(e.text) for e in examples]
        rows = [k for k, e in enumerate(examples) if texts[k] not in {e.text, ""}]
        altered = [replace(e, text=texts[k] or e.text) for k, e in enumerate(examples)]
        found[name] = _change(analyzer, altered, before, rows)
    return found


def _change(
    analyzer: Analyzer, altered: Sequence[Example], before: Judged, rows: Sequence[int]
) -> dict[str, Any]:
    if not rows:
        return {"sentences": 0, "risk_changed": 0.0, "types_changed": 0.0, "score_change": None}
    sensitivity = next(iter(before.hits))
    after = judge(analyzer, altered, sensitivities=[sensitivity])
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
