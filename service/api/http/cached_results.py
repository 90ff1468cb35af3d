"""Answers a repeated read of the caller's own objects from the result cache."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from flask import Response, current_app, g, request

from service import __version__
from service.api.current import services
from service.api.http.authentication import current_user

View = TypeVar("View", bound=Callable[..., Any])
_KEPT_HEADERS = ("Link",)
_OWN = "shows_own_only"


def keep_if_own(owner_id: UUID) -> None:
    """Let the response be kept if the caller owns what it shows; without this call it is not kept."""
    setattr(g, _OWN, owner_id == current_user().id)


def cached_result(view: View) -> View:
    """Cache the response of a view if it is 200 and `keep_if_own` allows it.

    Place it below authentication and above `input` and `output`. The key consists of the caller, the path
    with its query, the serving model and the version of the service.
    """

    @functools.wraps(view)
    def respond(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any view's
        cache = services().result_cache
        if cache is None:
            return view(*args, **kwargs)
        key = _key()
        mark, kept = cache.get(key)
        if kept is not None:
            return _unpacked(kept)
        response = current_app.make_response(view(*args, **kwargs))
        if response.status_code == 200 and g.get(_OWN, False):
            cache.put(key, mark, _packed(response))
        return response

    return respond  # type: ignore[return-value]  # wraps keeps the signature


def _key() -> str:
    serving = services().analyzers.default
    model = f"{serving.model_name}/{serving.model_version}"
    parts = (__version__, model, str(current_user().id), request.full_path)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _packed(response: Response) -> bytes:
    headers = [(name, value) for name, value in response.headers if name in _KEPT_HEADERS]
    return json.dumps(headers).encode() + b"\n" + response.get_data()


def _unpacked(kept: bytes) -> Response:
    headers, _, body = kept.partition(b"\n")
    return Response(body, headers=json.loads(headers), content_type="application/json")
