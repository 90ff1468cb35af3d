"""The OpenAPI document and its page: problem+json on every operation, nothing from the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask_swagger_ui
from apiflask import APIFlask
from flask import Response, send_from_directory

from service.problem_document import MEDIA_TYPE
from service.schemas import ProblemOut

_ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
_EVERYWHERE = {"400": "The request is not valid", "406": "Not acceptable", "500": "Internal error"}
_AWAY = {"503": "Something is away for now; see Retry-After"}
_WITH_BODY = {"413": "Larger than this service takes", "415": "A kind of body that is not read"}


def register(app: APIFlask) -> None:
    """Set what APIFlask's document and /docs page are made of."""
    app.config.update(
        VALIDATION_ERROR_STATUS_CODE=400,
        VALIDATION_ERROR_SCHEMA=ProblemOut,
        HTTP_ERROR_SCHEMA=ProblemOut,
        AUTO_SERVERS=False,
        AUTO_OPERATION_ID=True,
        SWAGGER_UI_BUNDLE_JS="/docs/assets/swagger-ui-bundle.js",
        SWAGGER_UI_CSS="/docs/assets/swagger-ui.css",
        SWAGGER_UI_STANDALONE_PRESET_JS="/docs/assets/swagger-ui-standalone-preset.js",
        DOCS_FAVICON="/docs/assets/favicon-32x32.png",
    )
    app.spec_processor(complete)  # type: ignore[arg-type]  # a dict, since SPEC_FORMAT is json

    @app.get("/docs/assets/<path:name>")
    @app.doc(hide=True)
    def docs_asset(name: str) -> Response:
        return send_from_directory(_ASSETS, name, max_age=86_400)


def complete(spec: dict[str, Any]) -> dict[str, Any]:
    """Add to each operation what holds for all: the multipart body and the errors of the edge."""
    spec["tags"] = list({tag["name"]: tag for tag in spec["tags"]}.values())  # two files share one
    for path in spec["paths"].values():
        for operation in path.values():
            _add_multipart(operation, spec)
            _add_problems(operation)
    return spec


def _add_multipart(operation: dict[str, Any], spec: dict[str, Any]) -> None:
    content = operation.get("requestBody", {}).get("content")
    if not content:
        return
    operation["requestBody"]["required"] = True
    if "application/x-www-form-urlencoded" not in content:
        return  # a view that reads JSON alone
    body = content["application/json"]
    content["multipart/form-data"] = body
    name = body["schema"]["$ref"].rsplit("/", 1)[-1]
    if "file" in spec["components"]["schemas"][name]["properties"]:
        for media_type in ("application/json", "application/x-www-form-urlencoded"):
            content[media_type] = {"schema": _without_file(spec, name)}


def _without_file(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the reference to a copy of the schema for bodies that cannot carry a file."""
    copy = f"{name}WithoutFile"
    schema = dict(spec["components"]["schemas"][name])
    schema["properties"] = {k: v for k, v in schema["properties"].items() if k != "file"}
    schema["required"] = ["text"]
    spec["components"]["schemas"][copy] = schema
    return {"$ref": f"#/components/schemas/{copy}"}


def _add_problems(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    due = _EVERYWHERE | _AWAY | (_WITH_BODY if "requestBody" in operation else {})
    for status, description in due.items():
        responses.setdefault(status, {"description": description})
    for status, response in responses.items():
        if status >= "400":
            response["content"] = {
                MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}
            }
