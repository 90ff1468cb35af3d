"""Documents from the two columns of a table: an id, and a text or the bytes of a file. Imports no Ray."""

from __future__ import annotations

from service.errors import InvalidRequest, TooLarge
from service.jobs.bulk.documents import SourceDocument, bad_document, encodable, text_document


def column_document(
    key: object, value: object, *, place: str, max_bytes: int, share: float
) -> SourceDocument:
    """Return the document of a row; `place` is the id of a row without one."""
    if key is None or key == "":
        return bad_document(place, InvalidRequest("The row has no id."), share)
    document_id = id_text(key)
    if isinstance(value, str):
        return text_document(document_id, value, share=share)
    if not isinstance(value, bytes | bytearray | memoryview):
        kind = "no text" if value is None else "neither text nor bytes"
        return bad_document(document_id, InvalidRequest(f"The row has {kind}."), share)
    data = bytes(value)
    if len(data) > max_bytes:
        message = f"The row has more than {max_bytes:,} bytes. Split it, or raise MAX_FILE_BYTES."
        return bad_document(document_id, TooLarge(message), share)
    return SourceDocument(document_id, data, share=share)


def column_bytes(value: object) -> int:
    """Return about how many bytes a value of the text column has; 0 for one that is no text."""
    return len(value) if isinstance(value, str | bytes | bytearray | memoryview) else 0


def id_text(key: object) -> str:
    """Return an id as text; bytes, such as a UUID of 16 bytes, in hexadecimal digits."""
    return encodable(key.hex() if isinstance(key, bytes) else str(key))
