"""The contract of the API, checked in: a change of it is seen in review, a breaking one by name."""

import json
import os
from pathlib import Path

import pytest

from tests.support.openapi_changes import changes, contract

SNAPSHOT = Path(__file__).with_name("openapi.json")
OLD = {
    "paths": {"/a": {"get": {"parameters": [{"name": "q", "schema": {"type": "string"}}]}}},
    "components": {
        "schemas": {
            "AIn": {"properties": {"text": {"type": "string"}}, "required": ["text"]},
            "AOut": {"properties": {"text": {"type": "string"}}},
        }
    },
}


def test_contract_is_the_one_checked_in(client):
    served = contract(client.get("/openapi.json").json())
    if os.environ.get("RISKSCAN_WRITE_OPENAPI"):
        SNAPSHOT.write_text(json.dumps(served, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    breaking, additive = changes(json.loads(SNAPSHOT.read_text(encoding="utf-8")), served)
    lines = ["These BREAK clients:", *breaking] if breaking else ["No client breaks."]
    lines += ["These only add:", *additive] if additive else []
    assert not breaking + additive, "\n".join(
        [f"The API differs from {SNAPSHOT.name}.", *lines, "If it is meant, run `make openapi`."]
    )


def changed(edit):
    new = json.loads(json.dumps(OLD))
    edit(new["paths"], new["components"]["schemas"])
    return changes(OLD, new)


@pytest.mark.parametrize(
    "edit",
    [
        lambda paths, _: paths.pop("/a"),
        lambda paths, _: paths["/a"]["get"]["parameters"].clear(),
        lambda paths, _: paths["/a"]["get"]["parameters"].append({"name": "b", "required": True}),
        lambda _, schemas: schemas["AIn"]["required"].append("title"),
        lambda _, schemas: schemas["AIn"]["properties"]["text"].update(type="integer"),
        lambda _, schemas: schemas["AIn"]["properties"]["text"].update(maxLength=5),
        lambda _, schemas: schemas["AOut"]["properties"].pop("text"),
    ],
)
def test_change_that_rejects_or_surprises_a_client_is_breaking(edit):
    breaking, _ = changed(edit)
    assert breaking


@pytest.mark.parametrize(
    "edit",
    [
        lambda paths, _: paths.update({"/b": {"get": {"parameters": [{"name": "n"}]}}}),
        lambda paths, _: paths["/a"]["get"]["parameters"].append({"name": "b", "required": False}),
        lambda _, schemas: schemas["AIn"]["properties"].update(new={"type": "string"}),
        lambda _, schemas: schemas["AOut"]["properties"].update(title={"maxLength": 5}),
        lambda _, schemas: schemas["AOut"].update(required=["text"]),
        lambda _, schemas: schemas.update({"BIn": {"required": ["text"]}}),
    ],
)
def test_change_that_clients_do_not_notice_is_additive(edit):
    breaking, additive = changed(edit)
    assert additive
    assert not breaking


def test_added_or_removed_operation_or_schema_is_one_line():
    operation = {"parameters": [{"name": "n", "schema": {"type": "integer"}}], "security": []}
    new = json.loads(json.dumps(OLD))
    new["paths"]["/b"] = {"get": operation, "post": operation}
    new["components"]["schemas"]["BOut"] = OLD["components"]["schemas"]["AIn"]
    names = ["components > schemas > BOut", "paths > /b > get", "paths > /b > post"]
    assert changes(OLD, new) == ([], [f"added {name}" for name in names])
    assert changes(new, OLD) == ([f"removed {name}" for name in names], [])


def test_prose_and_version_are_not_part_of_the_contract():
    property_named_title = {"properties": {"title": {"type": "string", "title": "A title"}}}
    document = {"info": {"version": "1"}, "components": {"schemas": {"AOut": property_named_title}}}
    schemas = {"AOut": {"properties": {"title": {"type": "string"}}}}
    assert contract(document) == {"components": {"schemas": schemas}}
