"""How a stored document is scanned again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID

from db import tables
from service.nlp.artifacts.operating_points import Sensitivity
from service.nlp.document import ExtractedText
from service.nlp.pipeline import Submission


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How to scan a stored document again; see Submission."""

    force_llm: bool = False
    sensitivity: Sensitivity = "balanced"
    caller: str = ""
    silent_on: frozenset[str] = frozenset()

    def submission(self, document: tables.Document, extracted: ExtractedText) -> Submission:
        return Submission(
            text=extracted.text,
            filename=document.name,
            force_llm=self.force_llm,
            sensitivity=self.sensitivity,
            caller=self.caller,
            silent_on=self.silent_on,
            extracted=extracted,
        )

    def fingerprint(self, document_id: UUID) -> str:
        """Return a SHA-256 (hex) over what determines the result, to detect repeated requests."""
        text = f"{document_id} {self.force_llm} {self.sensitivity}"
        return hashlib.sha256(text.encode()).hexdigest()
