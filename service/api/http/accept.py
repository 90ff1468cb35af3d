"""Which errors browsers get as a page: not those of the API, whoever asks."""

from __future__ import annotations

import re

from flask import request

from service.api.http.problem_document import MEDIA_TYPE

API_PATHS = r"/(?:api(?:/|$)|scan$|health|metrics|docs|openapi\.json)"
"""The paths that are no pages; those of CORS_ORIGINS may read them."""


def is_page_path() -> bool:
    """Return whether the request's path is a page's, or would be if it existed."""
    return re.match(API_PATHS, request.path) is None


def prefers_page() -> bool:
    """Return whether an error of this request is shown as a page: */* and no Accept mean JSON."""
    accepted = request.accept_mimetypes
    json_quality = max(accepted[MEDIA_TYPE], accepted["application/json"])
    return is_page_path() and accepted["text/html"] > json_quality
