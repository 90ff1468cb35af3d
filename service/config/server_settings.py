"""Settings of the server and its database."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from service.config.field_types import ROOT, DatabaseUrl, IpAddress, Origins, ProjectPath, Text
from service.config.validation import required_in_production

BACKGROUND_THREADS = 4
"""Of rollout, shadow, egress and clean-up; each may hold a database connection, as a request may."""


class ServerSettings(BaseModel):
    riskscan_env: Literal["development", "production"] = Field(
        "development",
        description="development creates missing signing keys; production stops and lists what is missing.",
    )
    host: Text = Field("127.0.0.1", description="Address that the service listens on.")
    port: int = Field(
        8000, ge=0, le=65535, description="Port. With 0 the system chooses a free port."
    )
    ops_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Second port, for /health and /metrics only, which scans never delay. Empty: "
        "PORT serves them too.",
    )
    threads: int = Field(16, ge=1, le=256, description="Number of threads that handle requests.")
    connection_limit: int = Field(
        2000,
        ge=16,
        le=65536,
        description="Maximum number of open connections, idle ones included. Further ones wait "
        "until one closes.",
    )
    buffer_memory_bytes: int = Field(
        268435456,
        ge=1_048_576,
        le=2**40,
        description="Memory for buffered requests, and as much again for unsent responses (256 "
        "MiB). One user gets at most half of each.",
    )
    trusted_proxy: IpAddress = Field(
        "",
        description="Address of the proxy whose X-Forwarded-For header the service trusts. Empty: none.",
    )
    drain_timeout_s: int = Field(
        30,
        ge=0,
        le=3600,
        description="Time in seconds for running requests to finish after SIGTERM.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level that the service logs."
    )
    cors_origins: Origins = Field(
        ("http://localhost:5173", "http://localhost:3000"),
        description="Origins of web pages that may call the API, separated by commas. * is not "
        "allowed.",
    )
    data_dir: ProjectPath = Field(
        Path("var"),
        description="Folder of uploaded files, the SQLite database and the signing keys of development.",
    )
    database_url: DatabaseUrl = Field(
        "",
        description="Address of the database: sqlite:///, mysql:// or postgresql://. Empty: a "
        "SQLite file in DATA_DIR.",
    )
    database_pool_size: int = Field(
        default_factory=lambda data: data["threads"] + BACKGROUND_THREADS,
        ge=1,
        le=1024,
        description="Maximum number of database connections. Empty: THREADS + 4, so that no thread"
        " waits for one.",
    )

    @field_validator("database_url")
    @classmethod
    def _require_database(cls, value: str, info: ValidationInfo) -> str:
        return required_in_production(value, info)

    @field_validator("database_url")
    @classmethod
    def _default_to_sqlite(cls, value: str, info: ValidationInfo) -> str:
        return value or f"sqlite:///{info.data.get('data_dir', ROOT) / 'riskscan.db'}"

    @field_validator("database_pool_size")
    @classmethod
    def _require_connection_per_thread(cls, value: int, info: ValidationInfo) -> int:
        threads = info.data.get("threads", 0)
        least = threads + BACKGROUND_THREADS
        if value < least:
            raise ValueError(
                f"({value}) is too small for THREADS={threads}: each thread, and {BACKGROUND_THREADS} in the "
                f"background, may hold a database connection. Set it to {least} or more, leave it empty, or "
                "lower THREADS"
            )
        return value
