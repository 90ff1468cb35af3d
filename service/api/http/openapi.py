"""The OpenAPI document: introduction, log-in schemes, and what all operations have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

from apiflask import APIFlask
from apispec import APISpec
from apispec.ext.marshmallow.common import make_schema_key, resolve_schema_instance
from flask import Response

from service.api.http.bodies import BODY_TYPES, REPORT_PART
from service.api.http.key_scopes import describe_scopes
from service.api.http.problem_document import MEDIA_TYPE
from service.api.http.request_headers import describe_headers
from service.api.http.response_headers import REVALIDATE, etagged
from service.api.http.taxonomy_names import with_names
from service.api.schemas.problems import ProblemOut
from service.config.documentation import error_table
from service.nlp.taxonomy import Taxonomy

_ALWAYS = {"400": "The request is not valid", "406": "Not acceptable", "500": "Internal error"}
_UNAVAILABLE = {"503": "Temporarily unavailable; see Retry-After"}
_WITH_BODY = {"413": "Larger than this service accepts", "415": "Unsupported type of body or file"}
_EXAMPLE = "Project has tight budget and aggressive deadline"
_REF = "#/components/schemas/"
_ONE_FILE = {"schema": {"$ref": f"{_REF}FileIn"}}
"""The body of an upload, which no JSON can accompany."""
_PASSWORD_FLOW = {
    "type": "oauth2",
    "description": "The e-mail address is the username; leave the client fields empty.",
    "flows": {
        "password": {
            "tokenUrl": "/api/v1/auth/login",
            "refreshUrl": "/api/v1/auth/refresh",
            "scopes": {},
        }
    },
}
PATH_PARAMETERS = {
    "batch_id": "Id of one of the caller's batches: its `id` in the list of batches.",
    "scan_id": "Id of a scan: `scan_id` in the response to POST /api/v1/scan and in the list of scans.",
    "document_id": "Id of a document: its `id` in the list of documents, `document_id` in a scan.",
    "n": "Number of a finding within its scan, from 1: its `id` in the list of findings.",
    "session_id": "Id of one of the caller's sessions: its `id` in the list of sessions.",
    "file_id": "Id of a file in the session: its `id` in the list of files.",
    "login_id": "Id of one of the caller's log-ins: its `id` in the list of log-ins.",
    "user_id": "Id of an account: its `id` in the list of accounts.",
    "block_id": "Id of a block: its `id` in the list of blocks.",
    "risk_id": "Id of a risk: its `id` in the list of risks.",
    "team_id": "Id of a team: its `id` in the list of teams.",
    "webhook_id": "Id of one of the caller's webhooks: its `id` in the list of webhooks.",
    "delivery_id": "Id of a delivery of the webhook: its `id` in the list of deliveries.",
    "course_id": "Id of a course: its `id` in the list of courses.",
    "lesson_id": "Id of a lesson: its `id` in the list of the course's lessons.",
    "course_file_id": "Id of a file of the course: its `id` in the list of the course's files.",
    "enrolment_id": "Id of an enrolment: its `id` in the list of enrolments.",
    "key_id": "Id of one of the caller's API keys: its `id` in the list of keys.",
    "feedback_id": "Id of the caller's own verdict or report: its `id` in the list of feedback.",
}
_INTRODUCTION = """\
Riskscan reads documents and returns the sentences that state a risk, each with its type and place.

## From an account to the findings

```
H=http://localhost:8000
field() { sed "s/.*\\"$1\\": *\\"//; s/\\".*//"; }
curl -X POST $H/api/v1/auth/register -H 'Content-Type: application/json' \\
     -d '{"email":"test@test.com","password":"test123"}'
T=$(curl -s $H/api/v1/auth/login -d 'username=test@test.com' -d 'password=test123' | field access_token)
ID=$(curl -s $H/api/v1/scan -H "Authorization: Bearer $T" -F 'text=%s' | field scan_id)
curl $H/api/v1/scans/$ID/findings -H "Authorization: Bearer $T"
```

On this page, **Authorize** logs in with the same address and password. An access token is valid for
`expires_in` seconds; `POST /api/v1/auth/refresh` exchanges the refresh token for a new pair. If
registration is closed (403), an administrator creates the account. Machines use API keys in place of
tokens: create one with `POST /api/v1/auth/keys`, and send it as `X-API-Key`.

- `/api/...` is an alias of `/api/v1/...`.
- `POST /api/v1/scan` stores the scan; `POST /scan` is for services and stores nothing.
- `GET /api/v1/taxonomy` lists the categories and risk types. Filters and verdicts accept key or title.
- Send the `ETag` of a response as `If-None-Match`: 304 means that the resource has not changed.

## Errors

Every error is an `application/problem+json` document (RFC 9457). Its `code` is stable, its `detail`
names the remedy, `errors` lists every faulty field, and the log has its `request_id`.

"""


class DocumentedApp(APIFlask):
    """An APIFlask whose document has one component for each schema, whatever the order of the views."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a view or hook as it is: none is a coroutine, and looking 17 times a request costs 4 %."""
        return func

    def _register_schema_and_get_ref(
        self,
        spec: APISpec,
        registered_schema_classes: dict[int, str],
        schema_obj: Any,  # noqa: ANN401 - APIFlask's
    ) -> dict[str, str]:
        # APIFlask overlooks the component that apispec added where an earlier view's schema nests this one.
        components: dict[Any, str] = self._ma_plugin.converter.refs  # type: ignore[union-attr]  # set by now
        name = components.get(make_schema_key(resolve_schema_instance(schema_obj)))
        if name is not None:
            return {"$ref": _REF + name}
        return super()._register_schema_and_get_ref(spec, registered_schema_classes, schema_obj)


def register(app: APIFlask, taxonomy: Callable[[], Taxonomy]) -> None:
    """Configure how APIFlask generates the document; it lists the names of the current `taxonomy`."""
    app.config.update(
        VALIDATION_ERROR_STATUS_CODE=400,
        VALIDATION_ERROR_SCHEMA=ProblemOut,
        HTTP_ERROR_SCHEMA=ProblemOut,
        AUTO_SERVERS=False,
        AUTO_OPERATION_ID=True,
    )

    def complete(spec: dict[str, Any]) -> dict[str, Any]:
        describe_scopes(spec, app)
        describe_headers(spec, app)
        return complete_document(spec)

    app.spec_processor(complete)  # type: ignore[arg-type]  # a dict, since SPEC_FORMAT is json
    # APIFlask registers this view before the application can configure it.
    generate = app.view_functions["openapi.spec"]

    def served_document() -> Response:
        response = cast("Response", generate())
        response.set_data(json.dumps(with_names(response.get_json(), taxonomy())))
        return response

    app.view_functions["openapi.spec"] = etagged(REVALIDATE)(served_document)


def complete_document(spec: dict[str, Any]) -> dict[str, Any]:
    """Add to APIFlask's generated document what all operations have in common, and return it."""
    spec["info"]["description"] = _introduction()
    spec["servers"] = [{"url": "/", "description": "The service that served this document"}]
    spec["tags"] = list(
        {tag["name"]: tag for tag in spec["tags"]}.values()
    )  # several files may share a tag
    spec["components"]["securitySchemes"]["password"] = _PASSWORD_FLOW
    for operation in _operations(spec):
        _add_multipart(operation, spec)
        _add_problems(operation)
        _add_password_flow(operation)
        _describe_path_parameters(operation)
    _open_responses(spec)
    return spec


def _introduction() -> str:
    return _INTRODUCTION.replace("%s", _EXAMPLE) + error_table()


def _operations(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in spec["paths"].values():
        # APIFlask lists a path's parameters beside its operations.
        shared = path.pop("parameters", [])
        for operation in path.values():
            operation["parameters"] = [*map(dict, shared), *operation.get("parameters", [])]
            yield operation


def _add_multipart(operation: dict[str, Any], spec: dict[str, Any]) -> None:
    content = operation.get("requestBody", {}).get("content")
    if not content:
        return
    operation["requestBody"]["required"] = True
    schemas = spec["components"]["schemas"]
    if content.get("multipart/form-data") == _ONE_FILE:
        return
    if [*content] == ["application/x-www-form-urlencoded"]:
        operation["requestBody"]["content"] = _json_or_files(content, schemas)
    elif [*content] == ["multipart/form-data"]:
        operation["requestBody"]["content"] = _json_or_report(content, schemas)
    elif "application/x-www-form-urlencoded" in content:
        body = content["application/json"]
        fields_alone = _fields_alone(body, schemas)
        # Swagger UI preselects the first type, and only multipart accepts files.
        operation["requestBody"]["content"] = {
            kind: body if kind == "multipart/form-data" else fields_alone for kind in BODY_TYPES
        }


def _json_or_files(content: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a view that reads a form with fields and files, or JSON that names stored files."""
    name = content["application/x-www-form-urlencoded"]["schema"]["$ref"].removeprefix(_REF)
    of_form, of_json = {"file", "archive"}, {"session", "file_ids"}
    bodies = {"multipart/form-data": of_json, "application/json": of_form}
    described = {}
    for (kind, left_out), suffix in zip(bodies.items(), ("Form", "Json"), strict=True):
        properties = {k: v for k, v in schemas[name]["properties"].items() if k not in left_out}
        schemas[name + suffix] = {**schemas[name], "properties": properties}
        described[kind] = {"schema": {"$ref": f"{_REF}{name}{suffix}"}}
    schemas[f"{name}Json"]["required"] = ["session"]
    return described


def _json_or_report(content: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a view that reads JSON, or a form with a JSON part and a file."""
    name = content["multipart/form-data"]["schema"]["$ref"].removeprefix(_REF)
    alone = {"$ref": _REF + _without_file(name, schemas)}
    form = {
        "type": "object",
        "properties": {REPORT_PART: alone, "file": schemas[name]["properties"]["file"]},
        "required": [REPORT_PART, "file"],
        "additionalProperties": False,
    }
    part = {"schema": form, "encoding": {REPORT_PART: {"contentType": "application/json"}}}
    return {"application/json": {"schema": alone}, "multipart/form-data": part}


def _fields_alone(body: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the body for types that cannot carry a file; it requires `text`."""
    name = body["schema"]["$ref"].removeprefix(_REF)
    if "file" not in schemas[name]["properties"]:
        return body
    copy = _without_file(name, schemas)
    text = schemas[copy]["properties"]["text"]
    if "file_id" in schemas[copy]["properties"]:
        schemas[copy]["properties"].pop("session")
        schemas[copy]["oneOf"] = [{"required": ["text"]}, {"required": ["file_id"]}]
    else:
        schemas[copy]["required"] = ["text"]
    schemas[copy]["properties"]["text"] = {**text, "example": _EXAMPLE}
    # Swagger UI sends examples, so a text would accompany the chosen file.
    schemas[name]["properties"]["text"]["example"] = ""
    return {"schema": {"$ref": _REF + copy}}


def _without_file(name: str, schemas: dict[str, Any]) -> str:
    """Add a copy of a schema without its file, and return the name of the copy."""
    copy = f"{name}WithoutFile"
    properties = {k: v for k, v in schemas[name]["properties"].items() if k != "file"}
    schemas[copy] = {**schemas[name], "properties": properties}
    return copy


def _add_problems(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    expected = _ALWAYS | _UNAVAILABLE | (_WITH_BODY if "requestBody" in operation else {})
    for status, description in expected.items():
        responses.setdefault(status, {"description": description})
    for status, response in responses.items():
        if status >= "400":
            response["content"] = {MEDIA_TYPE: {"schema": {"$ref": f"{_REF}ProblemOut"}}}


def _add_password_flow(operation: dict[str, Any]) -> None:
    if any("accessToken" in choice for choice in operation.get("security", [])):
        operation["security"] = [*operation["security"], {"password": []}]


def _describe_path_parameters(operation: dict[str, Any]) -> None:
    for parameter in operation["parameters"]:
        if parameter["in"] != "path":
            continue
        name = parameter["name"]
        if name in PATH_PARAMETERS:
            parameter["description"] = PATH_PARAMETERS[name]
        if name.endswith("_id"):
            parameter["schema"] = {"type": "string", "format": "uuid"}
        else:
            parameter["schema"] = {**parameter["schema"], "minimum": 1}


def _open_responses(spec: dict[str, Any]) -> None:
    """Allow unknown fields in responses, so that generated clients accept later versions."""
    schemas = spec["components"]["schemas"]
    requested: set[str] = set()
    for operation in _operations(spec):
        for body in operation.get("requestBody", {}).get("content", {}).values():
            requested |= set(_schema_names(body, schemas))
    for name in schemas.keys() - requested:
        schemas[name].pop("additionalProperties", None)


def _schema_names(node: object, schemas: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the schemas that a part of the document refers to, directly or indirectly."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value.removeprefix(_REF)
                yield from _schema_names(schemas[value.removeprefix(_REF)], schemas)
            else:
                yield from _schema_names(value, schemas)
    elif isinstance(node, list):
        for item in node:
            yield from _schema_names(item, schemas)
