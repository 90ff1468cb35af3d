"""Settings of the server and its database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from service.config import database_address
from service.config.field_types import (
    ROOT,
    Contacts,
    DatabaseUrl,
    ExistingFile,
    Origins,
    ProjectPath,
    Proxies,
    ServiceUrl,
    Text,
)
from service.config.validation import required_in_production

THREADS_PER_PROCESS = 32
"""Most of them wait for the model: the more wait, the more sentences a forward pass finds. 32 instead of 16
scan 3 % more single sentences (32 clients, two AVX2 cores, November 2026)."""
CONNECTIONS_PER_PROCESS = 16
"""A request holds a database connection for milliseconds, and none while it waits for the model."""
BACKGROUND_THREADS = 4
"""Of rollout, shadow, egress and clean-up; each may hold a database connection for longer."""


def default_threads(settings: Mapping[str, Any]) -> int:
    """Return the number of threads of all processes that handle requests."""
    return THREADS_PER_PROCESS * int(settings.get("web_processes", 1))


def default_pool_size(settings: Mapping[str, Any]) -> int:
    """Return how many database connections the threads of all processes use at once."""
    n_processes = settings.get("web_processes", 1)
    # Every process has a thread, and as many as the others or one more.
    threads_of_each = -(-settings.get("threads", 0) // n_processes)
    return int(n_processes * min(threads_of_each, CONNECTIONS_PER_PROCESS)) + _background(settings)


def least_pool_size(settings: Mapping[str, Any]) -> int:
    """Return the connections of the threads in the background, and one for the requests of each process."""
    return int(settings.get("web_processes", 1)) + _background(settings)


def _background(settings: Mapping[str, Any]) -> int:
    n_processes = settings.get("web_processes", 1)
    batch_workers = -(-settings.get("batch_workers", 0) // n_processes)
    batch_threads = batch_workers + 1 if batch_workers else 0  # one renews the leases
    return int(n_processes * (batch_threads + BACKGROUND_THREADS))


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
    web_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Number of processes that serve PORT, under one supervisor. They share the CPUs, and "
        "divide THREADS, INFERENCE_THREADS, CACHE_SENTENCES, CONNECTION_LIMIT, BUFFER_MEMORY_BYTES and "
        "DATABASE_POOL_SIZE among them. On a GPU use 1.",
    )
    pin_processes: bool = Field(
        True,
        description="Each of WEB_PROCESSES stays on its share of the CPUs, and its Python on one of these. "
        "The model uses the whole share. Does nothing under a quota of fewer CPUs than there are. Turn it "
        "off if other programs need the same CPUs, such as a second service on this machine.",
    )
    threads: int = Field(
        default_factory=default_threads,
        ge=1,
        le=2048,
        description="Number of threads that handle requests; most of them wait for the model. Empty: 32 for "
        "each of WEB_PROCESSES.",
    )
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
    trusted_proxy: Proxies = Field(
        (),
        description="Addresses of the proxies whose X-Forwarded-For and X-Forwarded-Proto headers the "
        "service trusts, or networks that hold nothing but proxies, separated by commas. Empty: none.",
    )
    allow_plain_http: bool = Field(
        False,
        description="Whether the service in production answers plain HTTP of other machines than "
        "TRUSTED_PROXY. Without TLS everyone on the network can read passwords and documents.",
    )
    security_contact: Contacts = Field(
        (),
        description="Where people report a vulnerability of this installation, such as "
        "mailto:security@example.com or an https:// page; several are separated by commas. "
        "/.well-known/security.txt lists them. Empty: there is no such file.",
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
    otel_exporter_otlp_endpoint: ServiceUrl = Field(
        "",
        description="OpenTelemetry collector that gets traces by OTLP over HTTP, such as "
        "http://localhost:4318. Needs requirements-otel.txt. Empty: none.",
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
    database_tls: Literal["preferred", "required", "verify"] = Field(
        "preferred",
        description="TLS of the link to MySQL, MariaDB or PostgreSQL. preferred: if the server offers "
        "it; required: always; verify: always, and the server's certificate must be of DATABASE_TLS_CA "
        "and name its host. Options in DATABASE_URL take precedence.",
    )
    database_tls_ca: ExistingFile = Field(
        "",
        description="File with the certificates of the authorities (PEM) that DATABASE_TLS=verify trusts.",
    )
    database_tls_cert: ExistingFile = Field(
        "", description="File with the certificate (PEM) that the service shows the database."
    )
    database_tls_key: ExistingFile = Field(
        "", description="File with the key of DATABASE_TLS_CERT."
    )
    database_url: DatabaseUrl = Field(
        "",
        description="Address of the database: sqlite:///, mysql:// or postgresql://. Empty: a "
        "SQLite file in DATA_DIR.",
    )
    database_pool_size: int = Field(
        default_factory=default_pool_size,
        ge=1,
        le=1024,
        description="Maximum number of database connections of all WEB_PROCESSES together. Empty: for each "
        "process one for each of its threads, at most 16, 4 for background work and, unless BATCH_WORKERS is "
        "0, one for each of its batch workers and 1 more: 22 with the defaults. A request that gets none "
        "within 5 seconds is answered with 503.",
    )

    @field_validator("database_url")
    @classmethod
    def _require_database(cls, value: str, info: ValidationInfo) -> str:
        return required_in_production(value, info)

    @field_validator("database_url")
    @classmethod
    def _default_to_sqlite(cls, value: str, info: ValidationInfo) -> str:
        return value or f"sqlite:///{info.data.get('data_dir', ROOT) / 'riskscan.db'}"

    @field_validator("database_tls_ca")
    @classmethod
    def _require_authorities(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("database_tls") == "verify":
            raise ValueError("is missing; DATABASE_TLS=verify needs it")
        return value

    @field_validator("database_tls_key")
    @classmethod
    def _require_key(cls, value: str, info: ValidationInfo) -> str:
        if bool(value) != bool(info.data.get("database_tls_cert")):
            raise ValueError("and DATABASE_TLS_CERT belong together: set both or neither")
        return value

    @field_validator("database_url")
    @classmethod
    def _add_tls(cls, value: str, info: ValidationInfo) -> str:
        names = ("database_tls", "database_tls_ca", "database_tls_cert", "database_tls_key")
        mode, *files = (str(info.data.get(name, "")) for name in names)
        return database_address.with_tls(value, mode, *files)

    @field_validator("database_pool_size")
    @classmethod
    def _require_connections(cls, value: int, info: ValidationInfo) -> int:
        least = least_pool_size(info.data)
        if value < least:
            n_processes = info.data.get("web_processes", 1)
            of_each = f" of each of WEB_PROCESSES={n_processes}" if n_processes > 1 else ""
            raise ValueError(
                f"({value}) is too small: {BACKGROUND_THREADS} threads and those of BATCH_WORKERS in the "
                f"background{of_each} may each hold a database connection, and requests need one. Set it to "
                f"{least} or more, or leave it empty"
            )
        return value
