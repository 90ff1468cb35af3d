"""Settings as data: name, default, parser and help of each, read once into a frozen Config.

Imports only errors. Nothing reads the environment but `load`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from service.errors import ConfigError, Fault

ROOT = Path(__file__).resolve().parent.parent
MIN_SECRET_CHARS = 32
_DATABASE_FORM = (
    "names a file (sqlite:///folder/file.db) or reads like mysql+pymysql://user:password@host/database, "
    "with special characters of the password written as %XX"
)


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


def _text(value: str) -> str:
    return value.strip()


def _flag(value: str) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if value.lower() not in known:
        raise ValueError("is true, false, 1 or 0")
    return known[value.lower()]


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"\d{1,15}", value) or not low <= int(value) <= high:
            raise ValueError(f"is a whole number from {low} to {high}")
        return int(value)

    return parse


def _optional_port(value: str) -> int | None:
    return _integer(0, 65535)(value) if value else None


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"is one of {', '.join(allowed)}")
        return value

    return parse


def _url(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("is an http:// or https:// address")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "is an address without user, password or query; keys have their own settings"
        )
    return value.rstrip("/")


def _database_url(value: str) -> str:
    known = ("sqlite:///", "mysql+pymysql://", "postgresql+psycopg://")
    if not value:
        return value
    if not value.startswith(known):
        raise ValueError(f"begins with one of {', '.join(known)}")
    try:
        database = make_url(value).database
    except (ArgumentError, ValueError):
        raise ValueError(
            _DATABASE_FORM
        ) from None  # the cause quotes the address, password included
    if not database or database == ":memory:":
        raise ValueError(_DATABASE_FORM)
    return value


def _origins(value: str) -> tuple[str, ...]:
    origins = tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
    if any(not _is_origin(origin) for origin in origins):
        raise ValueError(
            "lists origins such as http://localhost:5173, separated by commas; never *"
        )
    return origins


def _is_origin(value: str) -> bool:
    return (
        re.fullmatch(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?", value) is not None
    )


def _path(value: str) -> Path:
    return (ROOT / value).resolve()


def _rate(value: str) -> str:
    if value and not re.fullmatch(r"\d+ per (second|minute|hour|day)", value):
        raise ValueError('reads like "10 per minute", or is empty for no limit')
    return value


def _secret(value: str) -> str:
    if value and len(value) < MIN_SECRET_CHARS:
        raise ValueError(
            f"needs at least {MIN_SECRET_CHARS} characters; `openssl rand -hex 32` makes one"
        )
    return value


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "RISKSCAN_ENV",
        "development",
        _choice("development", "production"),
        "In production no secret is made up: the start stops with what is missing.",
    ),
    Setting("HOST", "127.0.0.1", _text, "Address that the service listens on."),
    Setting("PORT", "8000", _integer(0, 65535), "Port; 0 takes a free one and prints it."),
    Setting(
        "OPS_PORT",
        "",
        _optional_port,
        "Port of a second listener for /health and /metrics, which scans never delay; empty: PORT has both.",
    ),
    Setting("THREADS", "8", _integer(1, 256), "Threads that answer requests."),
    Setting(
        "TRUSTED_PROXY",
        "",
        _text,
        "Address of the proxy whose X-Forwarded-For is believed; empty believes none.",
    ),
    Setting(
        "DRAIN_TIMEOUT_S",
        "30",
        _integer(0, 3600),
        "Seconds that requests in flight may take to finish after SIGTERM.",
    ),
    Setting(
        "LOG_LEVEL", "INFO", _choice("DEBUG", "INFO", "WARNING", "ERROR"), "Least level logged."
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
        _database_url,
        "sqlite:///, mysql+pymysql:// or postgresql+psycopg:// address; empty takes SQLite in DATA_DIR.",
        secret=True,
    ),
    Setting(
        "SECRET_KEY",
        "",
        _secret,
        "Signs refresh tokens and makes the pseudonyms of exported feedback; at least 32 characters.",
        secret=True,
    ),
    Setting("JWT_SECRET", "", _secret, "Signs access tokens; at least 32 characters.", secret=True),
    Setting("JWT_ALGORITHM", "HS256", _choice("HS256"), "Algorithm of access tokens; pinned."),
    Setting(
        "ACCESS_TOKEN_EXPIRE_MINUTES", "30", _integer(1, 1440), "Life of an access token, minutes."
    ),
    Setting("REFRESH_TOKEN_EXPIRE_DAYS", "14", _integer(1, 365), "Life of a refresh token, days."),
    Setting("MIN_PASSWORD_LENGTH", "7", _integer(1, 128), "Fewest characters of a new password."),
    Setting(
        "LOGIN_RATE_LIMIT",
        "20 per minute",
        _rate,
        "Log-ins and registrations that one client address may try; empty for no limit.",
        empty_is_a_value=True,
    ),
    Setting("SCAN_RATE_LIMIT", "", _rate, "Scans that one user may ask for; empty for no limit."),
    Setting(
        "CORS_ORIGINS",
        "http://localhost:5173,http://localhost:3000",
        _origins,
        "Origins that browsers may call from, separated by commas; never *.",
        empty_is_a_value=True,
    ),
    Setting(
        "MODEL_DIR",
        "models_cache/riskscan-minilm/1.3.0",
        _path,
        "Folder of the model artifact that serves until another is activated; the fallback afterwards.",
    ),
    Setting(
        "MODELS_DIR",
        "models_cache",
        _path,
        "Folder of the model registry: what lies there as name/version may shadow, serve, and come back.",
    ),
    Setting(
        "MODEL_POLL_S",
        "5",
        _integer(1, 3600),
        "Seconds between looks for a model that was activated, rolled back or set to shadow.",
    ),
    Setting(
        "DEVICE",
        "auto",
        _choice("auto", "cpu", "cuda"),
        "Where the model runs; auto takes CUDA when torch and a GPU are there, else the CPU.",
    ),
    Setting(
        "INFERENCE_THREADS",
        "0",
        _integer(0, 256),
        "Processor threads of the model; 0 takes the CPU quota of the container or machine.",
    ),
    Setting(
        "AI_TIMEOUT_S",
        "60",
        _integer(1, 3600),
        "Seconds that one analysis may take, whichever analyzer does it.",
    ),
    Setting(
        "AI_SERVICE_URL",
        "",
        _url,
        "Another service that answers POST /scan; set, it takes the place of the model in this process.",
    ),
    Setting("AI_SERVICE_TOKEN", "", _text, "Bearer token sent to AI_SERVICE_URL.", secret=True),
    Setting(
        "AI_SERVICE_OPEN",
        "false",
        _flag,
        "Lets POST /scan be called without a token; private networks only.",
    ),
    Setting(
        "LLM_BASE_URL",
        "",
        _url,
        "OpenAI-compatible server that force_llm asks, such as http://localhost:8080/v1.",
    ),
    Setting("LLM_API_KEY", "", _text, "Key sent to LLM_BASE_URL.", secret=True),
    Setting("LLM_MODEL", "", _text, "Model name asked of LLM_BASE_URL."),
    Setting(
        "LLM_REQUEST_MODE",
        "json_schema",
        _choice("json_schema", "json_object", "text"),
        "How the LLM is held to the answer's shape: json_schema, json_object with a schema, or plain text.",
    ),
    Setting(
        "MAX_TEXT_CHARS",
        "2500000",
        _integer(1, 100_000_000),
        "Most characters of a text, and of the text extracted from a file.",
    ),
    Setting(
        "MAX_FILE_BYTES",
        "26214400",
        _integer(1, 2**31 - 1),
        "Most bytes of an uploaded file (25 MiB).",
    ),
    Setting("MAX_PAGES", "2000", _integer(1, 100_000), "Most pages of a document."),
    Setting("EXTRACT_TIMEOUT_S", "8", _integer(1, 600), "Seconds that reading one file may take."),
    Setting(
        "EXTRACT_MEMORY_BYTES",
        "805306368",
        _integer(268_435_456, 2**40),
        "Address space of the child process that reads a file (768 MiB).",
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
    trusted_proxy: str
    drain_timeout_s: int
    log_level: str
    data_dir: Path
    database_url: str
    secret_key: str
    jwt_secret: str
    jwt_algorithm: str
    access_token_expire_minutes: int
    refresh_token_expire_days: int
    min_password_length: int
    login_rate_limit: str
    scan_rate_limit: str
    cors_origins: tuple[str, ...]
    model_dir: Path
    models_dir: Path
    model_poll_s: int
    device: Literal["auto", "cpu", "cuda"]
    inference_threads: int
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
    """Read the settings from `environ` (the process environment by default).

    Raises:
        ConfigError: with every setting that is wrong or missing, each with its remedy.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for setting in SETTINGS:
        try:
            values[setting.attribute] = setting.read(environ)
        except ValueError as error:
            values[setting.attribute] = None
            faults.append(Fault(setting.name, f"{setting.name} {error}."))
    faults += _missing(values)
    if faults:
        raise ConfigError(
            "The settings are not usable: " + " ".join(f.message for f in faults),
            faults=tuple(faults),
        )
    if not values["database_url"]:
        values["database_url"] = f"sqlite:///{values['data_dir'] / 'riskscan.db'}"
    return Config(**values)


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
