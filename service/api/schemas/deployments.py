"""Models of the registry, deployments and the shadow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from apiflask import Schema
from apiflask.fields import (
    UUID,
    AwareDateTime,
    Boolean,
    Dict,
    Float,
    Integer,
    List,
    Nested,
    String,
)
from apiflask.validators import Length, OneOf, Range

from db.tables import DeploymentKind
from service.api.schemas.fields import MAX_INT, StrictSchema, Text
from service.domain.deployments.deployments import ModelState
from service.nlp.artifacts.registry import MAX_MODEL_CHARS

MAX_WHY_CHARS = 1000
_MODEL: dict[str, Any] = {"description": "name/version of a model in the registry."}


class GateOut(Schema):
    """The decision of `python -m ml register`, and the model it compared with."""

    against = String(required=True)
    passed = Boolean(required=True)
    reasons = List(
        String(), required=True, metadata={"description": "Why the gate rejected the model."}
    )
    figures = Dict(required=True)
    created_at = String(required=True)


class ModelOut(Schema):
    name = String(required=True)
    version = String(required=True)
    state = String(
        required=True,
        validate=OneOf(list(ModelState)),
        metadata={"description": "previous is the model that a rollback activates."},
    )
    created_at = String(required=True, allow_none=True)
    metrics = Dict(
        required=True,
        metadata={
            "description": "F1 of risk, category and type: value and 95 % confidence interval."
        },
    )
    gate = Nested(GateOut, required=True, allow_none=True)
    faults = List(
        String(),
        required=True,
        metadata={
            "description": "Why the model failed verification, or why this process did not load it."
        },
    )


class ShadowOut(Schema):
    model = String(required=True, attribute="to_model", metadata=_MODEL)
    share = Float(required=True, metadata={"description": "Share of the scans, 0 to 1."})


class ShadowTotalOut(Schema):
    """Totals of shadowing for one pair of models."""

    serving = String(required=True)
    shadow = String(required=True)
    n_scans = Integer(required=True)
    n_sentences = Integer(required=True)
    n_agreeing = Integer(
        required=True, metadata={"description": "Findings that both models report."}
    )
    n_only_serving = Integer(required=True)
    n_only_shadow = Integer(required=True)
    n_dropped = Integer(
        required=True, metadata={"description": "Scans skipped because the queue was full."}
    )
    mean_abs_score_difference = Float(
        required=True,
        allow_none=True,
        metadata={"description": "Mean over the findings that both models report."},
    )
    first_at = AwareDateTime(required=True, default_timezone=UTC)
    last_at = AwareDateTime(required=True, default_timezone=UTC)


class ModelListOut(Schema):
    items = List(Nested(ModelOut), required=True)
    serving = String(required=True, metadata={"description": "name/version of the deployed model."})
    serving_here = String(
        required=True,
        metadata={"description": "name/version of the model that this process serves."},
    )
    shadowing_here = String(required=True, allow_none=True)
    shadow = Nested(ShadowOut, required=True, allow_none=True)
    shadow_totals = List(Nested(ShadowTotalOut), required=True)


class DeploymentIn(StrictSchema):
    """`activate` requires a model; `rollback` returns to the previous one."""

    kind = String(required=True, validate=OneOf([DeploymentKind.ACTIVATE, DeploymentKind.ROLLBACK]))
    model = Text(validate=Length(1, MAX_MODEL_CHARS), metadata=_MODEL)
    why = Text(validate=Length(1, MAX_WHY_CHARS))
    force = Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "Activate even if the gate rejected the model; requires `why`."},
    )

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Require a model for activate, and reject one for rollback."""
        kind = data.get("kind")
        if kind == DeploymentKind.ACTIVATE and "model" not in raw:
            return {"model": "Send the model to activate as name/version."}
        if kind == DeploymentKind.ROLLBACK and ("model" in raw or data.get("force")):
            message = "A rollback returns to the previous model; send neither model nor force."
            return {"kind": message}
        return {}


class ShadowIn(StrictSchema):
    model = Text(required=True, validate=Length(1, MAX_MODEL_CHARS), metadata=_MODEL)
    share = Float(
        required=True,
        validate=Range(0, 1),
        metadata={"description": "Share of the scans, 0 to 1, selected by the document's SHA-256."},
    )
    why = Text(validate=Length(1, MAX_WHY_CHARS))


class DeploymentOut(Schema):
    id = UUID(required=True)
    n = Integer(required=True, metadata={"description": "Sequence number, from 1 without gaps."})
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    kind = String(required=True, validate=OneOf(list(DeploymentKind)))
    from_model = String(required=True)
    to_model = String(required=True, allow_none=True)
    share = Float(required=True, allow_none=True)
    actor = String(required=True, metadata={"description": "A user's id, or cli:<operator>."})
    why = String(required=True, allow_none=True)
    forced = Boolean(required=True)
    metrics = Dict(required=True, metadata={"description": "The model's metrics at its gate."})


class DeploymentListQuery(StrictSchema):
    before = Integer(
        validate=Range(1, MAX_INT),
        metadata={"description": "The next_before of the previous page."},
    )
    per_page = Integer(load_default=50, validate=Range(1, 200))


class DeploymentListOut(Schema):
    items = List(Nested(DeploymentOut), required=True)
    next_before = Integer(required=True, allow_none=True)


class DriftBinOut(Schema):
    label = String(
        required=True,
        metadata={"description": "A range such as 0.1-0.2, or a category's key; none."},
    )
    reference = Float(required=True, metadata={"description": "Share in the reference, 0 to 1."})
    observed = Float(required=True, metadata={"description": "Share in the recent scans."})


class DriftHistogramOut(Schema):
    name = String(
        required=True,
        validate=OneOf(["score", "category", "length"]),
        metadata={
            "description": "score: of findings. category: of sentences, none without a finding. length: "
            "words of sentences with a finding."
        },
    )
    psi = Float(
        required=True,
        allow_none=True,
        metadata={"description": "Population stability index; null without a scan."},
    )
    chance = Float(
        required=True,
        allow_none=True,
        metadata={"description": "Mean index of samples of this size without drift."},
    )
    status = String(
        required=True,
        validate=OneOf(["stable", "watch", "drifted", "too few"]),
        metadata={"description": "Of psi - chance: below 0.1, up to 0.25, above."},
    )
    bins = List(Nested(DriftBinOut), required=True)


class DriftOut(Schema):
    """The newest stored scans of the serving model at balanced sensitivity, at most 10,000 sentences."""

    model = String(required=True, metadata={"description": "name/version"})
    n_scans = Integer(required=True)
    n_sentences = Integer(required=True)
    n_reference = Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Sentences of the reference; null if the model has none."},
    )
    histograms = List(Nested(DriftHistogramOut), required=True)
