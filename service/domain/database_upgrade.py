"""Brings the database's schema to the newest revision."""

from __future__ import annotations

import logging

from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from db import migrate
from db.database import is_unavailable
from service.config.database_address import redact
from service.config.settings import Config
from service.domain.transactions import unusable_database
from service.errors import ConfigError, DatabaseUnavailable

_TOO_NEW = (
    "The database schema is newer than this version can use; run the version that upgraded it."
)
_log = logging.getLogger(__name__)


def upgrade_database(config: Config) -> str:
    """Bring the schema to the newest revision that this code knows, and return its revision.

    A schema that a later release upgraded stays as it is if this code runs on it: so a replica of the release
    before can start again during a rolling upgrade.

    Raises:
        DatabaseUnavailable: the database does not answer, or another process migrates for too long.
        ConfigError: the database refuses.
    """
    try:
        migrate.upgrade(config.database_url)
    except CommandError as error:  # a later release upgraded the schema
        now = migrate.current(config.database_url)
        if now is not None and migrate.serves(now):
            _log.warning("a later version upgraded the schema to %s, which this one can use", now)
            return now
        raise ConfigError(_TOO_NEW) from error
    except (SQLAlchemyError, migrate.MigrationsBusy) as error:
        remedy = "Check DATABASE_URL, that the server runs, and that its user may create tables."
        database = redact(config.database_url)
        message = f"The database {database} could not be migrated ({type(error).__name__})."
        is_away = isinstance(error, migrate.MigrationsBusy) or is_unavailable(error)
        raise (DatabaseUnavailable if is_away else ConfigError)(f"{message} {remedy}") from error
    except OSError as error:
        raise unusable_database(config, error) from error
    return migrate.head()
