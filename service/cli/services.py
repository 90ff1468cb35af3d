"""Opens the services that a command needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from service.config.settings import Config

if TYPE_CHECKING:
    from service.domain.services import Services


@contextlib.contextmanager
def open_services(config: Config, *, limit_statements: bool = True) -> Iterator[Services]:
    """Yield services over an upgraded database; `limit_statements` as in `build_services`."""
    # Imported here, so that --help and wrong arguments do not load the model's libraries.
    from service.domain.database_upgrade import upgrade_database  # noqa: PLC0415
    from service.domain.services import build_services  # noqa: PLC0415

    upgrade_database(config)
    with build_services(config, limit_statements=limit_statements) as services:
        yield services
