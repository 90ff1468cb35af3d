"""Measure an analyzer on frozen plain sentences: recall, false alarms, and how stable each verdict is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, groupby
from typing import Any

import numpy as np

from ml.corpus.dataset import Example, describe, read_examples, targets
from ml.evaluation.metrics import at_level, count, f1
from ml.evaluation.perturbations import PERTURBATIONS
from service.config.settings import ROOT
from service.nlp.analyzers.base import SentenceScorer
from service.nlp.arrays import Bools
from service.nlp.taxonomy import Taxonomy, built_in

FROZEN = tuple(
    ROOT / f"ml/data/{name}.jsonl"
    for name in ("plain", "english-parallel", "german", "french", "spanish")
)
"""The sets that never train and never choose thresholds (ml/data/README.md)."""
_BULLETS = ("- ", "\u2022 ", "1. ")


def _bare(text: str) -> str:
    """Return the text without the bullet in front."""
    return next((text.removeprefix(b) for b in _BULLETS if text.startswith(b)), text)


def _without_stop(text: str) -> str:
    return text.rstrip().removesuffix(".")


def _with_stop(text: str) -> str:
    return text if text.rstrip()[-1:] in ".!?:;" else f"{text.rstrip()}."


FORMS: Mapping[str, Callable[[str], str]] = {
    "without the final full stop": _without_stop,
    "with a final full stop": _with_stop,
    **{
        f'bullet "{bullet}"': lambda text, bullet=bullet: bullet + _bare(text)  # type: ignore[misc]
        for bullet in _BULLETS
    },
    "upper case": PERTURBATIONS["upper case"],
    "lower case": PERTURBATIONS["lower case"],
    "white space doubled": PERTURBATIONS["white space doubled"],
    "semicolon at the end": lambda text: f"{_without_stop(text)};",
}
"""Forms in which the same sentence occurs in documents."""


def measure_frozen_sets(analyzer: SentenceScorer) -> dict[str, dict[str, Any]]:
    """Return the figures of each frozen set, by the name of its file.

    Empty for a model with other risk types than the built-in ones, by which the sets are labelled.
    """
    taxonomy = analyzer.taxonomy
    if taxonomy.risk_types != built_in().risk_types:
        return {}
    return {path.stem: plain_figures(analyzer, read_examples(path, taxonomy)) for path in FROZEN}


def plain_figures(analyzer: SentenceScorer, examples: Sequence[Example]) -> dict[str, Any]:
    """Return recall and false alarms at the point balanced, each sentence scored alone.

    `recall` is the share of the sentences with a risk in which one is found, `category_recall` and
    `type_recall` the share of their categories and types. `false_alarms` is the share of the others in which
    a risk is found, `by_kind` the same for each kind of near miss. `unchanged` holds, for each of FORMS, the
    number of sentences that it alters and the share of them whose verdict, risk or none, stays the same;
    the share is None if it alters none. `in every form` is the share of all sentences whose verdict is the
    same in all.
    """
    y = targets(examples, analyzer.taxonomy) > 0
    plain = [e.text for e in examples]
    forms = {name: [form(text) for text in plain] for name, form in FORMS.items()}
    # In one call, since a model reads several forms of a sentence as the same tokens, and scores these once.
    texts = list(dict.fromkeys([*plain, *chain.from_iterable(forms.values())]))
    decided = dict(zip(texts, _decide(analyzer, texts), strict=True))
    hits = np.array([decided[text] for text in plain])
    found, risk = _any(hits), _any(y)
    return {
        "data": describe(examples),
        "recall": _share(found[risk]),
        **{
            f"{level}_recall": _recall(hits, y, level, analyzer.taxonomy)
            for level in ("category", "type")
        },
        "false_alarms": _share(found[~risk]),
        "risk_f1": float(f1(count(found, risk).sum(axis=0))),
        "by_kind": _by_kind(found, examples),
        "unchanged": _unchanged(
            examples, forms, {text: bool(row.any()) for text, row in decided.items()}
        ),
    }


def _decide(analyzer: SentenceScorer, texts: Sequence[str]) -> Bools:
    return analyzer.decide(analyzer.score(texts))


def _any(hits: Bools) -> Bools:
    return np.asarray(hits.any(axis=1))


def _share(chosen: Bools) -> float:
    return float(chosen.mean()) if len(chosen) else 0.0


def _recall(hits: Bools, y: Bools, level: str, taxonomy: Taxonomy) -> float:
    found, true = (at_level(x, level, taxonomy=taxonomy) for x in (hits, y))
    return _share(found[true])


def _by_kind(found: Bools, examples: Sequence[Example]) -> dict[str, dict[str, Any]]:
    near = sorted((e.kind or "other", k) for k, e in enumerate(examples) if not e.labels)
    rows = {kind: [k for _, k in group] for kind, group in groupby(near, key=lambda one: one[0])}
    return {
        kind: {"sentences": len(of_kind), "false_alarms": _share(found[of_kind])}
        for kind, of_kind in rows.items()
    }


def _unchanged(
    examples: Sequence[Example], forms: Mapping[str, Sequence[str]], risky: Mapping[str, bool]
) -> dict[str, dict[str, Any]]:
    """Return the figures `unchanged`; `risky` has the verdict of each text."""
    effects: dict[str, dict[str, Any]] = {}
    always = np.ones(len(examples), np.bool_)
    for name, texts in forms.items():
        pairs = [(e.text, text) for e, text in zip(examples, texts, strict=True)]
        same = np.array([risky[text] == risky[plain] for plain, text in pairs], np.bool_)
        altered = np.array([text != plain for plain, text in pairs], np.bool_)
        effects[name] = {
            "sentences": int(altered.sum()),
            "share": _share(same[altered]) if altered.any() else None,
        }
        always &= same
    return {**effects, "in every form": {"sentences": len(examples), "share": _share(always)}}
