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
    """What `python -m ml register` decided, and against which model."""

    against = String(required=True)
    passed = Boolean(required=True)
    reasons = List(String(), required=True, metadata={"description": "Why it was refused."})
    figures = Dict(required=True)
    created_at = String(required=True)


class ModelOut(Schema):
    name = String(required=True)
    version = String(required=True)
    state = String(
        required=True,
        validate=OneOf(list(ModelState)),
        metadata={"description": "As deployed; previous is what a rollback leads to."},
    )
    created_at = String(required=True, allow_none=True)
    metrics = Dict(
        required=True,
        metadata={"description": "F1 of risk, category and type: value and 95 % interval."},
    )
    gate = Nested(GateOut, required=True, allow_none=True)
    faults = List(
        String(),
        required=True,
        metadata={
            "description": "Why it cannot be verified, or was not taken over by this process."
        },
    )


class ShadowOut(Schema):
    model = String(required=True, attribute="to_model", metadata=_MODEL)
    share = Float(required=True, metadata={"description": "Of the scans, 0 to 1."})


class ShadowTotalOut(Schema):
    """What shadowing measured so far for one pair of models."""

    serving = String(required=True)
    shadow = String(required=True)
    n_scans = Integer(required=True)
    n_sentences = Integer(required=True)
    n_agreeing = Integer(required=True, metadata={"description": "Findings of both models."})
    n_only_serving = Integer(required=True)
    n_only_shadow = Integer(required=True)
    n_dropped = Integer(
        required=True, metadata={"description": "Scans not shadowed because too many waited."}
    )
    mean_abs_score_difference = Float(
        required=True, allow_none=True, metadata={"description": "Over the findings of both."}
    )
    first_at = AwareDateTime(required=True, default_timezone=UTC)
    last_at = AwareDateTime(required=True, default_timezone=UTC)


class ModelListOut(Schema):
    items = List(Nested(ModelOut), required=True)
    serving = String(required=True, metadata={"description": "name/version that should serve."})
    serving_here = String(
        required=True, metadata={"description": "name/version that the answering process serves."}
    )
    shadowing_here = String(required=True, allow_none=True)
    shadow = Nested(ShadowOut, required=True, allow_none=True)
    shadow_totals = List(Nested(ShadowTotalOut), required=True)


class DeploymentIn(StrictSchema):
    """`activate` needs a model; `rollback` finds its own."""

    kind = String(required=True, validate=OneOf([DeploymentKind.ACTIVATE, DeploymentKind.ROLLBACK]))
    model = Text(validate=Length(1, MAX_MODEL_CHARS), metadata=_MODEL)
    why = Text(validate=Length(1, MAX_WHY_CHARS))
    force = Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "Activate in spite of the gate; needs `why`."},
    )

    def faults_across(self, data: dict[str, Any], sent: Mapping[str, Any]) -> dict[str, str]:
        """Require a model for activate, and forbid one for rollback."""
        kind = data.get("kind")
        if kind == DeploymentKind.ACTIVATE and "model" not in sent:
            return {"model": "Say which model to activate, as name/version."}
        if kind == DeploymentKind.ROLLBACK and ("model" in sent or data.get("force")):
            message = "A rollback goes to what served before; send neither model nor force."
            return {"kind": message}
        return {}


class ShadowIn(StrictSchema):
    model = Text(required=True, validate=Length(1, MAX_MODEL_CHARS), metadata=_MODEL)
    share = Float(
        required=True,
        validate=Range(0, 1),
        metadata={"description": "Of the scans, chosen by the sha256 of the document."},
    )
    why = Text(validate=Length(1, MAX_WHY_CHARS))


class DeploymentOut(Schema):
    id = UUID(required=True)
    n = Integer(required=True, metadata={"description": "Counts from 1 without gaps."})
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    kind = String(required=True, validate=OneOf(list(DeploymentKind)))
    from_model = String(required=True)
    to_model = String(required=True, allow_none=True)
    share = Float(required=True, allow_none=True)
    actor = String(required=True, metadata={"description": "A user's id, or cli:<name>."})
    why = String(required=True, allow_none=True)
    forced = Boolean(required=True)
    metrics = Dict(required=True, metadata={"description": "The figures of the gate."})


class DeploymentListQuery(StrictSchema):
    before = Integer(
        validate=Range(1, MAX_INT), metadata={"description": "next_before of the page before."}
    )
    per_page = Integer(load_default=50, validate=Range(1, 200))


class DeploymentListOut(Schema):
    items = List(Nested(DeploymentOut), required=True)
    next_before = Integer(required=True, allow_none=True)
