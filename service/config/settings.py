"""Settings as data: each has a name, default, parser and help; `load` reads them into a frozen Config.

Imports only errors, the parsers and the shipped model's address. Only `load` reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from service.config.database_address import database_url
from service.config.env_file import read_env_file
from service.config.parsers import (
    address,
    choice,
    device,
    flag,
    integer,
    optional,
    origins,
    rate,
    secret,
    text,
    url,
)
from service.config.shipped_model import shipped_folder
from service.errors import ConfigError, Fault

ROOT = Path(__file__).resolve().parents[2]
BACKGROUND_THREADS = 2
"""Rollout and shadow; each may hold a database connection beside the requests."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its field in Config, default (as text), parser and help.

    Set but empty, as compose files leave it, counts as not set; with `empty_is_a_value` it does not.
    """

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str
    secret: bool = False
    empty_is_a_value: bool = False

    def read(self, environ: Mapping[str, str]) -> Any:  # noqa: ANN401 - each setting has its own type
        """Return the parsed value; ValueError says what a good one looks like."""
        raw = environ.get(self.name, self.default)
        return self.parse(raw if raw or self.empty_is_a_value else self.default)

    @property
    def attribute(self) -> str:
        """Name of the field in Config."""
        return self.name.lower()


def _path(value: str) -> Path:
    return (ROOT / value).resolve()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "RISKSCAN_ENV",
        "development",
        choice("development", "production"),
        "In production no secret is made up: the start stops with what is missing.",
    ),
    Setting("HOST", "127.0.0.1", text, "Address that the service listens on."),
    Setting("PORT", "8000", integer(0, 65535), "Port; 0 takes a free one and prints it."),
    Setting(
        "OPS_PORT",
        "",
        optional(integer(0, 65535)),
        "Port of a second listener for /health and /metrics, which scans never delay; empty: PORT has both.",
    ),
    Setting("THREADS", "16", integer(1, 256), "Threads that answer requests."),
    Setting(
        "CONNECTION_LIMIT",
        "2000",
        integer(16, 65536),
        "Connections held open at once, idle ones included; beyond it new ones are refused.",
    ),
    Setting(
        "BUFFER_MEMORY_BYTES",
        "268435456",
        integer(1_048_576, 2**40),
        "Memory for large requests, and the same for unread answers (256 MiB); one user gets half of each.",
    ),
    Setting(
        "TRUSTED_PROXY",
        "",
        address,
        "Address of the proxy whose X-Forwarded-For is believed; empty believes none.",
    ),
    Setting(
        "DRAIN_TIMEOUT_S",
        "30",
        integer(0, 3600),
        "Seconds that requests in flight may take to finish after SIGTERM.",
    ),
    Setting(
        "LOG_LEVEL", "INFO", choice("DEBUG", "INFO", "WARNING", "ERROR"), "Least level logged."
    ),
    Setting(
        "DATA_DIR",
        "var",
        _path,
        "Folder of the embedded database and of the secrets made in development.",
    ),
    Setting(
        "DATABASE_URL",
        "",
        database_url,
        "sqlite:///, mysql:// or postgresql:// address; empty takes SQLite in DATA_DIR.",
        secret=True,
    ),
    Setting(
        "DATABASE_POOL_SIZE",
        "",
        optional(integer(1, 1024)),
        "Connections to the database; empty takes THREADS + 2, the fewest with which none waits.",
    ),
    Setting(
        "SECRET_KEY",
        "",
        secret,
        "Signs refresh tokens and makes the pseudonyms of exported feedback; at least 32 characters.",
        secret=True,
    ),
    Setting("JWT_SECRET", "", secret, "Signs access tokens; at least 32 characters.", secret=True),
    Setting("JWT_ALGORITHM", "HS256", choice("HS256"), "Algorithm of access tokens; pinned."),
    Setting(
        "ACCESS_TOKEN_EXPIRE_MINUTES", "30", integer(1, 1440), "Life of an access token, minutes."
    ),
    Setting("REFRESH_TOKEN_EXPIRE_DAYS", "14", integer(1, 365), "Life of a refresh token, days."),
    Setting(
        "REGISTRATION",
        "",
        optional(choice("open", "closed")),
        "Who creates accounts: open: anyone; closed: an operator; empty: closed in production, else open.",
    ),
    Setting("MIN_PASSWORD_LENGTH", "7", integer(1, 128), "Fewest characters of a new password."),
    Setting(
        "LOGIN_RATE_LIMIT",
        "20 per minute",
        rate,
        "Log-ins and registrations per client address, password changes per user; empty for no limit.",
        empty_is_a_value=True,
    ),
    Setting("SCAN_RATE_LIMIT", "", rate, "Scans that one user may ask for; empty for no limit."),
    Setting(
        "CORS_ORIGINS",
        "http://localhost:5173,http://localhost:3000",
        origins,
        "Origins that browsers may call from, separated by commas; never *.",
        empty_is_a_value=True,
    ),
    Setting(
        "MODEL_DIR",
        "",
        optional(_path),
        "Folder of the default model: it serves until another is activated, or if that one fails; "
        "empty takes the model named in models_cache/CURRENT.",
    ),
    Setting(
        "REGISTRY_DIR",
        "models_cache",
        _path,
        "Folder of the model registry: what lies there as name/version may shadow, serve, and come back.",
    ),
    Setting(
        "MODEL_POLL_S",
        "5",
        integer(1, 3600),
        "Seconds between looks for a model that was activated, rolled back or set to shadow.",
    ),
    Setting(
        "DEVICE",
        "auto",
        device,
        "Where the model runs: cpu, cuda, cuda:1 for the second GPU, or auto for a usable GPU, else the CPU.",
    ),
    Setting(
        "INFERENCE_THREADS",
        "0",
        integer(0, 256),
        "Forward passes of the model at once, a processor thread each; 0 takes the CPU quota.",
    ),
    Setting(
        "CACHE_SENTENCES",
        "50000",
        integer(0, 10_000_000),
        "Sentences whose scores are remembered for when they come again, 0.8 kB each; 0 for none.",
    ),
    Setting(
        "AI_TIMEOUT_S",
        "60",
        integer(1, 3600),
        "Deadline of one scan, reading included, in seconds; keep the proxy's time-out 60 s longer.",
    ),
    Setting(
        "AI_SERVICE_URL",
        "",
        url,
        "Another service that answers POST /scan; set, it takes the place of the model in this process.",
    ),
    Setting("AI_SERVICE_TOKEN", "", text, "Bearer token sent to AI_SERVICE_URL.", secret=True),
    Setting(
        "AI_SERVICE_OPEN",
        "false",
        flag,
        "Lets POST /scan be called without a token; private networks only.",
    ),
    Setting(
        "LLM_BASE_URL",
        "",
        url,
        "OpenAI-compatible server that force_llm asks, such as http://localhost:8080/v1.",
    ),
    Setting("LLM_API_KEY", "", text, "Key sent to LLM_BASE_URL.", secret=True),
    Setting("LLM_MODEL", "", text, "Model name asked of LLM_BASE_URL."),
    Setting(
        "LLM_REQUEST_MODE",
        "json_schema",
        choice("json_schema", "json_object", "text"),
        "How the LLM is held to the answer's shape: json_schema, json_object with a schema, or plain text.",
    ),
    Setting(
        "MAX_TEXT_CHARS",
        "2500000",
        integer(1, 100_000_000),
        "Most characters of a text, and of the text extracted from a file.",
    ),
    Setting(
        "MAX_FILE_BYTES",
        "26214400",
        integer(1, 2**31 - 1),
        "Most bytes of an uploaded file (25 MiB).",
    ),
    Setting("MAX_PAGES", "2000", integer(1, 100_000), "Most pages of a document."),
    Setting(
        "EXTRACT_TIMEOUT_S",
        "8",
        integer(1, 600),
        "Seconds allowed for reading one document, and as many for waiting to start.",
    ),
    Setting(
        "EXTRACT_MEMORY_BYTES",
        "805306368",
        integer(268_435_456, 2**40),
        "Most bytes of address space of the child process that reads a document (768 MiB).",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting, parsed; one field per entry of SETTINGS, in the same order."""

    riskscan_env: str
    host: str
    port: int
    ops_port: int | None
    threads: int
    connection_limit: int
    buffer_memory_bytes: int
    trusted_proxy: str
    drain_timeout_s: int
    log_level: str
    data_dir: Path
    database_url: str
    database_pool_size: int
    secret_key: str
    jwt_secret: str
    jwt_algorithm: str
    access_token_expire_minutes: int
    refresh_token_expire_days: int
    registration: Literal["open", "closed"]
    min_password_length: int
    login_rate_limit: str
    scan_rate_limit: str
    cors_origins: tuple[str, ...]
    model_dir: Path
    registry_dir: Path
    model_poll_s: int
    device: str
    inference_threads: int
    cache_sentences: int
    ai_timeout_s: int
    ai_service_url: str
    ai_service_token: str
    ai_service_open: bool
    llm_base_url: str
    llm_api_key: str
    llm_model: str
    llm_request_mode: Literal["json_schema", "json_object", "text"]
    max_text_chars: int
    max_file_bytes: int
    max_pages: int
    extract_timeout_s: int
    extract_memory_bytes: int

    def __repr__(self) -> str:
        """Return the settings with every secret that is set shown as ***."""
        secrets = {s.attribute for s in SETTINGS if s.secret}
        shown = {
            a: "***" if a in secrets and getattr(self, a) else getattr(self, a)
            for a in self.__dataclass_fields__
        }
        return f"Config({', '.join(f'{k}={v!r}' for k, v in shown.items())})"


def load(environ: Mapping[str, str] | None = None) -> Config:
    """Read the settings from `environ`; by default from the process environment, then from .env.

    RISKSCAN_ENV_FILE names another file than the .env in the project's root folder; empty reads none.

    Raises:
        ConfigError: with every setting that is wrong or missing, each with its remedy.
    """
    environ = {**_from_file(), **os.environ} if environ is None else environ
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for setting in SETTINGS:
        try:
            values[setting.attribute] = setting.read(environ)
        except ValueError as error:
            values[setting.attribute] = None
            faults.append(Fault(setting.name, f"{setting.name} {error}."))
    if values["model_dir"] is None:
        try:
            values["model_dir"] = shipped_folder()
        except ConfigError as error:
            faults.append(Fault("MODEL_DIR", error.message))
    faults += [*_missing(values), *_too_few_connections(values)]
    if faults:
        raise ConfigError(
            "The settings are not usable: " + " ".join(f.message for f in faults),
            faults=tuple(faults),
        )
    _fill(values)
    return Config(**values)


def _fill(values: dict[str, Any]) -> None:
    """Derive the value of each empty setting from the others."""
    if not values["database_url"]:
        values["database_url"] = f"sqlite:///{values['data_dir'] / 'riskscan.db'}"
    if values["registration"] is None:
        is_closed = values["riskscan_env"] == "production"
        values["registration"] = "closed" if is_closed else "open"
    if values["database_pool_size"] is None:
        values["database_pool_size"] = values["threads"] + BACKGROUND_THREADS


def _from_file() -> dict[str, str]:
    named = os.environ.get("RISKSCAN_ENV_FILE")
    path = ROOT / (".env" if named is None else named)
    if named == "" or (named is None and not path.exists()):
        return {}
    return read_env_file(path, {setting.name for setting in SETTINGS})


def _missing(values: Mapping[str, Any]) -> list[Fault]:
    faults = []
    if values["riskscan_env"] == "production":
        faults += [
            Fault(name, f"{name} is missing; production has no default for it.")
            for name in ("SECRET_KEY", "JWT_SECRET", "DATABASE_URL")
            if values[name.lower()] == ""
        ]
    if values["llm_base_url"] and not values["llm_model"]:
        faults.append(Fault("LLM_MODEL", "LLM_MODEL is missing; LLM_BASE_URL needs it."))
    return faults


def _too_few_connections(values: Mapping[str, Any]) -> list[Fault]:
    threads, pool_size = values["threads"], values["database_pool_size"]
    if threads is None or pool_size is None or pool_size >= threads + BACKGROUND_THREADS:
        return []
    message = (
        f"DATABASE_POOL_SIZE={pool_size} is too small for THREADS={threads}: each thread, and "
        f"{BACKGROUND_THREADS} in the background, may hold a connection to the database; "
        f"set it to {threads + BACKGROUND_THREADS} or more, leave it empty, or lower THREADS."
    )
    return [Fault("DATABASE_POOL_SIZE", message)]
