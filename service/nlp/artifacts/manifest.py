"""manifest.json: what a model is, how to calibrate it, and the hash of each file.

Imports no model library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.nlp.arrays import Floats
from service.nlp.artifacts.operating_points import SENSITIVITIES, OperatingPoint, Sensitivity

MANIFEST_VERSION = 3
MANIFEST_FILE = "manifest.json"

_VERSION_WITHOUT_BIAS = 2

Probability = Annotated[float, Field(strict=True, gt=0, lt=1)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class StoredPoint(BaseModel):
    """An operating point as the manifest stores it, with thresholds by risk type."""

    risk_threshold: Probability
    thresholds: dict[str, Probability]

    def operating_point(self, labels: Sequence[str]) -> OperatingPoint:
        """Return it with the thresholds as float32 (n_risk_types,) in the order of `labels`."""
        ordered = [self.thresholds[risk_type] for risk_type in labels]
        return OperatingPoint(self.risk_threshold, np.array(ordered, np.float32))


class StoredPoints(BaseModel):
    """One operating point per sensitivity."""

    balanced: StoredPoint
    recall: StoredPoint
    precision: StoredPoint


class EarlyExit(BaseModel):
    """Where certainly harmless sentences may leave the network: an exit score for each sensitivity.

    `measured` is what leaving costs and gains, for people.
    """

    model_config = ConfigDict(frozen=True)

    leave_below: Mapping[Sensitivity, Finite]
    measured: Mapping[str, Any] = {}


class Manifest(BaseModel):
    """The content of manifest.json; unknown fields are ignored.

    `bias` is added to the logits and `temperature` divides the sum, before the sigmoid.
    `golden_tolerance` is the largest accepted difference of a golden score.
    """

    model_config = ConfigDict(frozen=True)

    manifest_version: Literal[2, 3]
    name: str
    version: str
    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    stored_points: StoredPoints = Field(alias="operating_points")
    temperature: Positive
    bias: Finite
    max_length_tokens: int = Field(strict=True, ge=8, le=512)
    golden_tolerance: Positive
    early_exit: EarlyExit | None = None
    taxonomy_version: int
    base_model: Mapping[str, Any]
    segmenter: Mapping[str, Any]
    dataset_fingerprint: str
    metrics: Mapping[str, Any]
    created_at: str
    code_commit: str
    files: Mapping[str, str]

    @model_validator(mode="before")
    @classmethod
    def _add_missing_bias(cls, fields: object) -> object:
        """Version 2 had no bias."""
        if isinstance(fields, dict) and fields.get("manifest_version") == _VERSION_WITHOUT_BIAS:
            return fields | {"bias": 0.0}
        return fields

    @model_validator(mode="after")
    def _require_every_threshold(self) -> Self:
        for name in SENSITIVITIES:
            thresholds = getattr(self.stored_points, name).thresholds
            if missing := [label for label in self.labels if label not in thresholds]:
                raise ValueError(f"operating_points.{name}.thresholds lacks {', '.join(missing)}")
        return self

    @cached_property
    def operating_points(self) -> dict[Sensitivity, OperatingPoint]:
        """The operating point of each sensitivity; it turns scores into findings."""
        return {
            name: getattr(self.stored_points, name).operating_point(self.labels)
            for name in SENSITIVITIES
        }

    def probabilities(self, logits: Floats) -> Floats:
        """Return calibrated scores in [0, 1] for logits of any shape, as float32."""
        return probabilities(logits, temperature=self.temperature, bias=self.bias)


def probabilities(logits: Floats, *, temperature: float, bias: float) -> Floats:
    """Return the sigmoid of (logits + bias) / temperature, float32 in [0, 1], of any shape.

    Source: Platt, Probabilistic Outputs for Support Vector Machines (1999), with one line for all types.
    """
    scaled = (logits.astype(np.float64) + bias) / temperature
    # tanh gives the sigmoid without overflow.
    return (0.5 * (1.0 + np.tanh(0.5 * scaled))).astype(np.float32)
