"""Production does not listen with plain HTTP for other machines unless a proxy with TLS is in front."""

import pytest

from service.config.settings import load
from service.errors import ConfigError
from service.server.transport import check_transport

PRODUCTION = {
    "RISKSCAN_ENV": "production",
    "SECRET_KEY": "s" * 32,
    "JWT_SECRET": "j" * 32,
    "DATABASE_URL": "mysql://u@h/d",
}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "riskscan.corp.local"])
def test_production_for_other_machines_needs_a_proxy(host):
    with pytest.raises(ConfigError, match=r"TRUSTED_PROXY.*HOST=127.0.0.1.*ALLOW_PLAIN_HTTP=true"):
        check_transport(load({**PRODUCTION, "HOST": host}))


@pytest.mark.parametrize(
    "settings",
    [
        {"HOST": "127.0.0.1"},
        {"HOST": "::1"},
        {"HOST": "localhost"},
        {"HOST": "0.0.0.0", "TRUSTED_PROXY": "192.0.2.1"},
        {"HOST": "0.0.0.0", "ALLOW_PLAIN_HTTP": "true"},
        {"HOST": "0.0.0.0", "RISKSCAN_ENV": "development"},
    ],
)
def test_other_settings_start(settings):
    check_transport(load({**PRODUCTION, **settings}))
