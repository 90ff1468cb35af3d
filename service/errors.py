"""The error tree: one stable code each, one table from code to HTTP status. Imports nothing of ours.

RiskscanError
├── InvalidRequest            the caller's input is wrong; lists every faulty field
├── UnreadableDocument        a file that is damaged, encrypted, empty or not what it claims to be
├── Unauthenticated           no valid token
├── Forbidden                 the role does not allow it, or registration is closed
├── NotFound                  no such object, or another user's
├── NotAcceptable             the caller accepts no media type that the service writes
├── Conflict                  the state or an earlier request contradicts this one
├── TooLarge                  a limit is exceeded; names the limit
├── UnsupportedMediaType      an unsupported body or document type; names the supported ones
├── RateLimited               the caller's quota is used up
├── NotConfigured             the operator has not set up what this request needs; names the setting
├── UnsupportedHttpVersion    a version of HTTP other than 1.0 and 1.1
├── AnalyzerError             the LLM or AI service answered with an error or with nonsense
├── Unavailable               a temporary failure; carries Retry-After
│   ├── AnalyzerUnavailable   the analyzer is not reachable
│   ├── AnalyzerTimeout       the analysis did not end in time
│   ├── Overloaded            too much work is waiting
│   ├── DatabaseUnavailable   the database does not answer
│   ├── NotReady              the readiness check: something that a scan needs is missing
│   └── ShuttingDown          the process is draining
└── StartupError              never reaches HTTP: the process says what to do and stops
    ├── ConfigError           settings are missing or wrong; lists all of them
    └── ArtifactError         the model artifact is missing, altered, or fails its proof
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

HTTP_STATUS: dict[str, int] = {
    "invalid_request": 400,
    "unreadable_document": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "conflict": 409,
    "too_large": 413,
    "unsupported_media_type": 415,
    "rate_limited": 429,
    "internal_error": 500,
    "not_configured": 501,
    "analyzer_error": 502,
    "analyzer_unavailable": 503,
    "analyzer_timeout": 503,
    "overloaded": 503,
    "database_unavailable": 503,
    "not_ready": 503,
    "shutting_down": 503,
    "unsupported_http_version": 505,
}
MEANINGS: dict[str, str] = {
    "invalid_request": "The request is wrong; `errors` lists every faulty field.",
    "unreadable_document": "The file is damaged, encrypted, empty, or not what its name says.",
    "unauthenticated": "No valid token; log in or refresh. Carries `WWW-Authenticate`.",
    "forbidden": "The role does not allow it, or registration is closed.",
    "not_found": "No such address or object, or it is another user's.",
    "method_not_allowed": "The address takes other methods; see `Allow`.",
    "not_acceptable": "`Accept` excludes JSON.",
    "conflict": (
        "The e-mail address is taken, the password was changed meanwhile, the Idempotency-Key was used "
        "with other content, or the model may not be deployed; the detail says which."
    ),
    "too_large": "A limit is exceeded; the detail names the setting.",
    "unsupported_media_type": "A body or file type that is not read; the detail names those that are.",
    "rate_limited": (
        "The caller's quota, the caller's share of the document readers, or the limit on requests in "
        "progress from one address is used up. Carries `Retry-After`."
    ),
    "internal_error": "Our fault; the log has the `request_id`.",
    "not_configured": (
        "The operator has not set up what the request needs, such as an LLM for "
        "`force_llm`; the detail names the setting."
    ),
    "analyzer_error": (
        "The LLM or AI service failed or answered nonsense; its message is passed on."
    ),
    "analyzer_unavailable": (
        "The model, LLM or AI service is not reachable; the detail names the setting. "
        "`Retry-After`."
    ),
    "analyzer_timeout": (
        "The scan took longer than `AI_TIMEOUT_S`; nothing was stored. Split the document, or raise the "
        "setting and the proxy's time-out together. `Retry-After`."
    ),
    "overloaded": "Too much work is waiting, or the proxy gets no answer. `Retry-After`.",
    "database_unavailable": (
        "The database does not answer or cannot be written, as `detail` says; nothing was stored. "
        "`Retry-After`."
    ),
    "not_ready": "`/health/ready` only: `errors` says what is missing. `Retry-After`.",
    "shutting_down": "The process is draining; ask another or again. `Retry-After`.",
    "unsupported_http_version": "The request uses an HTTP version other than 1.1 and 1.0.",
}
"""What each code means, in Markdown; README and the OpenAPI document show these sentences."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One faulty field of a request or one faulty setting, with a sentence that says the remedy."""

    field: str
    message: str


class RiskscanError(Exception):
    """Base of every error that this project raises on purpose.

    `message` is shown to the caller, so it never holds secrets, document text or internals.
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
        return HTTP_STATUS[self.code]


class InvalidRequest(RiskscanError):
    code = "invalid_request"


class UnreadableDocument(RiskscanError):
    code = "unreadable_document"


class Unauthenticated(RiskscanError):
    code = "unauthenticated"


class Forbidden(RiskscanError):
    code = "forbidden"


class NotFound(RiskscanError):
    code = "not_found"


class NotAcceptable(RiskscanError):
    code = "not_acceptable"


class Conflict(RiskscanError):
    code = "conflict"


class TooLarge(RiskscanError):
    code = "too_large"


class UnsupportedMediaType(RiskscanError):
    code = "unsupported_media_type"


class RateLimited(RiskscanError):
    code = "rate_limited"


class NotConfigured(RiskscanError):
    """Only the operator can fix this, so it carries no Retry-After; the message names the setting."""

    code = "not_configured"


class UnsupportedHttpVersion(RiskscanError):
    code = "unsupported_http_version"


class AnalyzerError(RiskscanError):
    code = "analyzer_error"


class Unavailable(RiskscanError):
    """Base of temporary failures; `retry_after_s` (seconds) is always set. Raise a subclass."""

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


class NotReady(Unavailable):
    code = "not_ready"


class ShuttingDown(Unavailable):
    code = "shutting_down"


class StartupError(RiskscanError):
    """Stops the process at start-up with a sentence that says what to do."""


class ConfigError(StartupError):
    """Settings that are missing or wrong, all of them in `faults`."""


class ArtifactError(StartupError):
    """The model artifact is missing, was altered, or does not reproduce its golden scores."""
