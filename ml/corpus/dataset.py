"""Labelled sentences: read, check against the taxonomy, separate the splits, compute fingerprints."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.commands import command
from ml.corpus.json_lines import DatasetError, rows_of
from ml.corpus.kinds import NO_KINDS, Kinds, read_kinds
from ml.corpus.near_duplicates import near_duplicates
from ml.settings import DataSettings
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.taxonomy import Taxonomy, built_in, read_taxonomy

SETTLED = frozenset({"agreed", "adjudicated"})
"""Status of feedback that may train: two users agree, or a reviewer decided."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled sentence; `doc` names its document, or is the sentence itself if that is unknown.

    `place` is the sentence's number in its document; without it, the number at the end of `id` counts. `kind`
    is the kind of document, such as contract, and `file` the name of the file without its ending.
    """

    text: str
    labels: tuple[str, ...]
    doc: str
    license: str = "CC0"
    domain: str = ""
    composed: bool = False
    id: str = ""
    place: int | None = None
    kind: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The splits after the checks; `fingerprint` is the sha256 over all, in order.

    `unlabelled` sentences train with targets of teachers. `dropped` counts the sentences left out of both
    kinds of training sentences, by reason.
    """

    taxonomy: Taxonomy
    train: list[Example]
    dev: list[Example]
    unlabelled: list[Example] = field(default_factory=list)
    dropped: Mapping[str, int] = field(default_factory=dict)
    fingerprint: str = ""
    sources: Mapping[str, int] = field(default_factory=dict)


def read_examples(
    path: Path,
    taxonomy: Taxonomy,
    *,
    second: Mapping[str, list[str]] | None = None,
    composed: bool = False,
    kinds: Kinds = NO_KINDS,
) -> list[Example]:
    """Read a JSON-lines file of {"text", "labels"}.

    Optional are "id", "doc", "pos" (the place in the document), "license", "domain" and "kind".

    `second` gives labels by id that override the file's own; `kinds` the kind of a row that names none.

    Raises:
        DatasetError: no such file, or a faulty line, named by its number: it is malformed, or has a label
            that `taxonomy` lacks.
    """
    rows = [(_with_second(row, second or {}), where) for row, where in rows_of(path)]
    examples = [_example(row, where, taxonomy, composed=composed) for row, where in rows]
    return [
        replace(e, kind=kinds.of(row), file=path.stem)
        for e, (row, _) in zip(examples, rows, strict=True)
    ]


def read_sets(
    paths: Sequence[Path], taxonomy: Taxonomy, *, kinds: Kinds = NO_KINDS
) -> list[Example]:
    """Read files to evaluate on; each is a set, which has the file's name.

    Raises:
        DatasetError: two files have the same name, or there is no sentence; and as `read_examples`.
    """
    names = Counter(path.stem for path in paths)
    if twice := [name for name, n in names.items() if n > 1]:
        raise DatasetError(
            f"Two files are named {twice[0]}; rename one, so that each has figures of its own."
        )
    examples = [e for path in paths for e in read_examples(path, taxonomy, kinds=kinds)]
    if not examples:
        raise DatasetError(f"There is no sentence in {', '.join(map(str, paths))}.")
    return examples


def read_second_readings(paths: Iterable[Path], taxonomy: Taxonomy) -> dict[str, list[str]]:
    """Read files of {"id", "labels"}: the labels that later readers gave, by the id of the sentence.

    Raises:
        DatasetError: as `read_examples`.
    """
    labels = {}
    for path in paths:
        for row, where in rows_of(path):
            if not isinstance(row.get("id"), str):
                raise DatasetError(f'{where}: expected {{"id": ..., "labels": [...]}}.')
            labels[row["id"]] = _labels(row, where, taxonomy)
    return labels


def read_pool(
    path: Path, taxonomy: Taxonomy, *, second: Mapping[str, list[str]]
) -> tuple[list[Example], list[Example]]:
    """Read a JSON-lines file of {"text"} with the optional keys of `read_examples`.

    Returns the sentences that `second` labels, and the others. The file's own labels are ignored.

    Raises:
        DatasetError: as `read_examples`.
    """
    labelled: list[Example] = []
    unlabelled: list[Example] = []
    for row, where in rows_of(path):
        labels = second.get(_row_id(row))
        example = _example({**row, "labels": labels or []}, where, taxonomy, composed=False)
        (unlabelled if labels is None else labelled).append(example)
    return labelled, unlabelled


def read_feedback(
    path: Path, taxonomy: Taxonomy, *, max_per_user: int
) -> tuple[list[Example], Counter[str]]:
    """Read the output of `python -m service feedback export`; return the sentences that may train.

    Only settled verdicts train, and only the newest `max_per_user` sentences of a user, which stand last, so
    that no single user dominates the model. Sentences with a type of another taxonomy, which an earlier model
    found, are left out too. The counter has the number of sentences left out, by reason.

    Raises:
        DatasetError: no such file, or a malformed line.
    """
    usable: list[tuple[str, Example]] = []
    left_out = Counter[str]()
    if not path.is_file():
        export = command("service", "feedback", "export", "--out", path)
        raise DatasetError(f"There is no {path}: run `{export}`.")
    for row, where in rows_of(path):
        if _unknown_labels(row, where, taxonomy):
            left_out["feedback with a risk type of another taxonomy"] += 1
            continue
        example = _example(row, where, taxonomy, composed=False)
        if (status := row.get("status")) in SETTLED:
            usable.append((str(row.get("user")), example))
        else:
            left_out[f"feedback {status}"] += 1
    newest = _newest(usable, max_per_user)
    if surplus := len(usable) - len(newest):
        left_out["feedback beyond max_feedback_per_user"] = surplus
    return newest, left_out


def _newest(by_user: Sequence[tuple[str, Example]], max_per_user: int) -> list[Example]:
    """Return the last `max_per_user` sentences of each user, in order."""
    n_of_user, newest = Counter[str](), []
    for user, example in reversed(by_user):
        n_of_user[user] += 1
        if n_of_user[user] <= max_per_user:
            newest.append(example)
    return newest[::-1]


def _with_second(row: dict[str, Any], second: Mapping[str, list[str]]) -> dict[str, Any]:
    labels = second.get(_row_id(row))
    return row if labels is None else {**row, "labels": labels}


def _row_id(row: Mapping[str, Any]) -> str:
    """Return the row's id, or else the first 16 hexadecimal digits of the sha256 over its text."""
    if "id" in row:
        return str(row["id"])
    return hashlib.sha256(str(row.get("text")).encode()).hexdigest()[:16]


def _example(row: dict[str, Any], where: str, taxonomy: Taxonomy, *, composed: bool) -> Example:
    if not {"text", "labels"} <= row.keys():
        raise DatasetError(f'{where}: expected {{"text": ..., "labels": [...]}}.')
    text, labels = row["text"], row["labels"]
    if not isinstance(text, str) or not text.strip() or not isinstance(labels, list):
        raise DatasetError(f"{where}: text is a sentence, labels a list of risk types.")
    return Example(
        text=text,
        labels=tuple(_labels(row, where, taxonomy)),
        doc=str(row.get("doc") or normalized(text)),
        license=str(row.get("license", "CC0")),
        domain=str(row.get("domain", "")),
        composed=composed,
        id=str(row.get("id", "")),
        place=row["pos"] if isinstance(row.get("pos"), int) else None,
    )


def _labels(row: dict[str, Any], where: str, taxonomy: Taxonomy) -> list[str]:
    if unknown := _unknown_labels(row, where, taxonomy):
        raise DatasetError(
            f"{where}: {unknown[0]!r} is not a risk type of the taxonomy; correct the line, or name the "
            "file with your risk types as `taxonomy` under [data]."
        )
    labels: list[str] = row["labels"]
    return labels


def _unknown_labels(row: dict[str, Any], where: str, taxonomy: Taxonomy) -> list[Any]:
    labels = row.get("labels")
    if not isinstance(labels, list):
        raise DatasetError(f"{where}: labels is a list of risk types.")
    return [label for label in labels if label not in taxonomy.risk_types]


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


def load_taxonomy(settings: DataSettings) -> Taxonomy:
    """Return the taxonomy of a configuration, the built-in one if it names none.

    Raises:
        ArtifactError: the file is missing or invalid.
    """
    if not settings.taxonomy:
        return built_in()
    remedy = "Correct it, or `taxonomy` under [data]."
    return read_taxonomy(ROOT / settings.taxonomy, remedy=remedy)


def load_dataset(settings: DataSettings) -> Dataset:
    """Read both splits; train loses its overlap with dev, and with a fallback that the gate may measure on.

    Raises:
        DatasetError: a file is missing or faulty.
        ConfigError: no file of training sentences is named.
        ArtifactError: the taxonomy is missing or invalid.
    """
    if not (settings.authored or settings.real or settings.feedback):
        raise ConfigError("[data] of the configuration file names no file of training sentences.")
    taxonomy = load_taxonomy(settings)
    second = read_second_readings((ROOT / name for name in settings.second_readings), taxonomy)
    read = {name: read_examples(ROOT / name, taxonomy, composed=True) for name in settings.authored}
    read |= {name: read_examples(ROOT / name, taxonomy, second=second) for name in settings.real}
    left_out = Counter[str]()
    for name in settings.feedback:
        read[name], unused = read_feedback(
            ROOT / name, taxonomy, max_per_user=settings.max_feedback_per_user
        )
        left_out += unused
    kinds = read_kinds(ROOT / settings.kinds) if settings.kinds else NO_KINDS
    dev = read_sets([ROOT / name for name in settings.dev_sets], taxonomy, kinds=kinds)
    fallback = [read_pool(ROOT / name, taxonomy, second={})[1] for name in settings.unused_fallback]
    pools = {name: read_pool(ROOT / name, taxonomy, second=second) for name in settings.unlabelled}
    labelled = [*read.values(), *(rows for rows, _ in pools.values())]
    held_out = [*dev, *(e for rows in fallback for e in rows)]
    train, overlapping = without_overlap([e for rows in labelled for e in rows], held_out)
    unlabelled, also = without_overlap([e for _, rows in pools.values() for e in rows], held_out)
    read |= {name: [*rows, *others] for name, (rows, others) in pools.items()}
    return Dataset(
        taxonomy=taxonomy,
        train=train,
        dev=dev,
        unlabelled=unlabelled,
        dropped=dict(left_out + overlapping + also),
        fingerprint=fingerprint(train, dev, *([unlabelled] if unlabelled else [])),
        sources=_sizes(read),
    )


def _sizes(read: Mapping[str, Sequence[Example]]) -> dict[str, int]:
    """Return the number of sentences by the name of the file, of files of one name together."""
    sizes = Counter[str]()
    for name, examples in read.items():
        sizes[Path(name).name] += len(examples)
    return dict(sizes)


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


def describe(examples: Sequence[Example]) -> dict[str, Any]:
    """Return counts and the fingerprint of the sentences."""
    return {
        "sentences": len(examples),
        "with_risk": sum(bool(e.labels) for e in examples),
        "documents": len({e.doc for e in examples}),
        "fingerprint": fingerprint(examples),
    }


def targets(examples: Sequence[Example], taxonomy: Taxonomy) -> npt.NDArray[np.float32]:
    """Return float32 (n_examples, n_risk_types): 1 where the sentence has the label, else 0."""
    y = np.zeros((len(examples), len(taxonomy.risk_types)), dtype=np.float32)
    for row, e in enumerate(examples):
        y[row, [taxonomy.columns[label] for label in e.labels]] = 1.0
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
