"""Error classes. Their codes have a status, a title and a meaning in problem_types.py.

Imports nothing else of ours.

RiskscanError                   base class; its own code, internal_error, stands for an unexpected failure
├── InvalidRequest              the input is invalid; lists every faulty field
├── UnreadableDocument          the file is damaged, encrypted, empty, or not of the type it claims
├── Unauthenticated             the request has no valid token or API key
├── Forbidden                   the caller's role or the key's scope does not allow the request
├── AddressBlocked              an administrator blocked the client's address
├── HttpsRequired               the request came by plain HTTP, which production refuses
├── NotFound                    the object does not exist, or belongs to another user
├── MethodNotAllowed            the path does not support this HTTP method
├── NotAcceptable               the client does not accept JSON
├── Conflict                    the request conflicts with stored data or with an earlier request
├── PreconditionFailed          the object changed since the caller read it
├── PreconditionRequired        the request must name the version of the object that it changes
├── TooLarge                    the input exceeds a limit; names the limit
├── UnsupportedMediaType        the service does not read this type; lists those that it reads
├── RangeNotSatisfiable         the requested range begins after the end of the file
├── RateLimited                 the caller exceeded a quota
│   └── LlmBudgetUsed           the user's tokens of the day are used up
├── NotConfigured               the feature is not configured; names the setting
├── AnalyzerError               the LLM or AI service returned an error or an invalid answer
├── WorkerLost                  every worker that scanned the document ended before it had a result
├── UnsupportedHttpVersion      the request uses neither HTTP/1.0 nor HTTP/1.1
├── Unavailable                 a temporary failure; carries Retry-After
│   ├── AnalyzerUnavailable     the analyzer cannot be reached
│   ├── AnalyzerTimeout         the scan missed its deadline
│   ├── Overloaded              too many requests are waiting
│   ├── DatabaseUnavailable     the database does not answer
│   ├── SsoUnavailable          the single sign-on provider does not answer
│   ├── IndexerUnavailable      the index service does not answer
│   ├── StorageUnavailable      the disk is full, or stored bytes cannot be read
│   ├── NotReady                the readiness check failed
│   └── ShuttingDown            the process is stopping
└── StartupError                the process cannot start; never reaches HTTP
    ├── ConfigError             settings are missing or invalid; lists all of them
    └── ArtifactError           the model artifact is missing, altered, or fails its self-test
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from service.problem_types import PROBLEM_TYPES


@dataclass(frozen=True, slots=True)
class Fault:
    """One faulty field of a request, or one faulty setting; the message names the remedy."""

    field: str
    message: str


class RiskscanError(Exception):
    """Base of every error that this project raises on purpose.

    The caller sees `message`, so it never contains secrets, document text or internals.
    """

    code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        faults: tuple[Fault, ...] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.faults = faults
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        """HTTP status of this error's code."""
        return PROBLEM_TYPES[self.code].status


class InvalidRequest(RiskscanError):
    code = "invalid_request"

    @classmethod
    def with_faults(cls, outcome: str, faults: Sequence[Fault]) -> InvalidRequest:
        """Return an error whose message is the sentence `outcome`, then each field and its fault."""
        named = (f"{fault.field}: {fault.message}" for fault in faults)
        return cls(" ".join((outcome, *named)), faults=tuple(faults))


class UnreadableDocument(RiskscanError):
    code = "unreadable_document"


class Unauthenticated(RiskscanError):
    code = "unauthenticated"


class Forbidden(RiskscanError):
    code = "forbidden"

    @classmethod
    def for_role(cls, role: str, what: str, *, allowed: Iterable[str]) -> Forbidden:
        """Return the error for an account whose `role` is not among those `allowed` to do `what`."""
        return cls(
            f"Your role, {role}, does not allow {what}. These roles do: {', '.join(allowed)}. "
            "Ask an administrator."
        )


class AddressBlocked(RiskscanError):
    code = "address_blocked"


class HttpsRequired(RiskscanError):
    code = "https_required"


class NotFound(RiskscanError):
    code = "not_found"


class MethodNotAllowed(RiskscanError):
    code = "method_not_allowed"


class NotAcceptable(RiskscanError):
    code = "not_acceptable"


class Conflict(RiskscanError):
    code = "conflict"


class PreconditionFailed(RiskscanError):
    code = "precondition_failed"


class PreconditionRequired(RiskscanError):
    code = "precondition_required"


class TooLarge(RiskscanError):
    code = "too_large"


class UnsupportedMediaType(RiskscanError):
    code = "unsupported_media_type"


class RangeNotSatisfiable(RiskscanError):
    """`size_bytes` is the size of the file, which the response has to name."""

    code = "range_not_satisfiable"

    def __init__(self, message: str, *, size_bytes: int = 0) -> None:
        super().__init__(message)
        self.size_bytes = size_bytes


class RateLimited(RiskscanError):
    code = "rate_limited"


class LlmBudgetUsed(RateLimited):
    code = "llm_budget_used"


class NotConfigured(RiskscanError):
    """Only the operator can fix this, so there is no Retry-After; the message names the setting."""

    code = "not_configured"


class AnalyzerError(RiskscanError):
    code = "analyzer_error"


class WorkerLost(RiskscanError):
    code = "worker_lost"


class UnsupportedHttpVersion(RiskscanError):
    code = "unsupported_http_version"


class Unavailable(RiskscanError):
    """Base of temporary failures, which always set `retry_after_s`. Raise a subclass."""

    default_retry_after_s: ClassVar[int] = 5

    def __init__(
        self,
        message: str,
        *,
        faults: tuple[Fault, ...] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(
            message, faults=faults, retry_after_s=retry_after_s or self.default_retry_after_s
        )


class AnalyzerUnavailable(Unavailable):
    code = "analyzer_unavailable"
    default_retry_after_s = 30


class AnalyzerTimeout(Unavailable):
    code = "analyzer_timeout"
    default_retry_after_s = 30


class Overloaded(Unavailable):
    code = "overloaded"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"


class SsoUnavailable(Unavailable):
    code = "sso_unavailable"


class IndexerUnavailable(Unavailable):
    """Search goes on without the index service, so no response has this error, but records of calls have."""

    code = "indexer_unavailable"


class StorageUnavailable(Unavailable):
    code = "storage_unavailable"
    default_retry_after_s = 30


class NotReady(Unavailable):
    code = "not_ready"


class ShuttingDown(Unavailable):
    code = "shutting_down"


class StartupError(RiskscanError):
    """Stops the process at start-up; the message names the remedy."""


class ConfigError(StartupError):
    """Settings are missing or invalid; `faults` lists all of them."""


class ArtifactError(StartupError):
    """The model artifact is missing, altered, or does not reproduce its golden scores."""
