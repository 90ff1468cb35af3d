"""Labelled sentences: read, check against the taxonomy, keep the splits apart, fingerprint.

`python -m ml.dataset ml/configs/riskscan-minilm.toml` writes dataset.json into the run's folder.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.settings import DataSettings, Settings, run_step
from service.config import ROOT
from service.errors import ConfigError, RiskscanError
from service.nlp.taxonomy import RISK_TYPES

_COLUMN = {risk_type: k for k, risk_type in enumerate(RISK_TYPES)}


class DatasetError(RiskscanError):
    """A file of sentences is missing or holds a line that cannot be used."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled sentence; `doc` names its document, or the sentence itself where none is known."""

    text: str
    labels: tuple[str, ...]
    doc: str
    license: str = "CC0"


@dataclass(frozen=True, slots=True)
class Dataset:
    """The splits after the checks; `fingerprint` is the sha256 over all, in order."""

    train: list[Example]
    refine: list[Example]
    dev: list[Example]
    dropped: int = 0
    fingerprint: str = ""
    sources: dict[str, int] = field(default_factory=dict)


def read_examples(path: Path) -> list[Example]:
    """Read a JSON-lines file of {"text", "labels"} with an optional "doc" and "license".

    Raises:
        DatasetError: no such file, or a faulty line, named by its number.
    """
    if not path.is_file():
        raise DatasetError(
            f"There is no {path}. Sentences of real documents do not travel with the repository: "
            "put the file there, or name another under [data] of the configuration file."
        )
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        _example(line, f"{path}, line {n}") for n, line in enumerate(lines, start=1) if line.strip()
    ]


def _example(line: str, where: str) -> Example:
    try:
        row = json.loads(line)
        text, labels = row["text"], row["labels"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f'{where}: expected {{"text": ..., "labels": [...]}}.') from error
    if not isinstance(text, str) or not text.strip() or not isinstance(labels, list):
        raise DatasetError(f"{where}: text is a sentence, labels a list of risk types.")
    unknown = [label for label in labels if label not in _COLUMN]
    if unknown:
        raise DatasetError(f"{where}: {unknown[0]!r} is no risk type of the taxonomy.")
    return Example(
        text, tuple(labels), str(row.get("doc") or normalized(text)), row.get("license", "CC0")
    )


def normalized(text: str) -> str:
    """Return the letters and digits alone, case folded: what two copies of a sentence share."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if c.isalnum())


def without_overlap(train: Sequence[Example], dev: Sequence[Example]) -> list[Example]:
    """Return `train` without the sentences and documents that `dev` also has, in order."""
    texts = {normalized(e.text) for e in dev}
    docs = {e.doc for e in dev}
    return [e for e in train if normalized(e.text) not in texts and e.doc not in docs]


def load_dataset(settings: DataSettings) -> Dataset:
    """Read both splits; what stands in both is dropped from train.

    Raises:
        DatasetError: a file is missing or faulty.
        ConfigError: no file of training sentences is named.
    """
    named = [*settings.authored, *settings.real_train]
    if not named:
        raise ConfigError("[data] of the configuration file names no file of training sentences.")
    read = {name: read_examples(ROOT / name) for name in named}
    dev = read_examples(ROOT / settings.dev)
    everything = [e for examples in read.values() for e in examples]
    train = without_overlap(everything, dev)
    refine = without_overlap(
        [e for name in settings.refine for e in read_examples(ROOT / name)], dev
    )
    return Dataset(
        train=train,
        refine=refine,
        dev=dev,
        dropped=len(everything) - len(train),
        fingerprint=fingerprint(train, refine, dev),
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


def summary(dataset: Dataset) -> dict[str, Any]:
    """Return counts per split, risk type, file and licence; never a sentence."""
    return {
        "fingerprint": dataset.fingerprint,
        "files": dataset.sources,
        "dropped_from_train": dataset.dropped,
        "train": _counts(dataset.train),
        "refine": _counts(dataset.refine),
        "dev": _counts(dataset.dev),
    }


def _counts(examples: Sequence[Example]) -> dict[str, Any]:
    types = Counter(label for e in examples for label in e.labels)
    return {
        "sentences": len(examples),
        "with_risk": sum(bool(e.labels) for e in examples),
        "documents": len({e.doc for e in examples}),
        "risk_types": {risk_type: types[risk_type] for risk_type in RISK_TYPES},
        "licenses": dict(Counter(e.license for e in examples).most_common()),
    }


def main(settings: Settings) -> None:
    """Check the data and write their summary to <run>/dataset.json."""
    found = summary(load_dataset(settings.data))
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    target = settings.run_dir / "dataset.json"
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    n_train, n_dev = found["train"]["sentences"], found["dev"]["sentences"]
    print(f"{n_train} sentences to train, {n_dev} to choose on; {target}")


if __name__ == "__main__":
    run_step(main)
