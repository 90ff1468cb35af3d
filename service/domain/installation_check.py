"""Checks an installation: what a process needs to start and to scan, each with its remedy."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx

from db import migrate
from db.queries.audit import list_unsealed, newest_seal
from db.queries.clock import server_time
from db.queries.deployments import desired_state
from service.config.database_address import redact
from service.config.settings import Config
from service.config.shipped_model import shipped_folders
from service.domain.accounts.oidc_provider import OidcProvider
from service.domain.limit_storage import open_storage
from service.domain.search.index_calls import IndexCalls
from service.domain.transactions import Transactions, open_database
from service.errors import ConfigError, DatabaseUnavailable, IndexerUnavailable, RiskscanError
from service.nlp.analyzers.factory import open_model
from service.nlp.artifacts.registry import Registry
from service.nlp.inference.default_model import default_folder
from service.nlp.observer import Observer

TIMEOUT_S = 5.0
MAX_CLOCK_S = 5.0
"""The check fails if the clocks of this machine and of the database differ by more."""
MAX_UNSEALED = timedelta(hours=1)
"""Age of an event without a seal at which the check fails; the service seals each minute."""
MIN_FREE_BYTES = 1 << 30
"""Below so much free space a folder fails its check."""

_NEED_DATABASE = {"clock", "audit trail", "activated model"}


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one check; `text` is what was found, or the remedy."""

    name: str
    is_ok: bool
    text: str


def check_installation(config: Config) -> Iterator[Result]:
    """Yield the result of each check as soon as it is known; none raises."""
    checks: dict[str, Callable[[Config], str]] = {
        "data folder": _data_folder,
        "database": _database,
        "clock": _clock,
        "audit trail": _audit_trail,
        "activated model": _activated_model,
        "model": _model,
        "rate limits": _rate_limits,
        "LLM": _llm,
        "AI service": _ai_service,
        "index service": _index_service,
        "single sign-on": _single_sign_on,
    }
    is_without_database = False
    for name, check in checks.items():
        if is_without_database and name in _NEED_DATABASE:
            continue
        try:
            yield Result(name, is_ok=True, text=check(config))
        except RiskscanError as error:
            is_without_database |= name == "database"
            yield Result(name, is_ok=False, text=error.message)


def _data_folder(config: Config) -> str:
    folder = config.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0")
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise ConfigError(
            f"DATA_DIR {folder} cannot be written: {error.strerror}. Let this user write it, or set DATA_DIR."
        ) from error
    free = f"{free_bytes / (1 << 30):.1f} GiB free"
    if free_bytes < MIN_FREE_BYTES:
        raise ConfigError(f"DATA_DIR {folder} has only {free}. Free some space.")
    return f"{folder} can be written, {free}"


def _database(config: Config) -> str:
    try:
        with _transactions(config) as transactions:
            transactions.ping()
            transactions.prove_writable()
    except DatabaseUnavailable as error:
        raise ConfigError(
            f"{redact(config.database_url)}: {error.message} Check DATABASE_URL, and that its server runs."
        ) from error
    return f"{redact(config.database_url)} can be written, schema {migrate.head()}"


def _clock(config: Config) -> str:
    with _transactions(config) as transactions:
        began = datetime.now(UTC)
        theirs = transactions.read(server_time)
        ended = datetime.now(UTC)
    if theirs is None:
        return "the embedded database has that of this machine"
    apart_s = max((began - theirs).total_seconds(), (theirs - ended).total_seconds(), 0.0)
    if apart_s > MAX_CLOCK_S:
        raise ConfigError(
            f"The clocks of this machine and of the database are {apart_s:,.0f} s apart. Synchronize both, "
            "for example with chrony: tokens, limits and the order of events depend on them."
        )
    return "that of the database agrees"


def _audit_trail(config: Config) -> str:
    with _transactions(config) as transactions:
        unsealed = transactions.read(list_unsealed, limit=1)
        newest = transactions.read(newest_seal)
    now = datetime.now(UTC)
    if unsealed and now - unsealed[0].created_at > MAX_UNSEALED:
        raise ConfigError(
            f"Events since {unsealed[0].created_at:%F %R} UTC have no seal. Start the service, which seals "
            "them, or run `python -m service audit seal`."
        )
    if newest is None:
        return "no event is sealed yet"
    return f"{newest.last_n} events are sealed, the newest seal is of {newest.sealed_at:%F %R} UTC"


def _activated_model(config: Config) -> str:
    """Check the folder of the model that a process changes to after its start."""
    if config.ai_service_url:
        return "not needed: AI_SERVICE_URL analyzes"
    with _transactions(config) as transactions:
        newest = transactions.read(desired_state).serving
    if newest is None:
        return "none: the model of the settings serves"
    default = default_folder(config)
    registry = Registry(config.registry_dir, default, shipped=shipped_folders())
    model = newest.to_model or ""
    if fault := registry.entry(model).fault:
        raise ConfigError(
            f"{model} was activated and cannot serve: {fault} Copy its folder into REGISTRY_DIR "
            f"{config.registry_dir}, or run `python -m service models rollback`."
        )
    return f"{model} is in the registry"


@contextlib.contextmanager
def _transactions(config: Config) -> Iterator[Transactions]:
    with closing(Transactions(open_database(config, pool_size=1))) as transactions:
        yield transactions


def _model(config: Config) -> str:
    if config.ai_service_url:
        return "not needed: AI_SERVICE_URL analyzes"
    with closing(open_model(config, default_folder(config))) as analyzer:
        return f"{analyzer.model_name} {analyzer.model_version} reproduces its golden scores"


def _rate_limits(config: Config) -> str:
    url = config.rate_limit_storage_url
    if url.startswith("memory:"):
        return "counted by each process"
    if not open_storage(url).check():
        raise ConfigError(
            "REDIS_URL or RATE_LIMIT_STORAGE_URL does not answer; each process counts by itself until it "
            "does. Start that server, or correct the address."
        )
    return "the shared storage answers"


def _llm(config: Config) -> str:
    if config.llm == "off":
        return "switched off (LLM=off): force_llm answers 501"
    if not config.llm_base_url:
        return "not configured: force_llm answers 501"
    url, key = f"{config.llm_base_url.rstrip('/')}/models", config.llm_api_key
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    status = _status(url, setting="LLM_BASE_URL", headers=headers)
    if status in {401, 403}:
        raise ConfigError(f"LLM_BASE_URL rejects LLM_API_KEY with {status}. Correct the key.")
    return f"answers {status}; {config.llm_model} was not asked"


def _ai_service(config: Config) -> str:
    if not config.ai_service_url:
        return "not configured"
    return f"answers {_status(config.ai_service_url, setting='AI_SERVICE_URL', headers={})}"


def _index_service(config: Config) -> str:
    if not config.indexer_url:
        return "not configured"
    try:
        IndexCalls(config, Observer()).listed(None, limit=1, timeout_s=TIMEOUT_S)
    except IndexerUnavailable as error:
        raise ConfigError(f"{error.message} Start that server, or correct the setting.") from error
    return "lists its items"


def _single_sign_on(config: Config) -> str:
    if not config.oidc_issuer:
        return "not configured"
    OidcProvider(config).discover()
    return f"{config.oidc_issuer} answers, and names itself as the issuer"


def _status(url: str, *, setting: str, headers: dict[str, str]) -> int:
    try:
        status = httpx.get(url, headers=headers, timeout=TIMEOUT_S).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigError(
            f"{setting} does not answer ({type(error).__name__}). Start that server, or correct the address."
        ) from error
    if status >= 500:
        raise ConfigError(f"{setting} answers {status}. Look at that server's log.")
    return status
