"""Settings of the external index service."""

from __future__ import annotations

from pydantic import BaseModel, Field, field_validator

from service.config.field_types import Secret, ServiceUrl


class IndexerSettings(BaseModel):
    indexer_url: ServiceUrl = Field(
        "",
        description="Address of an index service (docs/indexer.md), which gets documents and lessons and "
        "helps to search them, such as http://indexer:8090. Empty: the service searches alone.",
    )
    indexer_token: Secret = Field(
        "", description="Bearer token that the service sends to INDEXER_URL."
    )
    indexer_timeout_s: float = Field(
        2.0, ge=0.1, le=60, description="Seconds that a search waits for the index service."
    )

    @field_validator("indexer_token")
    @classmethod
    def _require_header(cls, value: str) -> str:
        if not (value.isascii() and value.isprintable()):
            raise ValueError("must have printable ASCII characters only")
        return value
