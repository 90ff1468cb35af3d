"""HTTP clients for servers on loopback.

They load no CA certificates, which would take 20 ms of processor time for each client.
"""

import httpx

from tests.support.waiting import PATIENCE_S

HTTP = httpx.Client(
    verify=False, timeout=PATIENCE_S, limits=httpx.Limits(max_keepalive_connections=0)
)


def caller(url, **options):
    """Return a client of the service at `url`; the test closes it."""
    return httpx.Client(base_url=url, verify=False, timeout=PATIENCE_S, **options)
