"""The configuration file of a run, validated into frozen values. Imports no model library."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from service.config.settings import ROOT
from service.errors import ConfigError

SERVING = "serving"
"""Stands for the folder of the model that serves when the step runs (ml/versions.py)."""
NEXT = "next"
"""Stands for the minor version after the highest in the registry."""
DATA_VARIABLE = "RISKSCAN_DATA"
"""Environment variable with the folder of the sentences that are not in the repository."""
_PREFIX = f"${DATA_VARIABLE}/"
_STRICT = ConfigDict(strict=True, extra="forbid")


def _local_paths(names: list[str]) -> list[str]:
    """Replace $RISKSCAN_DATA by its folder; drop the paths below it if the variable is not set."""
    folder = os.environ.get(DATA_VARIABLE, "")
    if not folder:
        return [name for name in names if not name.startswith(_PREFIX)]
    if not Path(folder).is_dir():
        raise ValueError(f"{DATA_VARIABLE} is not a folder: {folder}. Name one, or unset it")
    return [name.replace(_PREFIX, f"{Path(folder).absolute()}/", 1) for name in names]


Paths = Annotated[list[str], AfterValidator(_local_paths)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
SentenceForm = Literal["written", "bare", "stopped"]
"""How the network reads a sentence (ml/training/sentence_form.py)."""
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True, config=_STRICT)
class ArtifactSettings:
    """Name, version and folder of the artifact, and how its weights are rounded.

    `version` may be NEXT. `calibration_of` is an artifact (or SERVING) whose temperature, bias and
    operating points are copied, for a model that stays close to it. If it is empty, they are fitted on the
    dev sentences.

    With an `adapter_rank` over 0 the artifact has the weights that an adapter of this rank gives back
    (ml/artifact/adapter_writer.py), for `ml make-adapter`.
    """

    name: str
    version: str
    folder: str
    weight_bits: Annotated[int, Field(ge=2, le=8)]
    golden_tolerance: Positive
    calibration_of: str
    adapter_rank: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True, config=_STRICT)
class DataSettings:
    """Files of sentences: `authored` are in the repository, the others are optional.

    A path that begins with $RISKSCAN_DATA/ is in the folder named by this environment variable, and is
    skipped if the variable is not set. `second_readings` hold labels by id that override those of `real`; a
    sentence without an id has the first 16 hexadecimal digits of the sha256 over its text. `unlabelled` are
    sentences whose targets are the teachers' probabilities alone, unless a second reading labels them.
    `feedback` is the output of `python -m service feedback export`; at most `max_feedback_per_user`
    sentences of one user are used.

    `dev` is only for calibration and evaluation. Each of its files is a set with figures of its own, and the
    operating points are chosen for all of them. If all of `dev` is skipped, `dev_fallback` is used instead.
    `kinds` assigns a kind to each document, such as contract or policy (ml/corpus/kinds.py); empty: only
    the rows' own "kind" counts.

    `taxonomy` is a taxonomy.json with the risk types that the labels name; empty: the built-in one.
    """

    authored: Paths
    real: Paths
    second_readings: Paths
    unlabelled: Paths
    feedback: Paths
    max_feedback_per_user: Count
    dev: Paths
    dev_fallback: Paths
    kinds: str
    taxonomy: str = ""

    @model_validator(mode="after")
    def _has_dev(self) -> DataSettings:
        if not self.dev_sets:
            raise ValueError(
                f"every path of dev and dev_fallback is in {DATA_VARIABLE}, which is not set; "
                "set it, or name another file"
            )
        return self

    @property
    def dev_sets(self) -> list[str]:
        """The files to calibrate and evaluate on: all of `dev`, or `dev_fallback` if none is available."""
        return self.dev or self.dev_fallback

    @property
    def trained_on(self) -> list[str]:
        """The files whose sentences train."""
        return [*self.authored, *self.real, *self.unlabelled, *self.feedback]

    @property
    def unused_fallback(self) -> list[str]:
        """The files of `dev_fallback`, if `dev` takes their place."""
        return self.dev_fallback if self.dev else []


@dataclass(frozen=True, slots=True, config=_STRICT)
class BaseSettings:
    """The pretrained encoder, a folder that AutoModel and AutoTokenizer of transformers open.

    `model` is the folder's path, or package:NAME for an installed Python package that contains it. `sha256`
    has the hash of each of its files that is read; others are not. `pooling` makes the head's input from the
    last layer (service/nlp/inference/network_config.py).

    `sentence_form` is the form in which the network reads a sentence (ml/training/sentence_form.py).

    `start` names artifacts (or SERVING) or finished runs of this encoder; training starts from their mean, or
    from `model` if it is empty.
    """

    model: str
    name: str
    license: str
    pooling: Literal["mean", "first"]
    start: list[str]
    sha256: Annotated[dict[FileName, Sha256], Field(min_length=1)]
    sentence_form: SentenceForm = "written"


@dataclass(frozen=True, slots=True, config=_STRICT)
class TrainSettings:
    """Recipe of the fine-tuning; `run` is the folder of checkpoints and measurements.

    With `trained_part` "last" only the last layer's feed-forward network, its norm and the head train
    (ml/training/last_layer.py). That takes minutes, and the layers below stay as they are, with the vectors
    of the search.

    With a `lora_rank` over 0, factors of that rank (arXiv:2106.09685) and the norms train instead of the
    whole encoder: A at `encoder_lr`, B at `lora_b_lr` (arXiv:2402.12354). A step reads
    `gradient_accumulation` batches one after another and learns from all of them. `gradient_checkpointing`
    takes less memory and more time.

    An epoch reads the share `negatives_share` of the real sentences without a risk, `composed_share` of the
    composed sentences, and `unlabelled_share` of the unlabelled ones. The share `vary_share` of the sentences
    loses its full stop or gains a bullet or number, and `mask_share` of the tokens becomes the mask token
    (ml/training/variation.py).

    `teachers` are artifacts (or SERVING) or finished runs; the probabilities of their mean have the share
    `teacher_weight` in the targets of labelled sentences. The part of a teacher's logit above
    `teacher_bend` is multiplied by `teacher_slope`: lower targets where teachers are overconfident. With a
    `vector_weight` over 0 a second loss, times that, turns the vector that the head reads towards that of the
    teachers (ml/training/pupil.py). `keep` in [0, 1) is the share of the starting weights in the result
    (arXiv:2109.01903).

    With `folds` over 1, the k-th seed trains without the documents of fold k and scores them at the end
    (cross_fitting.py); with fewer seeds than folds, some folds are never held out. `influence_of` names
    finished runs with folds, or this one; the influence of neighbours is learned at the end from their
    cross-fitted logits (ml/training/neighbour_heads.py). If it is empty, the influence of the start model is
    kept.
    """

    run: str
    seeds: Annotated[list[int], Field(min_length=1)]
    folds: Annotated[int, Field(ge=0)]
    epochs: Count
    decay_epochs: Count
    n_checkpoints: Count
    n_averaged: Count
    batch_size: Count
    gradient_accumulation: Count
    gradient_checkpointing: bool
    max_length_tokens: Annotated[int, Field(ge=3)]
    lora_rank: Annotated[int, Field(ge=0)]
    encoder_lr: Positive
    lora_b_lr: Positive
    head_lr: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    warmup: Share
    clip_norm: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    n_threads: Count
    bfloat16: bool
    negatives_share: Share
    composed_share: Share
    unlabelled_share: Share
    vary_share: Share
    mask_share: Annotated[float, Field(ge=0, lt=1)]
    keep: Annotated[float, Field(ge=0, lt=1)]
    teachers: list[str]
    teacher_weight: Share
    influence_of: list[str]
    save_every_min: Annotated[float, Field(ge=0)]
    vector_weight: Annotated[float, Field(ge=0)] = 0.0
    trained_part: Literal["all", "last"] = "all"
    teacher_bend: float = 0.0
    teacher_slope: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _has_checkpoints_to_average(self) -> TrainSettings:
        if self.n_averaged > self.n_checkpoints:
            raise ValueError("n_averaged is over n_checkpoints; lower it")
        return self

    @model_validator(mode="after")
    def _last_layer_trains_plainly(self) -> TrainSettings:
        unusable = (
            "vary_share",
            "mask_share",
            "vector_weight",
            "lora_rank",
            "gradient_checkpointing",
        )
        used = [name for name in unusable if getattr(self, name)]
        if self.trained_part == "last" and used:
            raise ValueError(
                'trained_part = "last" does not support '
                + ", ".join(used)
                + "; set them to 0 or false"
            )
        return self


@plain_dataclass(frozen=True, slots=True)
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


_TABLES = {
    "artifact": ArtifactSettings,
    "data": DataSettings,
    "base": BaseSettings,
    "train": TrainSettings,
}


def load(path: Path) -> Settings:
    """Read a configuration file.

    Raises:
        ConfigError: the file is missing or not TOML, or tables or keys are missing, unknown or out of range;
            the message lists all faults.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no {path}; name a file such as ml/configs/retrain.toml."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error
    faults = [f"unknown table [{name}]" for name in tables if name not in _TABLES]
    values = {}
    for name, cls in _TABLES.items():
        try:
            values[name] = cls(**tables.get(name, {}))
        except ValidationError as error:
            faults += _faults(name, error.errors())
    if faults:
        raise ConfigError(f"{path}: {'; '.join(faults)}.")
    return Settings(**values)


def _faults(table: str, errors: list[ErrorDetails]) -> Iterator[str]:
    """Yield each fault of a table with the name of its key."""
    for error in errors:
        key, kind = ".".join(map(str, error["loc"])), error["type"]
        if kind == "missing":
            yield f"[{table}] lacks {key}"
        elif kind == "unexpected_keyword_argument":
            yield f"[{table}] has an unknown key {key}"
        elif kind == "value_error":
            where = f"[{table}] {key}".strip()
            yield f"{where}: {error['ctx']['error']}"
        else:
            yield f"[{table}] {key}: {error['msg'][0].lower()}{error['msg'][1:]}"
