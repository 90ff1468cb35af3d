"""/health: is the process alive, and can it answer a scan now. Answered from memory."""

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
@blueprint.doc(summary="The process answers")
def health() -> dict[str, str]:
    return _ALIVE


@blueprint.get("/live")
@blueprint.output(HealthOut)
@blueprint.doc(summary="Liveness: restart the process when this fails")
def live() -> dict[str, str]:
    return _ALIVE


@blueprint.get("/ready")
@blueprint.output(ReadyOut)
@blueprint.doc(summary="Readiness: the database answered and the model is proved, `age_s` ago")
def ready() -> dict[str, object]:
    report = services().readiness.report()
    if report.faults:
        raise NotReady(report.message(), faults=report.faults)
    return report.answer()
