"""The error tree: one stable code each, one table from code to HTTP status. Imports nothing of ours.

RiskscanError
├── InvalidRequest            the caller's input is wrong; lists every faulty field
├── UnreadableDocument        a file that is damaged, encrypted, empty or not what it claims to be
├── Unauthenticated           no valid token
├── Forbidden                 the role does not allow it
├── NotFound                  no such object, or another user's
├── NotAcceptable             the caller accepts no media type that is written
├── Conflict                  the state or an earlier request contradicts this one
├── TooLarge                  a limit is exceeded; names the limit
├── UnsupportedMediaType      a body or document type that is not read; names those that are
├── RateLimited               the caller's quota is used up
├── AnalyzerError             the LLM or AI service answered with an error or with nonsense
├── Unavailable               something that comes back by itself; carries Retry-After
│   ├── AnalyzerUnavailable   no analyzer configured or reachable
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
    "analyzer_error": 502,
    "analyzer_unavailable": 503,
    "analyzer_timeout": 503,
    "overloaded": 503,
    "database_unavailable": 503,
    "not_ready": 503,
    "shutting_down": 503,
}


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


class AnalyzerError(RiskscanError):
    code = "analyzer_error"


class Unavailable(RiskscanError):
    """Something that comes back by itself; `retry_after_s` (seconds) is always set."""

    code = "overloaded"
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
