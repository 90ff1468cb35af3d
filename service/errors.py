"""Error classes, and the table of problem types that gives each code its status, title and meaning.

Imports nothing of ours.

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
├── PreconditionRequired        the change needs If-Match
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
│   ├── StorageUnavailable      the disk is full, or stored bytes cannot be read
│   ├── NotReady                the readiness check failed
│   └── ShuttingDown            the process is stopping
└── StartupError                the process cannot start; never reaches HTTP
    ├── ConfigError             settings are missing or invalid; lists all of them
    └── ArtifactError           the model artifact is missing, altered, or fails its self-test
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple


class ProblemType(NamedTuple):
    """A problem type of RFC 9457: HTTP status, title, and meaning in Markdown."""

    status: int
    title: str
    meaning: str


PROBLEM_TYPES: dict[str, ProblemType] = {
    "invalid_request": ProblemType(
        400,
        "The request is not valid",
        "The request is invalid. `errors` lists every faulty field.",
    ),
    "unreadable_document": ProblemType(
        400,
        "The document cannot be read",
        "The file is damaged, encrypted, empty, or not of the type that its name claims.",
    ),
    "unauthenticated": ProblemType(
        401,
        "Authentication is needed",
        "The request has no valid token or API key. Log in or refresh. The response carries "
        "`WWW-Authenticate`.",
    ),
    "forbidden": ProblemType(
        403,
        "Not allowed",
        "The caller's role or the scope of the API key does not allow this, or registration is closed.",
    ),
    "address_blocked": ProblemType(
        403,
        "Requests from this address are blocked",
        "An administrator blocked the client's address or its network.",
    ),
    "https_required": ProblemType(
        403,
        "HTTPS is required",
        "The request came by plain HTTP, which the service in production answers only on its own "
        "machine. Use the proxy's https:// address.",
    ),
    "not_found": ProblemType(
        404,
        "Not found",
        "The path or the object does not exist, or the object belongs to another user.",
    ),
    "method_not_allowed": ProblemType(
        405,
        "Method not allowed",
        "The path does not support this method. `Allow` lists the methods that it supports.",
    ),
    "not_acceptable": ProblemType(
        406,
        "Not acceptable",
        "The `Accept` header excludes JSON.",
    ),
    "conflict": ProblemType(
        409,
        "Conflict",
        "The request conflicts with stored data, such as a taken e-mail address or an Idempotency-Key that "
        "was used with other content. `detail` says what conflicts.",
    ),
    "precondition_failed": ProblemType(
        412,
        "The object has changed",
        "The object was changed after the response whose `ETag` the request sent as `If-Match`. Get it "
        "again, and repeat the change.",
    ),
    "precondition_required": ProblemType(
        428,
        "If-Match is required",
        "The change needs the object's `ETag` as `If-Match`, so that it does not undo the change of somebody "
        "else.",
    ),
    "too_large": ProblemType(
        413,
        "Too large",
        "The input exceeds a limit. `detail` names the setting.",
    ),
    "unsupported_media_type": ProblemType(
        415,
        "Unsupported media type",
        "The service does not read this type of body or file. `detail` lists the types that it reads.",
    ),
    "range_not_satisfiable": ProblemType(
        416,
        "The range is not in the file",
        "The requested `Range` begins after the end of the file. `Content-Range` states the file's size.",
    ),
    "rate_limited": ProblemType(
        429,
        "Quota used up",
        "The caller exceeded a quota: requests per time, share of the document readers, or concurrent "
        "requests from one address. The response carries `Retry-After`.",
    ),
    "llm_budget_used": ProblemType(
        429,
        "The LLM's tokens of the day are used up",
        "The scans with `force_llm` of this user have used `LLM_DAILY_TOKENS`. `Retry-After` says when "
        "the next day (UTC) begins; without `force_llm` the model answers.",
    ),
    "internal_error": ProblemType(
        500,
        "Internal error",
        "The service failed unexpectedly. The log has the `request_id`.",
    ),
    "worker_lost": ProblemType(
        500,
        "The workers ended while they scanned this document",
        "Only items of batches have this. Each worker that scanned the document ended before it had a "
        "result, so the service does not try again by itself.",
    ),
    "not_configured": ProblemType(
        501,
        "Not configured here",
        "The operator has not configured what the request needs, such as an LLM for `force_llm`. "
        "`detail` names the setting.",
    ),
    "analyzer_error": ProblemType(
        502,
        "The analyzer failed",
        "The LLM or AI service returned an error or an invalid answer. `detail` quotes its message.",
    ),
    "analyzer_unavailable": ProblemType(
        503,
        "The analyzer is not available",
        "The model, LLM or AI service cannot be reached. `detail` names the setting. The response "
        "carries `Retry-After`.",
    ),
    "analyzer_timeout": ProblemType(
        503,
        "The analysis took too long",
        "The scan took longer than `AI_TIMEOUT_S`, and nothing was stored. Send it with the header "
        "`Prefer: respond-async`, split the document, or raise the setting and the proxy's timeout together. "
        "The response carries `Retry-After`.",
    ),
    "overloaded": ProblemType(
        503,
        "Too much work is waiting",
        "Too many requests are waiting, or the proxy gets no answer. The response carries `Retry-After`.",
    ),
    "sso_unavailable": ProblemType(
        503,
        "Single sign-on is not available",
        "The OpenID Connect provider does not answer, or its answer is not usable. `detail` says which. The "
        "response carries `Retry-After`.",
    ),
    "database_unavailable": ProblemType(
        503,
        "The database is not available",
        "The database does not answer or rejects writes. `detail` says which, and whether the change may "
        "have been stored. The response carries `Retry-After`.",
    ),
    "storage_unavailable": ProblemType(
        503,
        "The storage is not available",
        "The disk of `DATA_DIR` is full or cannot be written, or stored bytes are missing. `detail` says "
        "which. The response carries `Retry-After`.",
    ),
    "not_ready": ProblemType(
        503,
        "Not ready",
        "Only `/health/ready` returns this. `errors` lists what is missing. The response carries "
        "`Retry-After`.",
    ),
    "shutting_down": ProblemType(
        503,
        "Shutting down",
        "The process is stopping. Retry, or use another instance. The response carries `Retry-After`.",
    ),
    "unsupported_http_version": ProblemType(
        505,
        "HTTP version not supported",
        "The request uses neither HTTP/1.0 nor HTTP/1.1.",
    ),
}


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


class UnreadableDocument(RiskscanError):
    code = "unreadable_document"


class Unauthenticated(RiskscanError):
    code = "unauthenticated"


class Forbidden(RiskscanError):
    code = "forbidden"


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
