"""Reference pages about settings and errors, rendered from the code. cli/documentation.py writes all."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from service.config.compose_variables import COMPOSE_VARIABLES
from service.config.settings import GROUPS, SECRET_NAMES, Config
from service.problem_types import PROBLEM_TYPES

_ERRORS = """\
# Errors

Every error is an RFC 9457 `application/problem+json` document, those of the web framework included. It has
the members `type`, `title`, `status`, `detail`, `instance`, `code`, `request_id` and `errors`, which lists
every faulty field. Programs should branch on `code`: each code has one meaning.

"""
_SETTINGS = """\
# Settings

The service and every command read their settings once, at start. A variable of the process environment
takes precedence over `.env` in the project's root folder, and `.env` over the default. An empty value means
the default, except for `LOGIN_RATE_LIMIT` and `CORS_ORIGINS`. If a value is invalid, the process does not
start, and its message lists every invalid setting.

- `RISKSCAN_ENV_FILE`, in the process environment, names another file than `.env`. If it is empty, the
  process reads no file.
- The service and Docker Compose must read `.env` alike: put a value with `$` or `#` between single quotes,
  and use no backslash in a value. The service rejects a misspelled name.
- Secrets may come from files: `SECRET_KEY_FILE=/run/secrets/secret_key` names the file that contains
  `SECRET_KEY`. The secrets are %s. No output shows their values.
- `.env.example` lists every variable with its default.

"""
_COMPOSE = """
## Variables of Docker Compose

Only `compose.yaml` reads these. Compose also needs `SECRET_KEY` and `JWT_SECRET`. It sets `RISKSCAN_ENV`,
`HOST`, `PORT`, `OPS_PORT`, `DATA_DIR`, `REGISTRY_DIR`, `DATABASE_URL`, `REDIS_URL`, `BROKER_URL`, `DEVICE`,
`PIN_PROCESSES` and the worker's `BATCH_WORKERS` itself; values of these in `.env` have no effect.

"""
_EXAMPLE = """\
# Settings of the service, then those of Compose. Copy this file to .env and uncomment the lines that you
# change; commented lines show the defaults. Every command, `make` and Compose read .env, and environment
# variables override it. Put a value with $ or # between single quotes. A value cannot contain a backslash.
"""
_COMPOSE_EXAMPLE = """\
# Only Compose reads the variables below. Compose also needs SECRET_KEY and JWT_SECRET. It sets RISKSCAN_ENV,
# HOST, PORT, OPS_PORT, DATA_DIR, REGISTRY_DIR, DATABASE_URL, REDIS_URL, BROKER_URL, DEVICE,
# PIN_PROCESSES and the worker's BATCH_WORKERS itself; values of these above have no effect.
"""


def error_table() -> str:
    """Return the Markdown table of all problem types."""
    rows = (f"| `{code}` | {p.status} | {p.meaning} |\n" for code, p in PROBLEM_TYPES.items())
    return "| code | status | meaning |\n|---|---|---|\n" + "".join(rows)


def settings_table(heading: str, group: type[BaseModel]) -> str:
    """Return the heading and the Markdown table of a group of settings."""
    rows = (
        f"| `{name.upper()}` | {_code(_default(field))} | {_values(field)} | {field.description} |\n"
        for name, field in group.model_fields.items()
    )
    head = f"## {heading}\n\n| setting | default | values | meaning |\n|---|---|---|---|\n"
    return head + "".join(rows)


def compose_table() -> str:
    """Return the Markdown table of the variables that only Compose reads."""
    rows = (
        f"| `{name}` | {_code(default)} | {meaning} |\n"
        for name, (default, meaning) in COMPOSE_VARIABLES.items()
    )
    return "| variable | default | meaning |\n|---|---|---|\n" + "".join(rows)


def env_example() -> str:
    """Return the text of .env.example: every variable with its meaning and default, commented out."""
    settings = (
        _example(name.upper(), _default(field), str(field.description))
        for name, field in Config.model_fields.items()
    )
    compose = (_example(name, *variable) for name, variable in COMPOSE_VARIABLES.items())
    return "\n".join([_EXAMPLE, *settings, _COMPOSE_EXAMPLE, *compose])


def pages() -> dict[str, str]:
    """Return the text of each generated file by its path in the repository."""
    return {
        ".env.example": env_example(),
        "docs/errors.md": _ERRORS + error_table(),
        "docs/settings.md": _settings_page(),
    }


def _settings_page() -> str:
    tables = "\n".join(settings_table(*group) for group in GROUPS.items())
    return _SETTINGS % _secrets() + tables + _COMPOSE + compose_table()


def _secrets() -> str:
    return ", ".join(f"`{name}`" for name in SECRET_NAMES)


def _default(field: FieldInfo) -> str:
    """Return the default as the environment would spell it; empty where other settings decide."""
    match field.default:
        case _ if field.default_factory:
            return ""
        case None:
            return ""
        case bool(value):
            return str(value).lower()
        case tuple(origins):
            return ",".join(origins)
        case value:
            return str(value)


def _values(field: FieldInfo) -> str:
    """Return the permitted values where the type lists or bounds them."""
    if field.annotation is bool:
        return "`true`, `false`"
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(field.annotation))
    bounds = [b for m in field.metadata for b in (getattr(m, "ge", None), getattr(m, "le", None))]
    low_high = [bound for bound in bounds if bound is not None]
    return f"{low_high[0]} to {low_high[1]}" if low_high else ""


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _example(name: str, default: str, meaning: str) -> str:
    value = f'"{default}"' if " " in default else default
    return f"# {meaning}\n#{name}={value}\n"
