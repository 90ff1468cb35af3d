"""Use cases of deployments: list the registry, activate, roll back, shadow.

They store a deployment; each process then loads the model by itself (rollout.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate
from db.queries import deployments as queries
from db.queries.deployments import DesiredState
from db.tables import Deployment, DeploymentKind, ShadowTotal
from service.config.settings import Config
from service.domain.audit import Action, Actor, event, record
from service.domain.deployments.rollout import Rollout
from service.domain.transactions import Transactions
from service.errors import ArtifactError, Conflict, Fault, InvalidRequest, NotFound
from service.nlp.analyzers.factory import open_model
from service.nlp.artifacts.registry import Entry, GateRecord, Registry, manifest_sha256

MIN_WHY_CHARS = 10
_FIGURES = ("risk_f1", "category_f1", "type_f1")
_ACTIONS = {
    DeploymentKind.ACTIVATE: Action.MODEL_ACTIVATED,
    DeploymentKind.ROLLBACK: Action.MODEL_ROLLED_BACK,
    DeploymentKind.SHADOW: Action.MODEL_SHADOWED,
    DeploymentKind.SHADOW_OFF: Action.MODEL_SHADOW_ENDED,
}


class ModelState(StrEnum):
    """What a model of the registry does now, or last did."""

    SERVING = "serving"
    SHADOW = "shadow"
    PREVIOUS = "previous"
    """It served before; a rollback would bring it back."""
    AVAILABLE = "available"


@dataclass(frozen=True, slots=True)
class Overview:
    """The registry and the newest deployments; `rollout` is None outside of a serving process."""

    items: list[dict[str, Any]]
    serving: str
    shadow: Deployment | None
    totals: Sequence[ShadowTotal]
    rollout: Rollout | None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON of `GET /admin/models`; in a command `serving_here` is empty."""
        return {
            "items": self.items,
            "serving": self.serving,
            "serving_here": self.rollout.serving if self.rollout else "",
            "shadowing_here": self.rollout.shadowing if self.rollout else None,
            "shadow": self.shadow,
            "shadow_totals": [
                {
                    **{c.name: getattr(t, c.name) for c in t.__table__.columns},
                    "mean_abs_score_difference": mean_abs_score_difference(t),
                }
                for t in self.totals
            ],
        }


class Deployments:
    """The models of the registry, and their deployments."""

    def __init__(
        self,
        config: Config,
        transactions: Transactions,
        registry: Registry,
        rollout: Rollout | None = None,
    ) -> None:
        self._config = config
        self._transactions = transactions
        self._registry = registry
        self._rollout = rollout

    def overview(self) -> Overview:
        """Return every model with its state, and the totals of shadowing.

        Raises:
            Conflict: another service analyzes.
        """
        self._require_local_model()
        desired, history, totals = self._transactions.read(
            lambda s: (
                queries.desired_state(s),
                queries.serving_history(s),
                queries.shadow_totals(s),
            )
        )
        shadow = desired.shadow
        if shadow is not None and shadow.kind != DeploymentKind.SHADOW:
            shadow = None
        serving = self._serving(desired)
        states = dict.fromkeys(_rollback_targets(history)[-1:], ModelState.PREVIOUS)
        if shadow is not None and shadow.to_model is not None:
            states[shadow.to_model] = ModelState.SHADOW
        states[serving] = ModelState.SERVING
        faults = self._rollout.faults if self._rollout else {}
        items = [
            _item(
                self._registry.entry(model),
                states.get(model, ModelState.AVAILABLE),
                faults.get(model),
            )
            for model in sorted({*self._registry.models(), *states})
        ]
        return Overview(items, serving, shadow, totals, self._rollout)

    def deployments(self, *, limit: int, before_n: int | None) -> Sequence[Deployment]:
        """Return up to `limit` deployments, newest first, only those below number `before_n` if given."""
        return self._transactions.read(queries.list_deployments, limit=limit, before_n=before_n)

    def activated(self) -> str | None:
        """Return the name/version of the model that was activated last; None if none was."""
        newest = self._transactions.read(queries.desired_state).serving
        return None if newest is None else newest.to_model

    def activate(self, model: str, *, actor: Actor, why: str | None, force: bool) -> Deployment:
        """Make every process serve `model` (name/version), after a trial load in this process.

        Raises:
            NotFound: it is not in the registry.
            InvalidRequest: forced without a reason.
            Conflict: it serves already, cannot be loaded, or has not passed the gate.
        """
        self._require_local_model()
        if force and len((why or "").strip()) < MIN_WHY_CHARS:
            fault = Fault("why", f"Forcing needs a reason of at least {MIN_WHY_CHARS} characters.")
            raise InvalidRequest(fault.message, faults=(fault,))
        sha256 = self._trial_load(model)
        gate = self._gate_record(model)

        def decide(_session: Session, desired: DesiredState) -> dict[str, Any]:
            serving = self._serving(desired)
            if serving == model:
                raise Conflict(f"{model} serves already.")
            reasons = _refusals(model, sha256, serving, gate)
            if reasons and not force:
                raise Conflict(
                    f"{model} is not activated: {' '.join(reasons)}",
                    faults=tuple(Fault("gate", reason) for reason in reasons),
                )
            return {
                "kind": DeploymentKind.ACTIVATE,
                "from_model": serving,
                "to_model": model,
                "manifest_sha256": sha256,
                "forced": bool(reasons),
                "metrics": _figures(gate, sha256),
            }

        return self._deploy(decide, actor=actor, why=why)

    def rollback(self, *, actor: Actor, why: str | None) -> Deployment:
        """Make every process serve the model that served before the newest activation not yet undone.

        Raises:
            Conflict: there is no such model, or it is gone or altered.
        """
        self._require_local_model()

        def decide(session: Session, desired: DesiredState) -> dict[str, Any]:
            targets = _rollback_targets(queries.serving_history(session))
            if not targets:
                raise Conflict("There is no activation to roll back.")
            try:
                sha256 = self._verify(targets[-1])
            except NotFound as error:
                raise Conflict(
                    f"{targets[-1]}, which served before, is not in REGISTRY_DIR. "
                    "Restore its folder from a backup, or activate another model."
                ) from error
            return {
                "kind": DeploymentKind.ROLLBACK,
                "from_model": self._serving(desired),
                "to_model": targets[-1],
                "manifest_sha256": sha256,
            }

        return self._deploy(decide, actor=actor, why=why)

    def shadow(self, model: str, *, share: float, actor: Actor, why: str | None) -> Deployment:
        """Make every process also score `share` (0 to 1) of its scans with `model`, after answering.

        Raises:
            NotFound: it is not in the registry.
            Conflict: it serves, or cannot be loaded.
        """
        self._require_local_model()
        sha256 = self._trial_load(model)

        def decide(_session: Session, desired: DesiredState) -> dict[str, Any]:
            serving = self._serving(desired)
            if serving == model:
                raise Conflict(f"{model} serves; a shadow is another model.")
            return {
                "kind": DeploymentKind.SHADOW,
                "from_model": serving,
                "to_model": model,
                "manifest_sha256": sha256,
                "share": share,
            }

        return self._deploy(decide, actor=actor, why=why)

    def end_shadow(self, *, actor: Actor) -> Deployment | None:
        """Make every process stop shadowing; return None if no shadow was deployed."""
        self._require_local_model()
        desired = self._transactions.read(queries.desired_state)
        shadow = desired.shadow
        if shadow is None or shadow.kind == DeploymentKind.SHADOW_OFF or shadow.to_model is None:
            return None
        values = {"kind": DeploymentKind.SHADOW_OFF, "from_model": shadow.to_model}
        return self._deploy(lambda _session, _desired: values, actor=actor, why=None)

    def _deploy(
        self,
        decide: Callable[[Session, DesiredState], Mapping[str, Any]],
        *,
        actor: Actor,
        why: str | None,
    ) -> Deployment:
        """Store the next deployment, with the values that `decide` returns for the desired state."""

        def work(session: Session) -> Deployment:
            desired = queries.desired_state(session)
            values = {
                "id": uuid_utils.compat.uuid7(),
                "n": desired.n + 1,
                "created_at": datetime.now(UTC),
                "actor": actor.name,
                "why": why,
                "forced": False,
                "metrics": {},
                **decide(session, desired),
            }
            deployment = queries.add_deployment(session, values)
            _record(session, deployment, actor)
            return deployment

        try:
            deployment = self._transactions.run(work)
        except IntegrityError as error:
            if is_duplicate(error):
                raise Conflict(
                    "Another deployment was stored at the same moment; look at it and try again."
                ) from error
            raise
        if self._rollout is not None:
            self._rollout.wake()
        return deployment

    def _require_local_model(self) -> None:
        if self._config.ai_service_url:
            raise Conflict(
                "AI_SERVICE_URL is set: another service analyzes, and its models are managed there. "
                "Unset it to serve a model from here."
            )

    def _serving(self, desired: DesiredState) -> str:
        if desired.serving is not None and desired.serving.to_model is not None:
            return desired.serving.to_model
        return self._registry.default_model()

    def _trial_load(self, model: str) -> str:
        """Verify and open the model as a serving process would; return its manifest's sha256."""
        folder = self._registry.folder(model)
        sha256 = self._verify(model)
        try:
            open_model(self._config, folder).close()
        except ArtifactError as error:
            raise Conflict(error.message) from error
        return sha256

    def _verify(self, model: str) -> str:
        try:
            return manifest_sha256(self._registry.verified(model).path)
        except ArtifactError as error:
            raise Conflict(error.message) from error

    def _gate_record(self, model: str) -> GateRecord | None:
        try:
            return self._registry.gate_record(model)
        except ArtifactError as error:
            raise Conflict(error.message) from error


def _refusals(model: str, sha256: str, serving: str, gate: GateRecord | None) -> list[str]:
    """Return why the gate does not let `model` replace `serving`; [] if it does."""
    remedy = f"Run `.venv-test/bin/python -m ml register` on it against the folder of {serving}."
    if gate is None:
        return [f"It was never measured against {serving}. {remedy}"]
    if gate.model != model or gate.manifest_sha256 != sha256:
        return [f"The measured model differs from the one in the registry. {remedy}"]
    if gate.against != serving:
        return [f"It was measured against {gate.against}, but {serving} serves. {remedy}"]
    if not gate.passed:
        return list(gate.reasons) or ["The gate refused it without a reason."]
    return []


def _figures(gate: GateRecord | None, sha256: str) -> dict[str, Any]:
    """Return the part of a gate record that the deployment stores; {} if it is about other content."""
    if gate is None or gate.manifest_sha256 != sha256:
        return {}
    return {
        "against": gate.against,
        "passed": gate.passed,
        "reasons": list(gate.reasons),
        "data_fingerprint": gate.data_fingerprint,
        "figures": dict(gate.figures),
    }


def _rollback_targets(history: Sequence[Deployment]) -> list[str]:
    """Return the models that rollbacks would lead to, the next one last.

    Each rollback undoes the newest activation that is not undone yet. So a second rollback goes further
    back, never to the model that the first one left.
    """
    targets: list[str] = []
    for deployment in history:
        if deployment.kind == DeploymentKind.ACTIVATE:
            targets.append(deployment.from_model)
        elif targets:
            targets.pop()
    return targets


def _record(session: Session, deployment: Deployment, actor: Actor) -> None:
    detail = {
        "from": deployment.from_model,
        "to": deployment.to_model,
        "share": deployment.share,
        "forced": deployment.forced,
    }
    deployed = event(
        _ACTIONS[DeploymentKind(deployment.kind)],
        actor=actor,
        object_type="deployment",
        object_id=deployment.id,
        detail={k: v for k, v in detail.items() if v is not None},
    )
    record(session, deployed)


def _item(entry: Entry, state: ModelState, fault: str | None) -> dict[str, Any]:
    name, _, version = entry.model.partition("/")
    return {
        "name": name,
        "version": version,
        "state": state,
        "created_at": entry.manifest.created_at if entry.manifest else None,
        "metrics": _summary(entry.manifest.metrics) if entry.manifest else {},
        "gate": entry.gate,
        "faults": list(dict.fromkeys(f for f in (entry.fault, fault) if f)),
    }


def _summary(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return F1 at the three levels with intervals: on unseen documents if that was measured."""
    for measured in ("cross_fitted", "at_threshold"):
        block = metrics.get(measured)
        if isinstance(block, dict):
            return {"measured": measured, **{k: block[k] for k in _FIGURES if k in block}}
    return {}


def mean_abs_score_difference(total: ShadowTotal) -> float | None:
    """Return the mean over the findings of both models, or None if there were none."""
    return total.abs_score_difference / total.n_agreeing if total.n_agreeing else None
