"""The settings: one field per environment variable, with type, default and help text.

`load` is the only place that reads the environment. Imports only errors and the rest of config.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from service.config.account_settings import AccountSettings
from service.config.batch_settings import BatchSettings
from service.config.document_settings import DocumentSettings
from service.config.environment import process_environment, read_values
from service.config.field_types import ROOT
from service.config.indexer_settings import IndexerSettings
from service.config.llm_settings import LlmSettings
from service.config.model_settings import ModelSettings
from service.config.record_settings import RecordSettings
from service.config.server_settings import ServerSettings
from service.config.sso_settings import SsoSettings
from service.config.validation import faults
from service.config.webhook_settings import WebhookSettings
from service.errors import ConfigError, Fault

__all__ = ["GROUPS", "NAMES", "ROOT", "SECRET_NAMES", "Config", "load"]

GROUPS: dict[str, type[BaseModel]] = {
    "Server and database": ServerSettings,
    "Accounts and limits": AccountSettings,
    "Single sign-on": SsoSettings,
    "Model": ModelSettings,
    "LLM": LlmSettings,
    "Documents and files": DocumentSettings,
    "Batches": BatchSettings,
    "Stored records": RecordSettings,
    "Webhooks": WebhookSettings,
    "Index service": IndexerSettings,
}
"""The groups of settings, by heading."""
_MAY_BE_EMPTY = {"LOGIN_RATE_LIMIT", "CORS_ORIGINS"}
"""Settings for which empty is a value; for all others it means the default, as in Compose files."""


# pydantic orders fields from the last base to the first; a default may read the fields before it.
class Config(
    WebhookSettings,
    RecordSettings,
    DocumentSettings,
    LlmSettings,
    IndexerSettings,
    ModelSettings,
    SsoSettings,
    AccountSettings,
    ServerSettings,
    BatchSettings,
):
    """All settings of the process; the variable PORT is the field `port`, and so on."""

    model_config = ConfigDict(frozen=True, validate_default=True, hide_input_in_errors=True)

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
