"""The documents of the demo: texts in demo_documents/, one of them as a Word file and in a later version."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

_FOLDER = Path(__file__).parent / "demo_documents"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_CONTENT_TYPES = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>
</Types>"""  # noqa: E501 - the format's own names
_RELATIONS = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/>
</Relationships>"""  # noqa: E501 - as above
_DOCUMENT = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{}</w:body></w:document>"""
_EDITS = (
    (
        "Integration testing was cut from six weeks to two in order to keep that date.",
        "Integration testing takes six weeks, as planned.",
    ),
    (
        "There is no contingency for the second and third terminal.",
        "A contingency of 15 percent was approved for the second and third terminal.",
    ),
    (
        "Licences were bought for three years.",
        "Licences were bought for three years. The payment provider may close our account without notice.",
    ),
)


@dataclass(frozen=True, slots=True)
class DemoFile:
    """A document as a user uploads it."""

    name: str
    media_type: str
    data: bytes


def project_plan(*, later: bool = False) -> DemoFile:
    """Return the project plan as a Word file; `later` is its next version, with changed risks."""
    text = _text("project-plan.md")
    for before, after in _EDITS if later else ():
        if before not in text:
            raise LookupError(f"the project plan does not say {before!r}")
        text = text.replace(before, after)
    return DemoFile("Harbour Gate project plan.docx", DOCX, _docx(text))


def vendor_agreement() -> DemoFile:
    """Return a contract with a hosting provider."""
    return DemoFile("Hosting agreement.md", "text/markdown", _text("vendor-agreement.md").encode())


def security_policy() -> DemoFile:
    """Return a policy with gaps."""
    return DemoFile("Security policy.txt", "text/plain", _text("security-policy.txt").encode())


def audit_report() -> DemoFile:
    """Return an internal audit report."""
    return DemoFile("Audit report Q2.md", "text/markdown", _text("audit-report.md").encode())


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _docx(text: str) -> bytes:
    """Return a Word file with the paragraphs of a Markdown text, its headings included."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    parts = {
        "[Content_Types].xml": _CONTENT_TYPES,
        "_rels/.rels": _RELATIONS,
        "word/document.xml": _DOCUMENT.format("".join(map(_paragraph, lines))),
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            # A fixed time, so that the same text is the same file.
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    return written.getvalue()


def _paragraph(line: str) -> str:
    level = len(line) - len(line.lstrip("#"))
    style = f'<w:pPr><w:pStyle w:val="Heading{level}"/></w:pPr>' if level else ""
    text = escape(line.lstrip("# "))
    return f'<w:p>{style}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'
