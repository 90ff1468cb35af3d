"""/api/v1/taxonomy: the categories and risk types of the serving model."""

from __future__ import annotations

from apiflask import APIBlueprint

from db.tables import Scope
from service.api.current import services
from service.api.http.authentication import auth
from service.api.http.key_scopes import key_scope
from service.api.http.response_headers import REVALIDATE, etagged
from service.api.schemas.taxonomy import TaxonomyOut
from service.nlp.taxonomy import Taxonomy

blueprint = APIBlueprint("taxonomy", __name__, url_prefix="/api/v1/taxonomy", tag="Scans")


@blueprint.get("")
@etagged(REVALIDATE)
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(TaxonomyOut)
@blueprint.doc(
    summary="List the serving model's categories and risk types with definitions and examples",
)
def get_taxonomy() -> Taxonomy:
    return services().taxonomy
