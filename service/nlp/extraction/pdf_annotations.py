"""Reads a PDF's annotations: the values of form fields, and comments.

Not read: captions of buttons, words that are only in an annotation's drawing, attached files.
"""

from __future__ import annotations

from collections.abc import Callable

import pypdfium2 as pdfium  # type: ignore[import-untyped]  # ships no types
from pypdfium2 import raw

from service.errors import UnreadableDocument

_CHOICES = (raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX)


def open_form(document: pdfium.PdfDocument) -> None:
    """Make the values of the document's form readable; call this before loading any page.

    Raises:
        UnreadableDocument: the file is an XFA form, so its pages do not contain its text.
    """
    if document.get_formtype() == raw.FORMTYPE_XFA_FULL:
        raise UnreadableDocument(
            "The PDF is a dynamic form (XFA), whose text is not in its pages. "
            "Print it to a new PDF and send the new file."
        )
    if document.get_formtype() == raw.FORMTYPE_ACRO_FORM:
        document.init_forms()


def read_annotations(document: pdfium.PdfDocument, page: pdfium.PdfPage, shown: str) -> list[str]:
    """Return the distinct field values and comments of a page that its text `shown` does not contain."""
    notes: dict[str, None] = {}
    for i in range(raw.FPDFPage_GetAnnotCount(page)):
        if annotation := raw.FPDFPage_GetAnnot(page, i):
            notes |= dict.fromkeys(_words(document, annotation))
            raw.FPDFPage_CloseAnnot(annotation)
    page_text = f" {_one_line(shown)} " if notes else ""
    return [note for note in notes if note.strip() and f" {_one_line(note)} " not in page_text]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _words(document: pdfium.PdfDocument, annotation: raw.FPDF_ANNOTATION) -> list[str]:
    comment = _string(lambda *to: raw.FPDFAnnot_GetStringValue(annotation, b"Contents", *to))
    form = document.formenv
    if form is None or raw.FPDFAnnot_GetSubtype(annotation) != raw.FPDF_ANNOT_WIDGET:
        return [comment]
    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in _CHOICES and (labels := _selected_labels(form, annotation)):
        return [*labels, comment]
    if kind in (raw.FPDF_FORMFIELD_TEXTFIELD, *_CHOICES):
        return [
            _string(lambda *to: raw.FPDFAnnot_GetFormFieldValue(form, annotation, *to)),
            comment,
        ]
    return [comment]


def _selected_labels(form: pdfium.PdfFormEnv, annotation: raw.FPDF_ANNOTATION) -> list[str]:
    """Return the labels of the selected options, since their values may be codes."""
    options = range(raw.FPDFAnnot_GetOptionCount(form, annotation))
    selected = [i for i in options if raw.FPDFAnnot_IsOptionSelected(form, annotation, i)]
    return [
        _string(lambda *to, i=i: raw.FPDFAnnot_GetOptionLabel(form, annotation, i, *to))
        for i in selected
    ]


def _string(call: Callable[..., int]) -> str:
    """Call a pdfium function for its length in bytes, then for its UTF-16 text, which ends with NUL."""
    n_bytes = call(None, 0)
    buffer = (raw.FPDF_WCHAR * (n_bytes // 2 + 1))()
    call(buffer, n_bytes)
    text = bytes(buffer)[:n_bytes].decode("utf-16-le", errors="replace").removesuffix("\0")
    return text.replace("\r\n", "\n").replace("\r", "\n")
