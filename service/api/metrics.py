"""/metrics: the metrics for Prometheus, if OPS_PORT is not set."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response

from service.api.current import services
from service.observability.metric_sums import MEDIA_TYPE

blueprint = APIBlueprint("metrics", __name__, enable_openapi=False)


@blueprint.get("/metrics")
def metrics() -> Response:
    return Response(services().probes.exposition(), content_type=MEDIA_TYPE)
