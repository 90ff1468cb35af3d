"""Reads e-mails with their attachments.

Read: the subject; the body, as plain text or, if the HTML version says clearly more, as HTML; attachments in
any supported format, attached e-mails included. Not read: other headers, such as sender and date; encrypted
messages; attachments in other formats, such as pictures. Each attachment is a part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import InvalidBase64LengthDefect, MissingHeaderBodySeparatorDefect
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import Compat32

from service.errors import RiskscanError, UnreadableDocument
from service.nlp.extraction.html_page import read_html
from service.nlp.extraction.members import add_member, check_depth, read_file
from service.nlp.extraction.plain_text import decode, read_text
from service.nlp.extraction.text_builder import TextBuilder, label

_MAX_HEADER_CHARS = 10_000
_MAX_LEAVES = 2_000
_HTML_GAIN = 2
"""HTML is read in place of plain text if it has this many times the words."""
_MARKUP = re.compile(
    rb"<(?:style|script)\b.*?(?:</(?:style|script)>|\Z)|<[^<>]*>", re.DOTALL | re.IGNORECASE
)
"""An element that is not closed ends with the page, so that a hostile page takes linear time."""
_BODY_TYPES = ("text/plain", "text/html")
_MESSAGE_TYPES = ("message/rfc822", "message/global")
_LEAD = re.compile(rb"(?:\xef\xbb\xbf)?\s*")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_NO_HEADER = re.compile(rb"(?<=\n)(?!From |[!-9;-~]*:|[\t ])(?=[^\r\n])")
_NEEDED = re.compile(rb"^(subject|content-[a-z-]+|mime-version):", re.IGNORECASE | re.MULTILINE)


class _Part(Message):
    """An e-mail, or a part of one.

    Python's parser reads a message within it without regard to its transfer encoding. So the parser is told
    that it is any other file, and `_add_attachment` decodes and parses it.
    """

    def get_content_maintype(self) -> str:
        kind = super().get_content_maintype()
        return "application" if kind == "message" else kind


class _Policy(Compat32):
    """Decodes headers in UTF-8 or windows-1252, which some programs write without a mark."""

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002 - the interface
        raw = value.encode("ascii", "surrogateescape")
        try:
            return raw.decode("utf-8")
        except UnicodeError:
            return raw.decode("cp1252", errors="replace")


_POLICY = _Policy()


def read_eml(data: bytes, builder: TextBuilder, *, max_pages: int) -> None:
    """Add an e-mail: subject, body, and each attachment as a part.

    Raises:
        TooLarge: the document as a whole exceeds a limit.
        UnreadableDocument: the e-mail is damaged, or its parts are nested too deeply.
    """
    try:
        _add_message(_parsed(data), builder, max_pages)
    except RecursionError as error:
        raise UnreadableDocument(
            "The e-mail is nested too deeply. Save its attachments and send them."
        ) from error


def _parsed(data: bytes) -> Message:
    """Return the message in `data`, without what some programs write before its headers."""
    lead = _LEAD.match(data)
    return message_from_bytes(_repaired(data[lead.end() if lead else 0 :]), _Part, policy=_POLICY)


def _repaired(data: bytes) -> bytes:
    """Return a message in which each line without a colon among the headers continues the header above it.

    Python's parser takes such a line, and all headers below it, for the body. It is right if those that we
    need all stand above: then the body begins there, without a blank line, and may quote headers.
    """
    end = _BLANK_LINE.search(data)
    head, rest = (data[: end.start()], data[end.start() :]) if end else (data, b"")
    line = _NO_HEADER.search(head)
    if line is None or not _needed(head[line.start() :]) - _needed(head[: line.start()]):
        return data
    return _NO_HEADER.sub(b" ", head) + rest


def _needed(head: bytes) -> set[str]:
    """Return the names of those headers in `head` that reading the message needs, in lower case."""
    return {name.decode().lower() for name in _NEEDED.findall(head)}


def _add_message(message: Message, builder: TextBuilder, max_pages: int) -> None:
    if subject := _text_of(message.get("Subject")).strip():
        builder.add(subject)
    leaves = list(_leaves(message))
    if len(leaves) > _MAX_LEAVES:
        raise UnreadableDocument(
            f"The e-mail has more than {_MAX_LEAVES:,} attachments, the limit."
        )
    unread = [why for leaf in leaves if _is_body(leaf) and (why := _add_body(leaf, builder))]
    if unread:
        builder.begin_part(builder.part_name("body"), problem=unread[0])
    for number, leaf in enumerate((leaf for leaf in leaves if not _is_body(leaf)), start=1):
        _add_attachment(leaf, number, builder, max_pages)


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    children = payload if isinstance(payload, list) else []
    return [child for child in children if isinstance(child, Message)]


def _leaves(part: Message) -> Iterator[Message]:
    """Yield the bodies, attachments and attached messages; of alternative bodies, one version."""
    if not part.is_multipart() or part.get_content_type().startswith("message/"):
        yield part
        return
    leaves = [leaf for child in _children(part) for leaf in _leaves(child)]
    if part.get_content_type() != "multipart/alternative":
        yield from leaves
        return
    plain, html = (
        [leaf for leaf in leaves if _is_body(leaf) and leaf.get_content_type() == kind]
        for kind in _BODY_TYPES
    )
    yield from html if _n_words(html) > _HTML_GAIN * _n_words(plain) else plain
    yield from (leaf for leaf in leaves if not _is_body(leaf))


def _is_body(leaf: Message) -> bool:
    if leaf.get_content_type() not in _BODY_TYPES or leaf.is_multipart():
        return False
    return _disposition(leaf) != "attachment" and not _filename(leaf)


def _n_words(leaves: list[Message]) -> int:
    return sum(len(_MARKUP.sub(b" ", _content(leaf)).split()) for leaf in leaves)


def _add_body(leaf: Message, builder: TextBuilder) -> str | None:
    """Add a body; return why it cannot be read, or None."""
    read = read_html if leaf.get_content_type() == "text/html" else read_text
    point = builder.checkpoint()
    try:
        if content := _decoded(leaf):
            read(content, builder, charset=_charset(leaf))
            builder.end_line()
    except RiskscanError as error:
        if builder.is_over_a_limit:
            raise
        builder.roll_back(point)
        return error.message
    return None


def _add_attachment(leaf: Message, number: int, builder: TextBuilder, max_pages: int) -> None:
    name = _filename(leaf) or f"attachment {number}"
    kind = leaf.get_content_type()
    is_message = kind in _MESSAGE_TYPES
    if is_message and not _filename(leaf):
        head = BytesHeaderParser(policy=_POLICY).parsebytes(_content(leaf).lstrip())
        name = _text_of(head.get("Subject")).strip() or f"message {number}"

    def read() -> None:
        content = _decoded(leaf)
        if is_message:
            check_depth(builder)
            read_eml(content, builder, max_pages=max_pages)
        else:
            read_file(
                content,
                name,
                builder,
                max_pages=max_pages,
                media_type=kind,
                charset=_charset(leaf),
            )

    add_member(name, builder, read)


def _decoded(leaf: Message) -> bytes:
    """Return the bytes of a leaf; raise UnreadableDocument if its transfer encoding cannot be undone."""
    content = _content(leaf)
    defects = {type(defect) for defect in leaf.defects}
    if InvalidBase64LengthDefect in defects:
        raise UnreadableDocument(
            "The end of this part is missing. Ask the sender to send the e-mail again."
        )
    if MissingHeaderBodySeparatorDefect in defects:
        head = _BLANK_LINE.split(str(leaf.get_payload()).encode("utf-8", "replace"), maxsplit=1)[0]
        if _needed(head) - {"subject", *map(str.lower, leaf.keys())}:
            raise UnreadableDocument(
                "A line without a colon is among its headers, so it cannot be decoded. Save it again."
            )
    return content


def _content(leaf: Message) -> bytes:
    """Return the bytes of a leaf; a wrong transfer encoding leaves them as they are."""
    if encoding := re.match(r"\s*[\w-]+", _raw(leaf, "Content-Transfer-Encoding"), re.ASCII):
        leaf.replace_header("Content-Transfer-Encoding", encoding.group().strip())
    content = leaf.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _charset(leaf: Message) -> str | None:
    is_short = len(_raw(leaf, "Content-Type")) <= _MAX_HEADER_CHARS
    return leaf.get_content_charset() if is_short else None


def _disposition(leaf: Message) -> str:
    return _raw(leaf, "Content-Disposition").partition(";")[0].strip().lower()


def _filename(leaf: Message) -> str:
    """Return the name of an attachment, or "" without one."""
    headers = _raw(leaf, "Content-Disposition") + _raw(leaf, "Content-Type")
    if len(headers) > _MAX_HEADER_CHARS or "name" not in headers.lower():
        return ""
    try:
        return label(_text_of(leaf.get_filename("")).replace("\\", "/").rpartition("/")[2])
    except (ValueError, LookupError, TypeError):
        return ""


def _raw(leaf: Message, name: str) -> str:
    return str(leaf.get(name, ""))


def _text_of(header: object) -> str:
    """Return a header's text, with encoded words decoded as far as possible."""
    raw = str(header or "")[:_MAX_HEADER_CHARS]
    try:
        words = decode_header(raw)
        return "".join(_word(word, charset) for word, charset in words)
    except (RiskscanError, ValueError, LookupError):
        return raw


def _word(word: str | bytes, charset: str | None) -> str:
    if isinstance(word, str):
        return word
    if charset is not None:
        return decode(word, charset=charset)
    try:
        return word.decode(
            "raw-unicode-escape"
        )  # in which decode_header gives what is between encoded words
    except UnicodeError:  # a backslash of the header itself
        return word.decode("latin-1")
