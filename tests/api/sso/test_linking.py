"""The owner of an address, whom the provider verified, gets its account, and nobody else keeps access."""

from contextlib import closing

import pytest

from service.domain.audit import Actor
from tests.api.sso.log_ins import USERS, events, log_in, me, state_of
from tests.api.test_api_keys import create
from tests.support.calls import caller

pytestmark = pytest.mark.every_database
HOOK = {"name": "tickets", "url": "https://hooks.example.com/in"}


@pytest.fixture
def client(sso):
    with closing(caller(sso.url)) as http:
        yield http


@pytest.fixture
def account(new_user, provider):
    """Make an account by `register`, by itself if None, for the address that the provider will send."""

    def make(register=None):
        user = new_user(register)
        provider.claims["email"] = user.email
        return user

    return make


@pytest.fixture
def accepting(fresh):
    """A service that creates accounts for addresses that the provider has not verified."""
    return fresh(OIDC_UNVERIFIED_EMAIL="accept")


def accesses(user, key):
    """Return what the log-in, the refresh token, the password and a key of an account come to."""
    form = {"username": user.email, "password": user.password}
    token = {"refresh_token": user.tokens["refresh_token"]}
    return [
        user.http.get("/api/v1/auth/me").status_code,
        user.client.post("/api/v1/auth/refresh", json=token).status_code,
        user.client.post("/api/v1/auth/login", data=form).status_code,
        user.client.get("/api/v1/scans", headers={"X-API-Key": key}).status_code,
    ]


def test_registered_account_is_its_owners_alone_once_linked(sso, browse, account, admin):
    stranger = account()
    key = create(stranger).raise_for_status().json()["key"]
    hook = stranger.http.post("/api/v1/webhooks", json=HOOK).raise_for_status().json()
    stranger.scan().raise_for_status()
    assert log_in(browse).status_code == 200
    assert me(browse)["id"] == stranger.id
    assert accesses(stranger, key) == [401, 401, 401, 401]
    assert browse.get(f"/api/v1/webhooks/{hook['id']}").status_code == 404
    assert len(browse.get("/api/scans").json()["items"]) == 1
    assert state_of(admin, stranger.email) == "sso"
    taken = {"n_logins": 1, "n_keys": 1, "n_webhooks": 1, "n_identities": 0}
    assert events(sso, "user.linked")[-1].items() >= taken.items()


def test_password_link_of_a_registered_account_ends_when_it_is_linked(browse, account, admin):
    stranger = account()
    link = admin.post(f"{USERS}/{stranger.id}/password-link", json={}).raise_for_status().json()
    log_in(browse)
    body = {"token": link["path"].partition("#")[2], "password": "another password"}
    assert admin.post("/api/v1/auth/password/link", json=body).status_code == 400


def test_account_of_the_operator_keeps_its_password_and_keys(sso, browse, account):
    def by_operator(email, password):
        sso.services.accounts.register(email, password, actor=Actor(operator="cli:test"))

    owner = account(by_operator)
    key = create(owner).raise_for_status().json()["key"]
    assert log_in(browse).status_code == 200
    assert me(browse)["id"] == owner.id
    assert accesses(owner, key) == [200, 200, 200, 200]


def test_account_of_an_invitation_keeps_the_password_that_its_owner_chose(browse, account, admin):
    def by_invitation(email, password):
        link = admin.post(USERS, json={"email": email}).raise_for_status().json()["password_link"]
        body = {"token": link["path"].partition("#")[2], "password": password}
        admin.post("/api/v1/auth/password/link", json=body).raise_for_status()

    owner = account(by_invitation)
    assert log_in(browse).status_code == 200
    assert owner.http.get("/api/v1/auth/me").json()["id"] == me(browse)["id"]
    assert state_of(admin, owner.email) == "enabled"


@pytest.mark.parametrize("verified", [False, None, "true"])
def test_unverified_address_gets_no_account(provider, browse, admin, verified):
    provider.claims["email_verified"] = verified
    answer = log_in(browse)
    assert answer.status_code == 403
    assert "OIDC_UNVERIFIED_EMAIL" in answer.text
    query = {"search": provider.claims["email"]}
    assert admin.get(USERS, params=query).json()["items"] == []


def test_owner_gets_the_account_that_an_unverified_address_got(accepting, provider):
    honest_claims = dict(provider.claims)
    provider.claims |= {"sub": "somebody-else", "email_verified": False}
    stranger_claims = dict(provider.claims)
    with closing(caller(accepting.url)) as stranger, closing(caller(accepting.url)) as owner:
        assert log_in(stranger).status_code == 200
        user_id = me(stranger)["id"]
        provider.claims = honest_claims
        assert log_in(owner).status_code == 200
        assert me(owner)["id"] == user_id
        assert stranger.get("/api/auth/me").status_code == 401
        provider.claims = stranger_claims
        assert log_in(stranger).status_code == 403
        assert events(accepting, "user.linked")[-1]["n_identities"] == 1
