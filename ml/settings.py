"""The one configuration file of a run, read into frozen values. Imports no model library."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from ml.commands import command
from service.config import ROOT
from service.errors import ConfigError, RiskscanError

T = TypeVar("T")

SERVING = "serving"
"""In place of an artifact's folder: the model that serves when the step runs (ml/serving.py)."""
NEXT = "next"
"""In place of a version: the minor version after the highest in the registry."""
DATA_VARIABLE = "RISKSCAN_DATA"
"""Environment variable that names the folder of sentences which do not travel with the repository."""
_ELSEWHERE = f"${DATA_VARIABLE}/"


@dataclass(frozen=True, slots=True)
class ArtifactSettings:
    """Name, version and place of the artifact, and how its weights are rounded.

    `version` may be NEXT. `calibration_of` is an artifact (or SERVING) whose temperature, bias and operating
    points are taken over, for a model that stays close to it; empty: they are chosen on the dev sentences.
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

    A path that begins with $RISKSCAN_DATA/ lies in the folder that this environment variable names, and is
    left out where it names none. `second_readings` hold labels by id that go before those of `real`;
    `feedback` is what `python -m service feedback export` wrote, and of one user's sentences at most
    `max_feedback_per_user` are taken. `dev` calibrates and evaluates, and nothing else; the file may list
    several, of which the first that is not left out counts.
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

    `start` names artifacts (or SERVING) or ended runs from whose mean training begins; empty begins from the
    package.
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

    `teachers` are artifacts (or SERVING) or ended runs; the probabilities of their mean make up
    `teacher_weight` of the targets. `keep` in [0, 1) is the share of the starting weights in the result
    (arXiv:2109.01903).

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
        ConfigError: the file is missing, no TOML, or lacks a key or has one too many; or RISKSCAN_DATA
            names no folder.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no {path}; name a file such as ml/configs/retrain.toml."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}.") from error
    tables["data"] = _at_hand(tables.get("data", {}), path)
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


def _at_hand(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the table [data] with every path as it lies on this machine, see DataSettings."""
    found = {k: _paths(value) if isinstance(value, list) else value for k, value in data.items()}
    if "dev" in data:
        names = _paths(data["dev"] if isinstance(data["dev"], list) else [data["dev"]])
        if not names:
            raise ConfigError(
                f"{path}: [data] dev lies in {DATA_VARIABLE}, which is not set; set it, or name another file."
            )
        found["dev"] = names[0]
    return found


def _paths(names: list[str]) -> list[str]:
    folder = os.environ.get(DATA_VARIABLE, "")
    if not folder:
        return [name for name in names if not name.startswith(_ELSEWHERE)]
    if not Path(folder).is_dir():
        raise ConfigError(f"{DATA_VARIABLE} names no folder: {folder}. Name one, or unset it.")
    return [name.replace(_ELSEWHERE, f"{Path(folder).absolute()}/", 1) for name in names]


def run_step(step: Callable[[Settings], None]) -> None:
    """Run a step with the configuration file that the command line names; an error ends in one sentence."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {command(f'ml.{Path(sys.argv[0]).stem}', 'ml/configs/retrain.toml')}")
    try:
        step(load(Path(sys.argv[1])))
    except RiskscanError as error:
        sys.exit(str(error))
