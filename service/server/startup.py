"""Start-up: the database brought to its schema, the model proved, the port opened."""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from alembic.util import CommandError
from apiflask import APIFlask
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from db import migrate
from db.database import Database, is_unavailable
from db.engines import open_unpooled_engine
from db.queries import deployments
from service.api.current import EXTENSION
from service.app import close_app, create_app
from service.config.database_address import shown
from service.config.development_keys import with_development_keys
from service.config.settings import Config
from service.domain.accounts.accounts import Accounts
from service.domain.accounts.tokens import TokenMaker
from service.domain.accounts.user_admin import UserAdmin
from service.domain.audit import Actor
from service.domain.deployments.deployments import Deployments
from service.domain.reviews.export import FeedbackExport
from service.domain.services import Services
from service.domain.transactions import Transactions, open_database, unusable_database
from service.errors import ConfigError, DatabaseUnavailable, RiskscanError
from service.nlp.artifacts.registry import Registry
from service.observability import logging as logs
from service.server.banner import print_banner
from service.server.server import Server

_RETRY_S = 2.0
_log = logging.getLogger(__name__)


def serve(config: Config) -> None:
    """Serve until a signal ends it; a database that is away delays readiness, not the start."""
    logs.configure(config.log_level)
    app = create_app(config)
    stopped = threading.Event()
    try:
        _upgrade_now_or_later(config, stopped)
        _follow_deployments(app)
        server = Server(app, config)
        # Start-up objects live as long as the process. Without them a full garbage collection stops the
        # threads for 5 ms instead of 140 (AMD EPYC, November 2026).
        gc.freeze()
        print_banner(config, server.port)
        server.run()
    finally:
        stopped.set()
        close_app(app)


def upgrade_database(config: Config) -> str:
    """Bring the schema to the newest revision and return it.

    Raises:
        DatabaseUnavailable: the database does not answer, or another process migrates for too long.
        ConfigError: it answers and refuses.
    """
    try:
        migrate.upgrade(config.database_url)
    except CommandError as error:
        raise ConfigError(
            "The database schema is newer than this version knows; run the version that made it."
        ) from error
    except (SQLAlchemyError, migrate.MigrationsBusy) as error:
        remedy = "Check DATABASE_URL, that the server runs, and that its user may create tables."
        database = shown(config.database_url)
        what = f"The database {database} could not be migrated ({type(error).__name__})."
        is_away = isinstance(error, migrate.MigrationsBusy) or is_unavailable(error)
        raise (DatabaseUnavailable if is_away else ConfigError)(f"{what} {remedy}") from error
    except OSError as error:
        raise unusable_database(config, error) from error
    return migrate.head()


def _upgrade_now_or_later(config: Config, stopped: threading.Event) -> None:
    try:
        upgrade_database(config)
    except DatabaseUnavailable as error:
        _log.warning("serving, not ready: %s", error.message)
        arguments = (config, stopped)
        threading.Thread(target=_upgrade_until_done, args=arguments, daemon=True).start()


def _follow_deployments(app: APIFlask) -> None:
    """Serve, before the port opens, what was activated last; the fallback is loaded already."""
    services: Services = app.extensions[EXTENSION]
    if services.rollout is not None:
        services.rollout.start()


@contextlib.contextmanager
def models_of(config: Config) -> Iterator[Deployments]:
    """Open the models over a migrated database, for commands."""
    with _migrated(config) as transactions:
        yield Deployments(config, transactions, Registry(config.registry_dir, config.model_dir))


def activated_model(config: Config) -> str | None:
    """Return the name/version that was activated last, None where none was; changes no database.

    Raises:
        DatabaseUnavailable: the database is away, or its schema is not current.
    """
    url = make_url(config.database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return None
    transactions = Transactions(open_database(config, pool_size=1))
    try:
        newest = transactions.run(deployments.wanted).serving
    finally:
        transactions.close()
    return None if newest is None else newest.to_model


@contextlib.contextmanager
def accounts_of(config: Config) -> Iterator[Accounts]:
    """Open the accounts of a migrated database, for commands."""
    config = with_development_keys(config)
    with _migrated(config) as transactions:
        yield Accounts(config, transactions, TokenMaker(config))


@contextlib.contextmanager
def user_admin_of(config: Config) -> Iterator[UserAdmin]:
    """Open the accounts of all users in a migrated database, for commands."""
    with _migrated(config) as transactions:
        yield UserAdmin(config, transactions, actor=Actor.current_operator())


@contextlib.contextmanager
def feedback_export_of(config: Config) -> Iterator[FeedbackExport]:
    """Open the feedback of a migrated database, for commands."""
    config = with_development_keys(config)
    with _migrated(config) as transactions:
        yield FeedbackExport(transactions, secret_key=config.secret_key)


@contextlib.contextmanager
def patient_transactions(config: Config) -> Iterator[Transactions]:
    """Open a migrated database for a command whose statements may take as long as they need."""
    upgrade_database(config)
    database = Database(open_unpooled_engine(config.database_url))
    with contextlib.closing(Transactions(database)) as transactions:
        yield transactions


@contextlib.contextmanager
def _migrated(config: Config) -> Iterator[Transactions]:
    upgrade_database(config)
    transactions = Transactions(open_database(config, pool_size=1))
    try:
        yield transactions
    finally:
        transactions.close()


def _upgrade_until_done(config: Config, stopped: threading.Event) -> None:
    while not stopped.wait(_RETRY_S):
        try:
            upgrade_database(config)
        except RiskscanError as error:
            _log.warning("still not ready: %s", error.message)
        else:
            _log.info("the database answers; its schema is current")
            return
