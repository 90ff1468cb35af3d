"""`Prefer: respond-async` (RFC 7240): the answer 202 with the batch that takes the place of a result."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Response, jsonify, request

from db.tables import Batch
from service.api.http.rate_limits import limit_documents
from service.api.http.request_headers import RequestHeader, reads
from service.api.schemas.batches import BatchOut

PREFERENCE = "respond-async"
PREFER = RequestHeader(
    "Prefer",
    f"With `{PREFERENCE}` (RFC 7240) the answer is 202 with a batch, which workers scan without the time "
    "limit of a request.",
    answers={
        "202": {
            "description": "The batch that takes the place of the result",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/BatchOut"}}},
        }
    },
)
View = TypeVar("View", bound=Callable[..., Any])


def prefers_async() -> bool:
    """Return whether the caller wants to poll for the result instead of waiting for it."""
    preferences = ",".join(request.headers.getlist("Prefer")).split(",")
    return any(p.partition(";")[0].strip().lower() == PREFERENCE for p in preferences)


def limit_immediate_documents(view: View) -> View:
    """Do as `limit_documents`, but for deferred scans, which are counted when they run."""
    limited = limit_documents(view)

    @wraps(view)
    def choose(**arguments: Any) -> Any:  # noqa: ANN401 - any view's
        return (view if prefers_async() else limited)(**arguments)

    return reads(PREFER)(choose)  # type: ignore[return-value]  # wraps keeps the signature


def accepted(batch: Batch) -> Response:
    """Return the answer to a request whose documents now wait in a batch."""
    response = jsonify(BatchOut().dump(batch))
    response.status_code = 202
    response.headers["Location"] = f"/api/v1/batches/{batch.id}"
    response.headers["Preference-Applied"] = PREFERENCE
    return response
