"""Reads the settings as text: from the process environment, from .env, and secrets from files."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from service.config.compose_variables import COMPOSE_VARIABLES
from service.config.env_file import read_env_file
from service.config.field_types import ROOT
from service.config.secret_files import read_secret
from service.errors import Fault


def process_environment(names: Collection[str], secrets: Collection[str]) -> dict[str, str]:
    """Return the environment of this process, completed from .env; the environment wins.

    RISKSCAN_ENV_FILE names another file; empty reads none. `names` are all settings, `secrets` those that a
    file may hold.

    Raises:
        ConfigError: the file is unreadable or names an unknown setting.
    """
    name = os.environ.get("RISKSCAN_ENV_FILE")
    path = ROOT / (".env" if name is None else name)
    if name == "" or (name is None and not path.exists()):
        return dict(os.environ)
    known = {*names, *(f"{secret}_FILE" for secret in secrets)}
    return {**read_env_file(path, known, other_names=COMPOSE_VARIABLES), **os.environ}


def read_values(
    environ: Mapping[str, str],
    names: Collection[str],
    secrets: Collection[str],
    *,
    may_be_empty: Collection[str],
) -> tuple[dict[str, str], list[Fault]]:
    """Return the settings that `environ` has, by name in lower case, and a fault per unreadable secret."""
    values: dict[str, str] = {}
    unreadable = []
    for name in names:
        try:
            value = read_secret(name, environ) if name in secrets else environ.get(name)
        except ValueError as error:
            unreadable.append(Fault(name, f"{name} {error}."))
        else:
            if value or (value is not None and name in may_be_empty):
                values[name.lower()] = value
    return values, unreadable
