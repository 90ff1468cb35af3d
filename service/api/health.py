"""/health: liveness and readiness, answered from memory."""

from __future__ import annotations

from apiflask import APIBlueprint

from service import __version__
from service.api.current import services
from service.api.schemas.health import HealthOut, ReadyOut
from service.errors import NotReady

blueprint = APIBlueprint("health", __name__, url_prefix="/health", tag="Health")
_ALIVE = {"status": "ok", "version": __version__}


@blueprint.get("")
@blueprint.output(HealthOut)
@blueprint.doc(summary="Check that the process responds")
def health() -> dict[str, str]:
    return _ALIVE


@blueprint.get("/live")
@blueprint.output(HealthOut)
@blueprint.doc(summary="Check liveness; restart the process if this fails")
def live() -> dict[str, str]:
    return _ALIVE


@blueprint.get("/ready")
@blueprint.output(ReadyOut)
@blueprint.doc(summary="Check readiness: state of database and model, `age_s` seconds ago")
def ready() -> dict[str, object]:
    report = services().probes.report()
    if report.faults:
        raise NotReady(report.message(), faults=report.faults)
    return report.answer()
