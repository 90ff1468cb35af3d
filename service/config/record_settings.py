"""Settings of what the service stores, and for how long."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.config.field_types import Share


class RecordSettings(BaseModel):
    store_text: Literal["full", "hash", "none"] = Field(
        "full",
        description="What a stored scan keeps of its document: full, the text; hash, its SHA-256 only; "
        "none, neither. The sentences of findings are stored in any case.",
    )
    retention_days: int | None = Field(
        None,
        ge=1,
        le=36500,
        description="Days after which scans, documents, originals, files, empty sessions and ended batches "
        "are deleted. Empty: never, but for users who chose a retention; a user's own shorter one takes "
        "precedence.",
    )
    review_sample_share: Share = Field(
        0.05, description="Share of sentences without a finding that reviewers are asked about."
    )
    audit_seal_every_s: int = Field(
        60, ge=1, le=3600, description="Seconds between two seals of the audit trail."
    )
    api_interaction_days: int = Field(
        90,
        ge=1,
        le=3650,
        description="Days after which the record of an outgoing call (GET /admin/api-interactions) is "
        "deleted.",
    )
