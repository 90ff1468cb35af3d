"""Access to the services of the running application; only this file reads them from Flask."""

from __future__ import annotations

from flask import current_app

from service.domain.services import Services

EXTENSION = "riskscan"


def services() -> Services:
    """Return the services of the application that handles the current request."""
    current: Services = current_app.extensions[EXTENSION]
    return current
