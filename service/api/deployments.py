"""/api/v1/admin/models, /deployments and /shadow: the serving model and its candidates.

A deployment is an event with author and reason, so clients POST it to a collection and never change it. The
shadow is a state, so clients PUT and DELETE it.
"""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.tables import Deployment, DeploymentKind, Permission, Scope, roles_with
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, numbered_page
from service.api.schemas.deployments import (
    DeploymentIn,
    DeploymentListOut,
    DeploymentListQuery,
    DeploymentOut,
    DriftOut,
    ModelListOut,
    ShadowIn,
)
from service.domain.audit import Actor
from service.domain.deployments import drift

blueprint = APIBlueprint("models", __name__, url_prefix="/api/v1/admin", tag="Models")


@blueprint.get("/models")
@blueprint.auth_required(auth, roles=roles_with(Permission.MODELS))
@key_scope(Scope.ADMIN)
@blueprint.output(ModelListOut)
@blueprint.doc(
    summary="List the models of the registry with their states and gates", responses=[403, 409]
)
def list_models() -> dict[str, Any]:
    return services().deployments.overview().as_dict()


@blueprint.get("/drift")
@blueprint.auth_required(auth, roles=roles_with(Permission.MODELS))
@key_scope(Scope.ADMIN)
@blueprint.output(DriftOut)
@blueprint.doc(
    summary="Compare recent scans with the documents that the serving model was calibrated on",
    responses=[403],
)
def get_drift() -> dict[str, Any]:
    serving = services().analyzers.default
    model, taxonomy = (serving.model_name, serving.model_version), serving.taxonomy
    window = services().transactions.read(drift.recent, model, taxonomy)
    reference = drift.read_reference(services().registry, "/".join(model))
    return {
        "model": "/".join(model),
        "n_scans": window.n_scans,
        "n_sentences": window.n_sentences,
        "n_reference": reference and reference.n_sentences,
        "histograms": drift.histograms(window, reference, taxonomy) if reference else [],
    }


@blueprint.get("/deployments")
@blueprint.auth_required(auth, roles=roles_with(Permission.MODELS))
@key_scope(Scope.ADMIN)
@blueprint.input(DeploymentListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(DeploymentListOut)
@blueprint.doc(
    summary="List activations, rollbacks and changes of the shadow, newest first", responses=[403]
)
def list_deployments(query: dict[str, int]) -> Listing:
    return numbered_page(query, "before", services().deployments.deployments)


@blueprint.post("/deployments")
@blueprint.auth_required(auth, roles=roles_with(Permission.MODELS))
@key_scope(Scope.ADMIN)
@blueprint.input(DeploymentIn, location="json", arg_name="body")
@blueprint.output(DeploymentOut, status_code=201)
@blueprint.doc(
    summary="Activate a model that passed its gate, or roll back; every process switches to it",
    responses=[403, 404, 409],
)
def deploy(body: dict[str, Any]) -> Deployment:
    actor, why = _actor(), body.get("why")
    if body["kind"] == DeploymentKind.ROLLBACK:
        return services().deployments.rollback(actor=actor, why=why)
    return services().deployments.activate(body["model"], actor=actor, why=why, force=body["force"])


@blueprint.put("/shadow")
@blueprint.auth_required(auth, roles=roles_with(Permission.MODELS))
@key_scope(Scope.ADMIN)
@blueprint.input(ShadowIn, location="json", arg_name="body")
@blueprint.output(DeploymentOut)
@blueprint.doc(
    summary="Score a share of the scans with a second model, after their responses",
    responses=[403, 404, 409],
)
def put_shadow(body: dict[str, Any]) -> Deployment:
    return services().deployments.shadow(
        body["model"], share=body["share"], actor=_actor(), why=body.get("why")
    )


@blueprint.delete("/shadow")
@blueprint.auth_required(auth, roles=roles_with(Permission.MODELS))
@key_scope(Scope.ADMIN)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Stop shadowing", responses=[403, 409])
def delete_shadow() -> str:
    services().deployments.end_shadow(actor=_actor())
    return ""


def _actor() -> Actor:
    return Actor(current_user().id)
