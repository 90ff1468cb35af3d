"""A service with a provider for single sign-on, both on loopback."""

import secrets
from contextlib import closing

import pytest

from tests.api.sso.log_ins import PASSWORD, sso_settings
from tests.fakes.oidc_provider import OidcProvider
from tests.support.calls import caller


@pytest.fixture(scope="module")
def provider():
    server = OidcProvider()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def honest(provider):
    provider.behave()


@pytest.fixture(scope="module")
def sso(provider, database_url, start_service):
    claim = {"OIDC_ROLE_CLAIM": "realm_access.roles", "OIDC_ROLE_MAP": "boss=admin,judge=reviewer"}
    return start_service(DATABASE_URL=database_url, **claim, **sso_settings(provider))


@pytest.fixture
def browse(sso):
    with closing(caller(sso.url)) as http:
        yield http


@pytest.fixture
def fresh(provider, start_service):
    """Start a service that has not met the provider yet."""
    return lambda **settings: start_service(**{**sso_settings(provider), **settings})


@pytest.fixture
def admin(sso):
    """An administrator with a password."""
    email = f"{secrets.token_hex(8)}@corp.local"
    sso.services.accounts.register(email, PASSWORD, role="admin")
    with closing(caller(sso.url)) as http:
        form = {"username": email, "password": PASSWORD}
        token = http.post("/api/auth/login", data=form).raise_for_status().json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http
