"""The one configuration file of a run, read into frozen values. Imports no model library."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from service.config.settings import ROOT
from service.errors import ConfigError

T = TypeVar("T")

SERVING = "serving"
"""In place of an artifact's folder: the model that serves when the step runs (ml/artifact/versions.py)."""
NEXT = "next"
"""In place of a version: the minor version after the highest in the registry."""
DATA_VARIABLE = "RISKSCAN_DATA"
"""Environment variable with the folder of the sentences that are not in the repository."""
_ELSEWHERE = f"${DATA_VARIABLE}/"


@dataclass(frozen=True, slots=True)
class ArtifactSettings:
    """Name, version and place of the artifact, and how its weights are rounded.

    `version` may be NEXT. `calibration_of` is an artifact (or SERVING) whose temperature, bias and
    operating points are copied, for a model that stays close to it. If it is empty, they are fitted on the
    dev sentences.
    """

    name: str
    version: str
    folder: str
    weight_bits: int
    golden_tolerance: float
    calibration_of: str


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Files of sentences: `authored` are in the repository, the others are optional.

    A path that begins with $RISKSCAN_DATA/ is in the folder named by this environment variable, and is
    skipped if the variable is not set. `second_readings` hold labels by id that override those of `real`.
    `feedback` is the output of `python -m service feedback export`; at most `max_feedback_per_user`
    sentences of one user are used. `dev` is only for calibration and evaluation; of several files the first
    that is not skipped counts.
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

    `start` names artifacts (or SERVING) or finished runs; training starts from their mean, or from the
    package if it is empty.
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

    `teachers` are artifacts (or SERVING) or finished runs; the probabilities of their mean have the share
    `teacher_weight` in the targets. `keep` in [0, 1) is the share of the starting weights in the result
    (arXiv:2109.01903).

    With `folds` over 1, the k-th seed trains without the documents of fold k and scores them at the end
    (cross_fitting.py); the number of seeds is a multiple of `folds`. `influence_of` names finished runs
    with folds; the influence of neighbours is learned at the end from their cross-fitted logits
    (ml/training/neighbour_heads.py). If it is empty, the influence of the start model is kept.
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
        ConfigError: the file is missing or not TOML, or a key is missing or unknown; or RISKSCAN_DATA is
                not a folder.
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
    """Return the table [data] with the paths of this machine, see DataSettings."""
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
