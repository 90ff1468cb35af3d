"""The OpenAPI document, as a developer without other sources reads it."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from apiflask import Schema
from apiflask.fields import Integer, List, Nested

from service.api.http.openapi import DocumentedApp
from service.api.http.request_hooks import PAGES
from service.problem_types import PROBLEM_TYPES
from tests.support.calls import HTTP

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
ANY = defaultdict(lambda: "3fa85f64-5717-4562-b3fc-2c963f66afa6", n="1")
"""A value for each parameter of a path."""


class ItemOut(Schema):
    id = Integer()


class ItemListOut(Schema):
    items = List(Nested(ItemOut))


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json()


@pytest.fixture
def operations(document):
    return [o for path in document["paths"].values() for o in path.values()]


def block(text, marker):
    """Return the one code block with `marker`, without `python -m service` commands."""
    [code] = [b for b in re.findall(r"```\n(.*?)```", text, re.DOTALL) if marker in b]
    return "".join(line for line in code.splitlines(keepends=True) if "-m service" not in line)


def run_printed(script, url, folder):
    """Run shell lines against `url`; return their output."""
    script = script.replace("http://localhost:8000", url)
    return subprocess.run(
        ["sh", "-ec", script], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("source", ["document", "readme"])
def test_quick_start_commands_work_as_printed(start_service, tmp_path, source):
    url = start_service().url
    document = HTTP.get(f"{url}/openapi.json").json()["info"]["description"]
    text = document if source == "document" else README.read_text(encoding="utf-8")
    printed = run_printed(block(text, "/auth/register"), url, tmp_path)
    assert '"risk_type":"tight-budget"' in printed


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_reviewing_commands_work_as_printed(start_service, tmp_path):
    script = block(README.read_text(encoding="utf-8"), "/auth/register")
    script += block(
        (ROOT / "docs/reviewing.md").read_text(encoding="utf-8"), "/findings/1/feedback"
    )
    printed = run_printed(script, start_service().url, tmp_path)
    assert '"verdict":"rejected"' in printed
    assert '"verified":true' in printed


def page_paths(app):
    rules = app.url_map.iter_rules()
    return {rule.rule for rule in rules if rule.endpoint.startswith(f"{PAGES}.")}


def test_document_describes_every_route(live, document):
    assert document["openapi"].startswith("3.1")
    tags = [tag["name"] for tag in document["tags"]]
    assert len(tags) == len(set(tags))
    paths = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", r.rule) for r in live.app.url_map.iter_rules()}
    pages = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path) for path in page_paths(live.app)}
    hidden = ("/docs", "/openapi.json", "/metrics")
    assert set(document["paths"]) == {path for path in paths - pages if not path.startswith(hidden)}


@pytest.mark.parametrize("methods", [("GET", "POST"), ("POST", "GET")])
def test_nested_schema_is_one_component_whatever_the_order_of_the_views(methods):
    app = DocumentedApp("items", docs_path=None)
    schemas = {"GET": ItemListOut, "POST": ItemOut}
    for method in methods:
        view = app.output(schemas[method])(dict)
        app.add_url_rule("/items", method, view, methods=[method])
    document = app.test_client().get("/openapi.json").get_json()
    components = document["components"]["schemas"]
    assert {name for name in components if name.startswith("Item")} == {"ItemOut", "ItemListOut"}
    response = document["paths"]["/items"]["post"]["responses"]["200"]
    schema = response["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/ItemOut"}


def test_introduction_has_every_error_code(document):
    for code, problem_type in PROBLEM_TYPES.items():
        assert f"| `{code}` | {problem_type.status} |" in document["info"]["description"]


def test_document_has_its_server(document):
    assert [server["url"] for server in document["servers"]] == ["/"]


def test_password_flow_returns_a_working_token(document, client, user):
    flow = document["components"]["securitySchemes"]["password"]["flows"]["password"]
    form = {"grant_type": "password", "username": user.email, "password": user.password}
    tokens = client.post(flow["tokenUrl"], data=form, auth=("", "")).json()
    assert tokens["token_type"] == "bearer"
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert client.post(flow["refreshUrl"], data=form).status_code == 200


def test_operations_with_authentication_accept_tokens_and_some_accept_keys(operations):
    choices = [[*map(list, o["security"])] for o in operations if "security" in o]
    tokens, keys = [["accessToken"], ["password"]], [["apiKey"], ["apiKeyAuthorization"]]
    assert {len(choice) for choice in choices} == {2, 4}
    assert all(choice in (tokens, [tokens[0], *keys, tokens[1]]) for choice in choices)


def test_operation_names_the_scope_that_a_key_needs(document):
    [scan] = [c for c in document["paths"]["/api/v1/scan"]["post"]["security"] if "apiKey" in c]
    assert scan == {"apiKey": ["scan"]}
    assert document["components"]["securitySchemes"]["apiKey"]["name"] == "X-API-Key"


def test_responses_allow_unknown_fields_and_requests_do_not(document):
    closed = {
        name
        for name, schema in document["components"]["schemas"].items()
        if schema.get("additionalProperties") is False
    }
    assert {"ScanIn", "RegisterIn", "JudgementIn"} <= closed
    assert not [name for name in closed if name.endswith("Out")]


def test_path_parameters_are_described_and_ids_are_uuids(operations):
    parameters = {
        p["name"]: p for o in operations for p in o.get("parameters", []) if p["in"] == "path"
    }
    assert {"scan_id", "n", "feedback_id"} <= set(parameters)
    undescribed = [name for name, p in parameters.items() if "description" not in p]
    assert not undescribed, f"add {undescribed} to PATH_PARAMETERS in service/api/http/openapi.py"
    assert {
        p["schema"].get("format") for name, p in parameters.items() if name.endswith("_id")
    } == {"uuid"}
    assert parameters["n"]["schema"]["minimum"] == 1


def test_multipart_comes_first_without_an_example_text(document):
    content = document["paths"]["/api/v1/scan"]["post"]["requestBody"]["content"]
    name = content["multipart/form-data"]["schema"]["$ref"].rsplit("/", 1)[-1]
    assert next(iter(content)) == "multipart/form-data"
    assert not document["components"]["schemas"][name]["properties"]["text"]["example"]


def names_of_headers(operation):
    """Return the names of an operation's header parameters; a star marks those that it needs."""
    headers = [p for p in operation["parameters"] if p["in"] == "header"]
    return {p["name"] + "*" * p["required"] for p in headers}


@pytest.mark.parametrize(
    ("operation", "names"),
    [
        ("get /api/v1/settings", {"If-None-Match"}),
        ("put /api/v1/settings", {"If-Match"}),
        ("patch /api/v1/risks/{risk_id}", {"If-Match*"}),
        ("delete /api/v1/courses/{course_id}", {"If-Match"}),
        ("post /api/v1/scan", {"Idempotency-Key", "Prefer"}),
        ("post /api/v1/sessions/{session_id}/scan", {"Idempotency-Key", "Prefer"}),
        ("get /api/v1/documents/{document_id}/original", {"If-None-Match", "Range", "If-Range"}),
        ("get /api/v1/webhooks/{webhook_id}", set()),
    ],
)
def test_header_is_a_parameter_of_the_operations_that_read_it(document, operation, names):
    method, path = operation.split()
    assert names_of_headers(document["paths"][path][method]) == names


def test_header_parameter_brings_its_responses(operations):
    added = {"If-None-Match": {"304"}, "If-Match": {"412"}, "If-Match*": {"412", "428"}}
    added |= {"Range": {"206", "416"}, "Prefer": {"202"}}
    for operation in operations:
        for name in names_of_headers(operation):
            assert added.get(name, set()) <= operation["responses"].keys()


def test_missing_if_match_is_refused_wherever_the_document_requires_it(document, admin):
    needed = [
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "If-Match*" in names_of_headers(operation)
    ]
    answers = [admin.http.request(m, path.format_map(ANY), json={}) for m, path in needed]
    assert [answer.status_code for answer in answers] == [428] * len(needed)
    assert len(needed) >= 3


def test_missing_body_is_refused_wherever_the_document_requires_one(document, admin):
    required = [
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation.get("requestBody", {}).get("required")
    ]
    statuses = {
        (method, path): admin.http.request(method, path.format_map(ANY)).status_code
        for method, path in required
    }
    for path in (
        "/api/v1/sessions/{session_id}/files",
        "/api/v1/courses/{course_id}/files",
        "/api/v1/risks/import",
    ):
        assert statuses.pop(("post", path)) == 415
    assert statuses == dict.fromkeys(statuses, 400)
    assert len(statuses) > 10


def test_client_that_accepts_only_the_media_type_of_a_download_gets_no_406(document, admin):
    downloads = [
        (method, path, media_type)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for media_type in operation["responses"].get("200", {}).get("content", {})
        if media_type != "application/json"
    ]
    answers = {
        (method, path, media_type): admin.http.request(
            method, path.format_map(ANY), headers={"Accept": media_type}
        )
        for method, path, media_type in downloads
    }
    refused = [download for download, answer in answers.items() if answer.status_code == 406]
    assert not refused, f"add {refused} to CONTENT_PATHS in service/api/http/downloads.py"
    assert len(downloads) > 10
