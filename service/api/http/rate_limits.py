"""Rate limits as decorators of views; put them last, so that only valid requests count."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from service.api.current import services
from service.api.http.authentication import auth, caller_key, current_user
from service.api.http.quotas import spend

_DOCUMENTS = ("file", "text", "file_id", "document_id")
View = TypeVar("View", bound=Callable[..., Any])


def limit_logins(action: str) -> Callable[[View], View]:
    """Count calls against LOGIN_RATE_LIMIT, for each caller and action."""

    def decorate(view: View) -> View:
        @wraps(view)
        def limited(**arguments: Any) -> Any:  # noqa: ANN401 - any view's
            spend(services().login_quota, f"{action} {caller_key()}")
            return view(**arguments)

        return limited  # type: ignore[return-value]  # wraps keeps the signature

    return decorate


def limit_documents(view: View) -> View:
    """Count calls that send or name a document against the account's SCAN_RATE_LIMIT.

    Callers without a token, whom only AI_SERVICE_OPEN admits, have no limit. A request that is repeated with
    the Idempotency-Key of a stored scan scans nothing, so it does not count.
    """

    @wraps(view)
    def limited(**arguments: Any) -> Any:  # noqa: ANN401 - any view's
        given = {**arguments, **arguments["body"]}
        has_document = any(given.get(name) is not None for name in _DOCUMENTS)
        if has_document and auth.current_user is not None and not _is_repeated(arguments):
            spend(services().scan_quota, caller_key())
        return view(**arguments)

    return limited  # type: ignore[return-value]  # wraps keeps the signature


def _is_repeated(arguments: dict[str, Any]) -> bool:
    key = arguments.get("headers", {}).get("idempotency_key")
    return key is not None and services().scans.has_key(current_user().id, key)
