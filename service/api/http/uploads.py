"""Uploaded documents as submissions, with file names that are safe to store and show."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

from werkzeug.datastructures import FileStorage
from werkzeug.http import parse_options_header

from service.api.http.authentication import caller_key, current_preferences
from service.domain.batch_intake import BatchOptions, NewItem
from service.domain.files.files import Upload
from service.domain.scans.options import ScanOptions
from service.errors import Fault, InvalidRequest
from service.nlp.pipeline import Submission

MAX_NAME_CHARS = 255
_UNKNOWN_TYPE = "application/octet-stream"
_NAME_PART = r"[A-Za-z0-9!#$&^_.+-]{1,100}"
_MEDIA_TYPE = re.compile(rf"(?=.{{3,127}}$){_NAME_PART}/{_NAME_PART}(; ?charset=[A-Za-z0-9._-]+)?")
_BACKSLASHES = re.compile(r'\\(["\\]?)')


def submission(body: dict[str, Any]) -> Submission:
    """Return the caller's submission to the pipeline from the validated body of a scan."""
    return Submission(
        **_document_fields(body.get("file"), body.get("text")),
        force_llm=body.get("force_llm", False),
        sensitivity=body.get("sensitivity", "balanced"),
        silent_on=_silent_on(body),
        caller=caller_key(),
    )


def scan_options(body: dict[str, Any]) -> ScanOptions:
    """Return how the caller wants a stored document or stored files to be scanned."""
    return ScanOptions(
        caller=caller_key(),
        force_llm=body.get("force_llm", False),
        sensitivity=body.get("sensitivity", "balanced"),
        silent_on=_silent_on(body),
        preferences=current_preferences(),
    )


def batch_options(body: dict[str, Any], name: str) -> BatchOptions:
    """Return how the caller wants the documents of a batch to be scanned."""
    return BatchOptions(name, body.get("sensitivity"), body.get("force_llm"))


def deferred_document(body: dict[str, Any]) -> NewItem:
    """Return the document of a scan that a worker is to run."""
    if (file := body.get("file")) is not None:
        sent = upload(file)
        return NewItem(sent.name, sent.media_type, sent.stream, body.get("document"))
    data = body["text"].encode("utf-8", "surrogatepass")
    return NewItem(None, "text/plain", BytesIO(data), body.get("document"))


def attached_document(file: FileStorage | None, text: str | None) -> Submission | None:
    """Return the document that accompanies a report of a missed risk; None without one."""
    if file is None and text is None:
        return None
    return Submission(**_document_fields(file, text), caller=caller_key())


def upload(file: FileStorage) -> Upload:
    """Return a file to be stored in a session.

    Raises:
        InvalidRequest: the file has no name.
    """
    name = base_name(file)
    if name is None:
        fault = Fault("file", "Send the file with a name; this one is empty, or only dots.")
        raise InvalidRequest(fault.message, faults=(fault,))
    declared = file.content_type or ""
    media_type = declared.lower() if _MEDIA_TYPE.fullmatch(declared) else _UNKNOWN_TYPE
    return Upload(name, media_type, file.stream)


def base_name(file: FileStorage) -> str | None:
    """Return the last part of the file's path, its last 255 characters, without control characters."""
    name = _original_name(file).replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(c for c in name if c.isprintable())[-MAX_NAME_CHARS:]
    return None if name in {"", ".", ".."} else name


def _original_name(file: FileStorage) -> str:
    """Return the name as sent; werkzeug would parse the backslashes of a Windows path as escapes."""
    disposition = file.headers.get("Content-Disposition", "")
    doubled = _BACKSLASHES.sub(lambda match: match[0] if match[1] else "\\\\", disposition)
    _, options = parse_options_header(doubled)
    return options.get("filename") or file.filename or ""


def _silent_on(body: dict[str, Any]) -> frozenset[str]:
    return frozenset({"force_llm", "sensitivity"} - body.keys())


def _document_fields(file: FileStorage | None, text: str | None) -> dict[str, Any]:
    if file is None:
        return {"text": text}
    return {
        "data": file.read(),
        "filename": base_name(file),
        "media_type": file.content_type or None,
    }
