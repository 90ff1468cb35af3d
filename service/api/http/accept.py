"""What clients accept, and which errors browsers get as a page: not those of the API, whoever asks."""

from __future__ import annotations

import re

from flask import request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from service.api.http.problem_document import MEDIA_TYPE

API_PATHS = r"/(?:api(?:/|$)|scan$|health|metrics|docs|openapi\.json)"
"""The paths that are no pages; those of CORS_ORIGINS may read them."""


def read_accept(header: str) -> MIMEAccept:
    """Return the media types of a header Accept, in linear time.

    werkzeug takes quadratic time for a run of white space, 0.8 s for 30 kB, so runs are shortened first.
    """
    return parse_accept_header(" ".join(header.split()), MIMEAccept)


def is_page_path() -> bool:
    """Return whether the request's path is a page's, or would be if it existed."""
    return re.match(API_PATHS, request.path) is None


def prefers_page() -> bool:
    """Return whether an error of this request is shown as a page: */* and no Accept mean JSON."""
    accepted = request.accept_mimetypes
    json_quality = max(accepted[MEDIA_TYPE], accepted["application/json"])
    return is_page_path() and accepted["text/html"] > json_quality
