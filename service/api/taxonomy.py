"""/api/v1/taxonomy: the categories and risk types of findings."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from service.api.http.authentication import auth
from service.api.http.response_headers import REVALIDATE, etagged
from service.api.schemas.taxonomy import TaxonomyOut
from service.nlp.taxonomy import DESCRIPTIONS, VERSION

blueprint = APIBlueprint("taxonomy", __name__, url_prefix="/api/v1/taxonomy", tag="Scans")
_TAXONOMY: dict[str, Any] = {
    "version": VERSION,
    "categories": [{**c, "example": c["risk_types"][0]["example"]} for c in DESCRIPTIONS],
}


@blueprint.get("")
@etagged(REVALIDATE)
@blueprint.auth_required(auth)
@blueprint.output(TaxonomyOut)
@blueprint.doc(
    summary="List the categories and risk types with definitions and examples", responses=[304]
)
def get_taxonomy() -> dict[str, Any]:
    return _TAXONOMY
