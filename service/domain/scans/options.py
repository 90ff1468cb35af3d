"""How a stored document or file is scanned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from db import tables
from service.domain.preferences import Preferences
from service.nlp.artifacts.operating_points import Sensitivity
from service.nlp.document import ExtractedText
from service.nlp.pipeline import Submission


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How to scan stored documents and files: the caller's settings, and fields as in Submission."""

    caller: str = ""
    force_llm: bool = False
    sensitivity: Sensitivity = "balanced"
    silent_on: frozenset[str] = frozenset()
    preferences: Preferences = field(default_factory=Preferences)

    def document_submission(
        self, document: tables.Document, extracted: ExtractedText
    ) -> Submission:
        """Return the submission of a document's stored text."""
        content = {"text": extracted.text, "extracted": extracted, "filename": document.name}
        return self._submission(content)

    def file_submission(self, file: tables.File, data: bytes) -> Submission:
        """Return the submission of a stored file with its bytes."""
        return self.bytes_submission(data, name=file.name, media_type=file.media_type)

    def bytes_submission(self, data: bytes, *, name: str, media_type: str) -> Submission:
        """Return the submission of a file's bytes."""
        return self._submission({"data": data, "filename": name, "media_type": media_type})

    def text_submission(self, text: str) -> Submission:
        """Return the submission of a pasted text."""
        return self._submission({"text": text})

    def fingerprint(self, document_id: UUID) -> str:
        """Return a SHA-256 (hex) over what the request says, to detect a repeated one."""
        submission = self._submission({"text": str(document_id)})
        return submission.fingerprint()

    def _submission(self, content: dict[str, Any]) -> Submission:
        return Submission(
            **content,
            caller=self.caller,
            force_llm=self.force_llm,
            sensitivity=self.sensitivity,
            silent_on=self.silent_on,
        )
