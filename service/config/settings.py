"""The settings: one field per environment variable, with type, default and help text.

`load` is the only place that reads the environment. Imports only errors and the rest of config.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from service.config.environment import process_environment, read_values
from service.config.field_types import (
    ROOT,
    DatabaseUrl,
    Device,
    IpAddress,
    Origins,
    ProjectPath,
    Rate,
    RateLimitStorage,
    Secret,
    ServiceUrl,
    Share,
    SigningKey,
    Text,
)
from service.config.shipped_model import folder_of
from service.config.validation import faults
from service.errors import ConfigError, Fault

__all__ = ["NAMES", "ROOT", "SECRET_NAMES", "Config", "load"]

BACKGROUND_THREADS = 4
"""Of rollout, shadow, egress and clean-up; each may hold a database connection, as a request may."""
_MAY_BE_EMPTY = {"LOGIN_RATE_LIMIT", "CORS_ORIGINS"}
"""Settings for which empty is a value; for all others it means the default, as in Compose files."""


class Config(BaseModel):
    """All settings of the process; the variable PORT is the field `port`, and so on."""

    model_config = ConfigDict(frozen=True, validate_default=True, hide_input_in_errors=True)

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
    secret_key: SigningKey = Field(
        "",
        description="Key that signs refresh tokens and API keys, and derives the pseudonyms in "
        "exported feedback; at least 32 characters.",
    )
    jwt_secret: SigningKey = Field(
        "", description="Key that signs access tokens; at least 32 characters."
    )
    jwt_algorithm: Literal["HS256"] = Field(
        "HS256", description="Signature algorithm of access tokens. Fixed."
    )
    access_token_expire_minutes: int = Field(
        30, ge=1, le=1440, description="Lifetime of an access token in minutes."
    )
    refresh_token_expire_days: int = Field(
        14, ge=1, le=365, description="Lifetime of a refresh token in days."
    )
    password_link_expire_hours: int = Field(
        72,
        ge=1,
        le=720,
        description="Lifetime in hours of an invitation, and of a link to reset a password.",
    )
    registration: Literal["open", "closed"] = Field(
        default_factory=lambda data: "closed" if data["riskscan_env"] == "production" else "open",
        description="Who may create accounts. open: anyone; closed: only operators. Empty: closed "
        "in production, open in development.",
    )
    min_password_length: int = Field(
        7, ge=1, le=128, description="Minimum length of a new password in characters."
    )
    login_rate_limit: Rate = Field(
        "20 per minute",
        description="Maximum rate of log-ins and registrations per client address, and of password"
        " changes and new API keys per user. Empty: no limit.",
    )
    scan_rate_limit: Rate = Field(
        "", description='Maximum rate of scans per user, such as "10 per minute". Empty: no limit.'
    )
    rate_limit_storage_url: RateLimitStorage = Field(
        "memory://",
        description="Where the service counts calls for rate limits. memory://: in each process "
        "separately; redis://host:6379/0: for all replicas together, and separately while Redis is "
        "unavailable.",
    )
    cors_origins: Origins = Field(
        ("http://localhost:5173", "http://localhost:3000"),
        description="Origins of web pages that may call the API, separated by commas. * is not "
        "allowed.",
    )
    model: Text = Field(
        "",
        description="The default model: fast, accurate (`make accurate` builds it), or NAME/VERSION in "
        "models_cache. Empty: on a GPU the accurate one if it is built, else fast, the model that "
        "models_cache/CURRENT names.",
    )
    model_dir: ProjectPath = Field(
        default_factory=lambda data: folder_of(data.get("model", "")),
        description="Folder of the default model, if it is not in models_cache. It serves until an "
        "administrator activates another, and whenever that one fails. Empty: what MODEL says.",
    )
    registry_dir: ProjectPath = Field(
        Path("models_cache"),
        description="Folder of the model registry. Each name/version in it may serve or run as a "
        "shadow.",
    )
    model_poll_s: int = Field(
        5,
        ge=1,
        le=3600,
        description="Interval in seconds between checks for a changed deployment: activation, "
        "rollback or shadow.",
    )
    device: Device = Field(
        "auto",
        description="Device that runs the model: cpu, cuda, cuda:1 for the second GPU, or auto: a "
        "GPU if one is usable, else the CPU.",
    )
    inference_threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Number of concurrent forward passes of the model, one CPU thread each. 0: the"
        " CPU quota.",
    )
    cache_sentences: int = Field(
        50000,
        ge=0,
        le=10_000_000,
        description="Number of sentences whose scores the service caches, 0.8 kB each. 0: no "
        "cache.",
    )
    early_exit: Literal["on", "off"] = Field(
        "on",
        description="Whether certainly harmless sentences leave the network half-way, if the model has "
        "an exit. The model card says what this costs. On a GPU none leaves.",
    )
    ai_timeout_s: int = Field(
        60,
        ge=1,
        le=3600,
        description="Deadline of a scan in seconds, text extraction included. Set the proxy's "
        "timeout 60 s higher.",
    )
    ai_service_url: ServiceUrl = Field(
        "",
        description="Address of another service with POST /scan, which then replaces the model in "
        "this process.",
    )
    ai_service_token: Secret = Field(
        "", description="Bearer token that the service sends to AI_SERVICE_URL."
    )
    ai_service_open: bool = Field(
        False,
        description="Whether POST /scan works without a token. Use it in private networks only.",
    )
    llm_base_url: ServiceUrl = Field(
        "",
        description="OpenAI-compatible server for force_llm, such as http://localhost:8080/v1.",
    )
    llm_api_key: Secret = Field("", description="API key that the service sends to LLM_BASE_URL.")
    llm_model: Text = Field("", description="Name of the model on LLM_BASE_URL.")
    llm_request_mode: Literal["json_schema", "json_object", "text"] = Field(
        "json_schema",
        description="How requests constrain the LLM's answer: json_schema, json_object with the "
        "schema in the prompt, or text without a constraint.",
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
    max_text_chars: int = Field(
        2_500_000,
        ge=1,
        le=100_000_000,
        description="Maximum length of a text in characters. It also applies to the text extracted"
        " from a file.",
    )
    max_file_bytes: int = Field(
        26_214_400,
        ge=1,
        le=2**31 - 1,
        description="Maximum size of an uploaded file in bytes (25 MiB).",
    )
    max_upload_bytes: int = Field(
        2_147_483_648,
        ge=1,
        le=2**50,
        description="Maximum size of a file in a session in bytes (2 GiB). A scan reads files of up "
        "to MAX_FILE_BYTES.",
    )
    user_quota_bytes: int = Field(
        5_368_709_120,
        ge=1,
        le=2**60,
        description="Maximum size of all files in one user's sessions and originals of documents in "
        "bytes (5 GiB). The same bytes count once in each.",
    )
    max_sessions: int = Field(
        1000, ge=1, le=1_000_000, description="Maximum number of sessions of one user."
    )
    max_api_keys: int = Field(
        50,
        ge=1,
        le=10_000,
        description="Maximum number of API keys of one user, expired ones included.",
    )
    max_pages: int = Field(
        2000, ge=1, le=100_000, description="Maximum number of pages of a document."
    )
    store_text: Literal["full", "hash", "none"] = Field(
        "full",
        description="What a stored scan keeps of its document: full, the text; hash, its SHA-256 only; "
        "none, neither. The sentences of findings are stored in any case.",
    )
    review_sample_share: Share = Field(
        0.05, description="Share of sentences without a finding that reviewers are asked about."
    )
    extract_timeout_s: int = Field(
        8,
        ge=1,
        le=600,
        description="Seconds to extract the text of a document, and again to wait for a free extractor.",
    )
    extract_memory_bytes: int = Field(
        805_306_368,
        ge=268_435_456,
        le=2**40,
        description="Maximum address space of the process that extracts text, in bytes (768 MiB).",
    )

    ocr: Literal["on", "off"] = Field(
        "off",
        description="Whether pages of a PDF without text are read as pictures, by the program tesseract, "
        "which must be installed.",
    )
    ocr_languages: Text = Field(
        "eng",
        description="Languages of tesseract that OCR reads, such as eng+deu; their data must be installed.",
    )
    ocr_page_timeout_s: int = Field(
        20,
        ge=1,
        le=600,
        description="Time in seconds to read the picture of one page. A page that takes longer stays "
        "among the pages without text. AI_TIMEOUT_S ends the whole scan.",
    )

    @field_validator("database_url", "secret_key", "jwt_secret")
    @classmethod
    def _require_in_production(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("riskscan_env") == "production":
            raise ValueError("is missing; production has no default for it")
        return value

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

    @field_validator("llm_model")
    @classmethod
    def _require_with_llm(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("llm_base_url"):
            raise ValueError("is missing; LLM_BASE_URL needs it")
        return value

    @property
    def names_model(self) -> bool:
        """Whether MODEL or MODEL_DIR is set."""
        return bool({"model", "model_dir"} & self.model_fields_set)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show each secret that is set as ***."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            yield name, "***" if value and not field.repr else value


NAMES = tuple(name.upper() for name in Config.model_fields)
SECRET_NAMES = tuple(name.upper() for name, field in Config.model_fields.items() if not field.repr)
"""The settings that outputs mask, and that NAME_FILE may read from a file."""


def load(environ: Mapping[str, str] | None = None) -> Config:
    """Read the settings from `environ`; by default from the process environment, then from .env.

    RISKSCAN_ENV_FILE names another file than the .env in the project's root folder; empty reads none.

    Raises:
        ConfigError: with every setting that is missing or invalid, each with its remedy.
    """
    environ = process_environment(NAMES, SECRET_NAMES) if environ is None else environ
    values, invalid = read_values(environ, NAMES, SECRET_NAMES, may_be_empty=_MAY_BE_EMPTY)
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        unreadable = {fault.field for fault in invalid}
        invalid += (fault for fault in _faults(error) if fault.field not in unreadable)
    if invalid:
        raise ConfigError(
            "The settings are not usable: " + " ".join(f.message for f in invalid),
            faults=tuple(invalid),
        )
    return config


def _faults(error: ValidationError) -> Iterable[Fault]:
    for fault in faults(error):
        name = fault.field.upper()
        yield Fault(name, f"{name}{fault.message.removeprefix(fault.field)}.")
