"""HTTP calls on loopback.

Nothing speaks TLS here, so no client reads the certificates, which takes 20 ms of processor time each.
"""

import httpx

from tests.support.waiting import PATIENCE_S

HTTP = httpx.Client(
    verify=False, timeout=PATIENCE_S, limits=httpx.Limits(max_keepalive_connections=0)
)


def caller(url, **options):
    """Return a client of the service at `url`, for its user to close."""
    return httpx.Client(base_url=url, verify=False, timeout=PATIENCE_S, **options)
