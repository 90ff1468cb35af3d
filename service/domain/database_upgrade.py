"""Brings the database's schema to the newest revision."""

from __future__ import annotations

from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from db import migrate
from db.database import is_unavailable
from service.config.database_address import redact
from service.config.settings import Config
from service.domain.transactions import unusable_database
from service.errors import ConfigError, DatabaseUnavailable


def upgrade_database(config: Config) -> str:
    """Bring the schema to the newest revision and return it.

    Raises:
        DatabaseUnavailable: the database does not answer, or another process migrates for too long.
        ConfigError: the database refuses.
    """
    try:
        migrate.upgrade(config.database_url)
    except CommandError as error:
        raise ConfigError(
            "The database schema is newer than this version knows; run the version that upgraded it."
        ) from error
    except (SQLAlchemyError, migrate.MigrationsBusy) as error:
        remedy = "Check DATABASE_URL, that the server runs, and that its user may create tables."
        database = redact(config.database_url)
        message = f"The database {database} could not be migrated ({type(error).__name__})."
        is_away = isinstance(error, migrate.MigrationsBusy) or is_unavailable(error)
        raise (DatabaseUnavailable if is_away else ConfigError)(f"{message} {remedy}") from error
    except OSError as error:
        raise unusable_database(config, error) from error
    return migrate.head()
