"""The golden sentences: composed for the start-up check of an artifact, part of no document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from ml.artifact.outputs import sentence_outputs
from service.errors import ConfigError
from service.nlp.arrays import Floats
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.manifest import Manifest
from service.nlp.artifacts.operating_points import OperatingPoint, risk_scores
from service.nlp.inference.engine import Engine
from service.nlp.inference.neighbour_context import own_logits
from service.nlp.taxonomy import Taxonomy

CANDIDATES: tuple[str, ...] = (
    "Project has tight budget and aggressive deadline",
    "Project has tight budget and aggressive deadline.",
    "The vendor may go out of business before the rollout is finished.",
    "Only one engineer knows how the billing code works.",
    "Two of the four developers are leaving at the end of the month.",
    "The launch slipped by six weeks because the test environment was not ready.",
    "We have not load-tested the gateway beyond fifty users.",
    "An attacker could read other customers' invoices by changing the number in the address.",
    "Patient records were e-mailed to the wrong clinic.",
    "The nightly job crashes whenever the file holds a negative amount.",
    "If the database server fails, the whole site is down.",
    "There is no way to roll back the migration once it has started.",
    "The supplier may terminate this agreement at any time without cause.",
    "The requirements keep changing after every steering meeting.",
    "Nobody has decided who owns the interface between the two teams.",
    "Users find the new form confusing and go on using the spreadsheet.",
    "A worker fell from the platform and broke an arm.",
    "Heavy rain may flood the site and stop the excavation.",
    "The new regulation could force us to withdraw the product.",
    "Funding for the second phase has not been approved.",
    "The API returns JSON.",
    "The meeting takes place on Tuesday at ten in the main building.",
    "Backups run nightly and restores are rehearsed every month.",
    "The migration finished on time and with no data loss.",
    "The budget is 40,000 EUR.",
    "Each invoice lists the items, their prices and the tax.",
    "The library is archived and no longer gets security fixes.",
    "Operators restart the queue by hand every morning.",
    "The estimate rests on guesses, since nobody has built such a plant before.",
    "Costs have already grown by a third over the plan.",
)
N_GOLDEN = 20


def candidates(taxonomy: Taxonomy) -> tuple[str, ...]:
    """Return the sentences to choose from: CANDIDATES, and in turn with them the risk types' examples."""
    examples = [risk.example for category in taxonomy.categories for risk in category.risk_types]
    pairs = zip_longest(CANDIDATES, examples)
    return tuple(dict.fromkeys(text for pair in pairs for text in pair if text))


def write_golden_file(artifact: Artifact, engine: Engine) -> None:
    """Write golden.jsonl from the engine's own scores; write the manifest afterwards.

    Raises:
        ConfigError: fewer than N_GOLDEN sentences are clear of the thresholds.
    """
    manifest, texts = artifact.manifest, candidates(artifact.taxonomy)
    scores = manifest.probabilities(
        own_logits(sentence_outputs(artifact, engine, texts), len(manifest.labels))
    )
    point = manifest.operating_points["balanced"]
    lines = golden_lines(texts, scores, point, manifest)
    if len(lines) < N_GOLDEN:
        raise ConfigError(
            f"Only {len(lines)} of {len(texts)} golden sentences are clear of the thresholds; "
            "add some to ml/artifact/golden_sentences.py, or lower golden_tolerance."
        )
    (artifact.path / artifacts.GOLDEN_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def golden_lines(
    texts: Sequence[str], scores: Floats, point: OperatingPoint, manifest: Manifest
) -> list[str]:
    """Return the first N_GOLDEN sentences whose decision survives a score difference of golden_tolerance."""
    far = 1.25 * manifest.golden_tolerance
    clear = (np.abs(scores - point.thresholds) > far).all(axis=1)
    clear &= np.abs(risk_scores(scores) - point.risk_threshold) > far
    stated = risk_scores(scores) >= point.risk_threshold
    # if no type reaches its threshold, the best one counts, and the second must not overtake it
    second, best = np.sort(np.pad(scores, ((0, 0), (1, 0))), axis=1)[:, -2:].T
    clear &= ~stated | (scores >= point.thresholds).any(axis=1) | (best - second > 2 * far)
    golden = [(texts[i], scores[i]) for i in np.flatnonzero(clear)[:N_GOLDEN]]
    rows = [
        {
            "text": text,
            "scores": {r: round(float(p), 5) for r, p in zip(manifest.labels, row, strict=True)},
        }
        for text, row in golden
    ]
    return [json.dumps(row, ensure_ascii=False) for row in rows]
