"""Settings of batches and their workers."""

from __future__ import annotations

from pydantic import BaseModel, Field

from service.config.field_types import BrokerUrl


class BatchSettings(BaseModel):
    batch_workers: int = Field(
        1,
        ge=0,
        le=64,
        description="Documents of batches that the service scans at once, in all of WEB_PROCESSES "
        "together, unless BROKER_URL is set; 0: none. Also how many each `python -m service "
        "worker` scans, at least one.",
    )
    broker_url: BrokerUrl = Field(
        "",
        description="Broker (redis:// or amqp://) that wakes the workers, `python -m service worker`. "
        "Needs requirements-worker.txt. Empty: workers look into the database every two seconds.",
    )
    batch_lease_s: int = Field(
        60,
        ge=2,
        le=3600,
        description="Seconds after which another worker takes over a document whose worker has died.",
    )
    batch_timeout_s: int = Field(
        600,
        ge=1,
        le=86_400,
        description="Maximum time of the scan of one document of a batch in seconds.",
    )
    max_batch_files: int = Field(
        10_000, ge=1, le=100_000, description="Maximum number of documents of a batch."
    )
    max_batch_bytes: int = Field(
        2_147_483_648,
        ge=1,
        le=2**50,
        description="Maximum size of all documents of a batch in bytes, unpacked (2 GiB).",
    )
