"""The problem types of RFC 9457 by code, each with its status, title and meaning.

Imports nothing of ours.
"""

from __future__ import annotations

from typing import NamedTuple


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
        "The caller's role, the scope of the API key or a setting (`REGISTRATION`, `PASSWORD_LOGIN`, "
        "`LLM_ROLES`) does not allow this. `detail` says which.",
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
        "The `Accept` header excludes JSON, or for a report every format.",
    ),
    "conflict": ProblemType(
        409,
        "Conflict",
        "The request conflicts with stored data, such as a taken e-mail address or an Idempotency-Key that "
        "was used with other content. `detail` says what conflicts.",
    ),
    "precondition_failed": ProblemType(
        412,
        "The object changed meanwhile",
        "`If-Match` names an older version of the object. Read it again, and send its new `ETag`.",
    ),
    "precondition_required": ProblemType(
        428,
        "If-Match is needed",
        "Send the `ETag` of the object that you read as `If-Match`, so that no change is lost.",
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
        "The caller exceeded a quota: requests per time, failed log-ins, share of the document readers, or "
        "concurrent requests from one address. The response carries `Retry-After`.",
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
    "indexer_unavailable": ProblemType(
        503,
        "The index service is not available",
        "Only in the records of calls: the index service of `INDEXER_URL` does not answer, or its answer is "
        "not usable. Search goes on with the local index.",
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
