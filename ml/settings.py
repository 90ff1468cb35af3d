"""The one configuration file of a run, read into frozen values. Imports no model library."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from service.config import ROOT
from service.errors import ConfigError, RiskscanError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ArtifactSettings:
    """Name, version and place of the artifact, and how its weights are rounded.

    `calibration_of` is an artifact whose temperature, bias and operating points are taken over, for a model
    that stays close to it; empty: they are chosen on the dev sentences.
    """

    name: str
    version: str
    folder: str
    weight_bits: int
    golden_tolerance: float
    calibration_of: str


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Files of sentences: `authored` travel with the repository, the others need not be there.

    `second_readings` hold labels by id that go before those of `real`; `feedback` is what
    `python -m service feedback export` wrote, and of one user's sentences at most
    `max_feedback_per_user` are taken. `dev` calibrates and evaluates, and nothing else.
    """

    authored: list[str]
    real: list[str]
    second_readings: list[str]
    feedback: list[str]
    max_feedback_per_user: int
    dev: str


@dataclass(frozen=True, slots=True)
class BaseSettings:
    """The pretrained encoder: a Python package that carries it, and the hashes it must have.

    `start` names artifacts or ended runs from whose mean training begins; empty begins from the package.
    """

    package: str
    name: str
    license: str
    weights_sha256: str
    tokenizer_sha256: str
    start: list[str]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Recipe of the fine-tuning; `run` is the folder of checkpoints and measurements.

    `teachers` are artifacts or ended runs; the probabilities of their mean make up `teacher_weight` of the
    targets. `keep` in [0, 1) is the share of the starting weights in the result (arXiv:2109.01903).
    With `folds` over 1 the k-th seed learns without the documents of fold k, and scores them in the end
    (ml/out_of_fold.py); there is a seed for each fold, or a multiple of that. `influence_of` names ended
    runs with folds, beside whose cross-fitted logits the influence of neighbours is learned in the end
    (ml/influence.py); empty: it stays what the start has, if anything.
    """

    run: str
    seeds: list[int]
    folds: int
    epochs: int
    decay_epochs: int
    n_checkpoints: int
    n_averaged: int
    batch_size: int
    max_length_tokens: int
    encoder_lr: float
    head_lr: float
    weight_decay: float
    warmup: float
    clip_norm: float
    dropout: float
    n_threads: int
    bfloat16: bool
    negatives_share: float
    keep: float
    teachers: list[str]
    teacher_weight: float
    influence_of: list[str]
    save_every_min: float


@dataclass(frozen=True, slots=True)
class Settings:
    """One field per table of the file."""

    artifact: ArtifactSettings
    data: DataSettings
    base: BaseSettings
    train: TrainSettings

    @property
    def run_dir(self) -> Path:
        """Folder of the run's checkpoints and measurements."""
        return ROOT / self.train.run

    @property
    def artifact_dir(self) -> Path:
        """Folder that export writes."""
        return ROOT / self.artifact.folder


def load(path: Path) -> Settings:
    """Read a configuration file.

    Raises:
        ConfigError: the file is missing, no TOML, or lacks a key or has one too many.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no {path}; name a file such as ml/configs/riskscan-minilm.toml."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}.") from error
    return Settings(
        artifact=_table(ArtifactSettings, tables, "artifact", path),
        data=_table(DataSettings, tables, "data", path),
        base=_table(BaseSettings, tables, "base", path),
        train=_table(TrainSettings, tables, "train", path),
    )


def _table(cls: type[T], tables: dict[str, Any], name: str, path: Path) -> T:
    given = tables.get(name, {})
    wanted = {f.name for f in fields(cls)}  # type: ignore[arg-type]  # every cls here is a dataclass
    if wanted != set(given):
        odd = ", ".join(sorted(wanted ^ set(given)))
        raise ConfigError(f"{path}: table [{name}] lacks, or has without need: {odd}.")
    return cls(**given)


def run_step(step: Callable[[Settings], None]) -> None:
    """Run a step with the configuration file that the command line names; an error ends in one sentence."""
    if len(sys.argv) != 2:
        sys.exit(
            f"usage: python -m ml.{step.__module__.rpartition('.')[2]} ml/configs/riskscan-minilm.toml"
        )
    try:
        step(load(Path(sys.argv[1])))
    except RiskscanError as error:
        sys.exit(str(error))
