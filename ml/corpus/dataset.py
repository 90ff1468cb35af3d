"""Labelled sentences: read, check against the taxonomy, separate the splits, compute fingerprints."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.commands import command
from ml.corpus.near_duplicates import near_duplicates
from ml.settings import DATA_VARIABLE, DataSettings
from service.config.settings import ROOT
from service.errors import ConfigError, RiskscanError
from service.nlp.taxonomy import RISK_TYPES

_COLUMN = {risk_type: k for k, risk_type in enumerate(RISK_TYPES)}
SETTLED = frozenset({"agreed", "adjudicated"})
"""Status of feedback that may train: two users agree, or a reviewer decided."""


class DatasetError(RiskscanError):
    """A file of sentences is missing, or a line of it cannot be used."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled sentence; `doc` names its document, or is the sentence itself if that is unknown.

    `id`, if given, ends in the sentence's number in its document.
    """

    text: str
    labels: tuple[str, ...]
    doc: str
    license: str = "CC0"
    domain: str = ""
    composed: bool = False
    id: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The splits after the checks; `fingerprint` is the sha256 over both, in order.

    `dropped` counts the sentences left out of train, by reason.
    """

    train: list[Example]
    dev: list[Example]
    dropped: Mapping[str, int] = field(default_factory=dict)
    fingerprint: str = ""
    sources: Mapping[str, int] = field(default_factory=dict)


def read_examples(
    path: Path, *, second: Mapping[str, list[str]] | None = None, composed: bool = False
) -> list[Example]:
    """Read a JSON-lines file of {"text", "labels"} with optional "id", "doc", "license", "domain".

    `second` gives labels by id that override the file's own.

    Raises:
        DatasetError: no such file, or a faulty line, named by its number.
    """
    rows = [(_with_second(row, second or {}), where) for row, where in _rows(path)]
    return [_example(row, where, composed=composed) for row, where in rows]


def read_second_readings(paths: Iterable[Path]) -> dict[str, list[str]]:
    """Read files of {"id", "labels"}: the labels that later readers agreed on.

    Raises:
        DatasetError: as `read_examples`.
    """
    labels = {}
    for path in paths:
        for row, where in _rows(path):
            if not isinstance(row.get("id"), str):
                raise DatasetError(f'{where}: expected {{"id": ..., "labels": [...]}}.')
            labels[row["id"]] = _labels(row, where)
    return labels


def read_feedback(path: Path, *, max_per_user: int) -> tuple[list[Example], Counter[str]]:
    """Read the output of `python -m service feedback export`; return the sentences that may train.

    Only settled verdicts train, and only the first `max_per_user` sentences of a user, so that no single user
    dominates the model. The counter has the number of sentences left out, by reason.

    Raises:
        DatasetError: as `read_examples`.
    """
    usable, left_out = [], Counter[str]()
    by_user = Counter[str]()
    if not path.is_file():
        export = command("service", "feedback", "export", "--out", path)
        raise DatasetError(f"There is no {path}: run `{export}`.")
    for row, where in _rows(path):
        example = _example(row, where, composed=False)
        status, user = row.get("status"), str(row.get("user"))
        if status not in SETTLED:
            left_out[f"feedback {status}"] += 1
        elif by_user[user] >= max_per_user:
            left_out["feedback beyond max_feedback_per_user"] += 1
        else:
            by_user[user] += 1
            usable.append(example)
    return usable, left_out


def _rows(path: Path) -> Iterable[tuple[dict[str, Any], str]]:
    if not path.is_file():
        raise DatasetError(
            f"There is no {path}. Sentences of real documents are not in the repository: put the "
            f"file there, set {DATA_VARIABLE} to its folder, or name another under [data] of the "
            "configuration file."
        )
    with path.open(encoding="utf-8") as lines:
        for n, line in enumerate(lines, start=1):
            if line.strip():
                yield _row(line, f"{path}, line {n}"), f"{path}, line {n}"


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DatasetError(f'{where}: expected {{"text": ..., "labels": [...]}}.') from error
    if not isinstance(row, dict):
        raise DatasetError(f'{where}: expected {{"text": ..., "labels": [...]}}.')
    return row


def _with_second(row: dict[str, Any], second: Mapping[str, list[str]]) -> dict[str, Any]:
    labels = second.get(str(row.get("id")))
    return row if labels is None else {**row, "labels": labels}


def _example(row: dict[str, Any], where: str, *, composed: bool) -> Example:
    if not {"text", "labels"} <= row.keys():
        raise DatasetError(f'{where}: expected {{"text": ..., "labels": [...]}}.')
    text, labels = row["text"], row["labels"]
    if not isinstance(text, str) or not text.strip() or not isinstance(labels, list):
        raise DatasetError(f"{where}: text is a sentence, labels a list of risk types.")
    return Example(
        text=text,
        labels=tuple(_labels(row, where)),
        doc=str(row.get("doc") or normalized(text)),
        license=str(row.get("license", "CC0")),
        domain=str(row.get("domain", "")),
        composed=composed,
        id=str(row.get("id", "")),
    )


def _labels(row: dict[str, Any], where: str) -> list[str]:
    labels = row.get("labels")
    if not isinstance(labels, list):
        raise DatasetError(f"{where}: labels is a list of risk types.")
    unknown = [label for label in labels if label not in _COLUMN]
    if unknown:
        raise DatasetError(f"{where}: {unknown[0]!r} is not a risk type of the taxonomy.")
    return labels


def normalized(text: str) -> str:
    """Return the letters and digits alone, case folded: equal for copies of a sentence."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if c.isalnum())


def without_overlap(
    train: Sequence[Example], dev: Sequence[Example]
) -> tuple[list[Example], Counter[str]]:
    """Return `train` without its overlap with `dev`, in order, and the dropped sentences by reason.

    A sentence is dropped if its document is in dev, or if it is a near-duplicate of a sentence in dev
    (three quarters of its word triples, see near_duplicates).
    """
    docs = {e.doc for e in dev}
    near = near_duplicates([e.text for e in train], [e.text for e in dev])
    dropped = Counter[str]()
    rest = []
    for k, e in enumerate(train):
        if e.doc in docs:
            dropped["document of dev"] += 1
        elif k in near:
            dropped["near-duplicate of dev"] += 1
        else:
            rest.append(e)
    return rest, dropped


def load_dataset(settings: DataSettings) -> Dataset:
    """Read both splits; train loses its overlap with dev.

    Raises:
        DatasetError: a file is missing or faulty.
        ConfigError: no file of training sentences is named.
    """
    if not (settings.authored or settings.real or settings.feedback):
        raise ConfigError("[data] of the configuration file names no file of training sentences.")
    second = read_second_readings(ROOT / name for name in settings.second_readings)
    read = {name: read_examples(ROOT / name, composed=True) for name in settings.authored}
    read |= {name: read_examples(ROOT / name, second=second) for name in settings.real}
    left_out = Counter[str]()
    for name in settings.feedback:
        read[name], unused = read_feedback(ROOT / name, max_per_user=settings.max_feedback_per_user)
        left_out += unused
    dev = read_examples(ROOT / settings.dev)
    train, overlapping = without_overlap([e for examples in read.values() for e in examples], dev)
    return Dataset(
        train=train,
        dev=dev,
        dropped=dict(left_out + overlapping),
        fingerprint=fingerprint(train, dev),
        sources={Path(name).name: len(examples) for name, examples in read.items()},
    )


def fingerprint(*splits: Sequence[Example]) -> str:
    """Return the sha256 over texts and labels of the splits, in order: equal only for equal data."""
    digest = hashlib.sha256()
    for split in splits:
        for e in split:
            digest.update(
                json.dumps([e.text, sorted(e.labels)], ensure_ascii=False).encode() + b"\n"
            )
        digest.update(b"\n")
    return digest.hexdigest()


def targets(examples: Sequence[Example]) -> npt.NDArray[np.float32]:
    """Return float32 (n_examples, n_risk_types): 1 where the sentence has the label, else 0."""
    y = np.zeros((len(examples), len(RISK_TYPES)), dtype=np.float32)
    for row, e in enumerate(examples):
        y[row, [_COLUMN[label] for label in e.labels]] = 1.0
    return y


def format_counts(counts: Mapping[str, int]) -> str:
    """Return counts as text, such as `agreed 12, single 3`."""
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())


def check_new_sentences(settings: DataSettings, dataset: Dataset) -> None:
    """Refuse to train without settled feedback and real sentences: the model would learn nothing new.

    Raises:
        DatasetError: feedback is configured but none is settled, and there are no real sentences.
    """
    names = [*settings.real, *settings.feedback]
    if not settings.feedback or any(dataset.sources[Path(name).name] for name in names):
        return
    unsettled = format_counts(
        {k: n for k, n in dataset.dropped.items() if k.startswith("feedback")}
    )
    raise DatasetError(
        f"There is nothing new to learn: {', '.join(settings.feedback)} holds no settled feedback"
        f"{unsettled and f' ({unsettled})'}. A verdict is settled when two users agree or a reviewer "
        "decides; see Reviewing in README.md. To train without feedback, name sentences under real in [data]."
    )
