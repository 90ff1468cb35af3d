"""/health: is the process alive, and can it answer a scan now."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from service import __version__
from service.context import services
from service.errors import DatabaseUnavailable, Fault, NotReady
from service.nlp.analyzer import Analyzer
from service.schemas import HealthOut, ReadyOut

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
@blueprint.doc(summary="Readiness: the database answers and the model is proved")
def ready() -> dict[str, Any]:
    faults = []
    if services().draining.is_set():
        faults.append(Fault("process", "The process is shutting down."))
    try:
        services().store.ping()
    except DatabaseUnavailable as error:
        faults.append(Fault("database", error.message))
    with services().scanner.analyzers.lend() as analyzer:  # so that no exchange closes it meanwhile
        if not analyzer.is_ready():
            faults.append(Fault("model", "The inference thread has stopped; restart the process."))
    if faults:
        raise NotReady(" ".join(fault.message for fault in faults), faults=tuple(faults))
    return {"status": "ready", "checks": {"database": "answers", "model": _told(analyzer)}}


def _told(analyzer: Analyzer) -> str:
    if not analyzer.model_version:
        return f"{analyzer.model_name}: another service analyzes; only a scan asks it"
    return f"{analyzer.model_name} {analyzer.model_version} is proved"
