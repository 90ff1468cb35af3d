"""/api/v1/recommendations and /api/v1/courses/{id}/effect: what findings say about courses."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.tables import Scope
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.schemas.recommendations import (
    EffectOut,
    EffectQuery,
    RecommendationListOut,
    RecommendationQuery,
)
from service.domain.courses import effect
from service.domain.courses.rates import METHOD
from service.domain.courses.recommendations import recommend

blueprint = APIBlueprint("recommendations", __name__, url_prefix="/api/v1", tag="Courses")


@blueprint.get("/recommendations")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(RecommendationQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(RecommendationListOut)
@blueprint.doc(
    summary="List the courses that the caller's confirmed findings suggest, with the reasons",
    description="Findings are those in the caller's own scans that people confirmed or relabelled. Courses "
    "about their risk types come before those about their categories, then those with more findings.",
)
def list_recommendations(query: dict[str, int]) -> dict[str, Any]:
    items = services().transactions.read(
        recommend,
        current_user(),
        services().taxonomy,
        n_days=query["days"],
        limit=query["per_page"],
    )
    return {"items": items}


@blueprint.get("/courses/<uuid:course_id>/effect")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(EffectQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(EffectOut)
@blueprint.doc(
    summary="Compare confirmed findings before and after completing a course",
    description="In 1,000 sentences, by category, with 95 % intervals. A difference is no proof that the "
    f"course caused it. A cohort has figures from {effect.MIN_LEARNERS} learners on.",
    responses=[403],
)
def get_effect(course_id: UUID, query: dict[str, Any]) -> dict[str, Any]:
    work = effect.cohort_effect if query["scope"] == "cohort" else effect.own_effect
    found = services().transactions.read(
        work, current_user(), course_id, services().taxonomy, n_days=query["days"]
    )
    names = ("n_learners", "before", "after", "categories")
    return {**{name: getattr(found, name) for name in names}, "method": METHOD, "note": effect.NOTE}
