"""Log-in by single sign-on against a real provider on loopback, honest and forged."""

import base64
import hmac
import json
from contextlib import closing
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from db.tables import Role
from service.config.settings import load
from service.config.sso_settings import ROLE_NAMES
from service.domain.accounts import oidc_calls, user_admin
from service.domain.audit import Actor
from service.domain.installation_check import check_installation
from service.errors import ConfigError
from tests.api.conftest import SETTINGS
from tests.api.sso.log_ins import (
    DISCOVERY,
    OWN_FORM,
    PASSWORD,
    events,
    log_in,
    me,
    sso_settings,
    to_provider,
)
from tests.fakes.oidc_provider import CLIENT_ID
from tests.support.calls import caller

pytestmark = pytest.mark.every_database


def test_first_log_in_creates_an_account_and_later_ones_find_it(sso, provider, browse):
    assert log_in(browse).status_code == 200
    first = me(browse)
    assert (first["email"], first["role"]) == (provider.claims["email"], "user")
    provider.claims["email"] = "new-name@corp.local"
    with closing(caller(sso.url)) as later:
        assert log_in(later).status_code == 200
        assert me(later)["id"] == first["id"]


def test_verified_address_is_linked_to_its_account(sso, provider, browse):
    user = sso.services.accounts.register(provider.claims["email"], PASSWORD)
    assert log_in(browse).status_code == 200
    assert me(browse)["id"] == str(user.id)


@pytest.mark.parametrize("verified", [False, None, "true"])
def test_unverified_address_of_an_account_is_refused(sso, provider, browse, verified):
    sso.services.accounts.register(provider.claims["email"], PASSWORD)
    provider.claims["email_verified"] = verified
    answer = log_in(browse)
    assert answer.status_code == 403
    assert "email_verified" in answer.text
    assert browse.get("/api/auth/me").status_code == 401


def test_disabled_account_stays_out(sso, browse):
    log_in(browse)
    user_id = UUID(me(browse)["id"])
    sso.services.transactions.run(user_admin.disable, user_id, actor=Actor(operator="test"))
    with closing(caller(sso.url)) as http:
        answer = log_in(http)
        assert (answer.status_code, "disabled" in answer.text) == (403, True)


def test_role_follows_the_claims_at_each_log_in_but_not_from_the_last_admin(sso, provider, browse):
    for names, role in [(["judge"], "reviewer"), (["judge", "boss"], "admin"), ([], "admin")]:
        provider.claims["realm_access"] = {"roles": names}
        assert log_in(browse).status_code == 200
        assert me(browse)["role"] == role
    with_operator = [e for e in events(sso, "user.role_changed") if e.get("operator") == "sso"]
    assert len(with_operator) == 2


def test_teams_follow_the_claims_at_each_log_in(start_service, provider):
    live = start_service(OIDC_TEAM_CLAIM="teams", **sso_settings(provider))
    for name in ("Legal", "Safety", "Sales"):
        live.services.teams.create(name, actor=Actor.current_operator())
    with closing(caller(live.url)) as http:
        for names in (["legal", "SAFETY", "nobody"], ["Safety"], []):
            provider.claims["teams"] = names
            assert log_in(http).status_code == 200
            teams = {team["name"].lower() for team in me(http)["teams"]}
            assert teams == {name.lower() for name in names} - {"nobody"}
    assert [e["operator"] for e in events(live, "team.member_removed")] == ["sso", "sso"]


def test_log_ins_and_failures_are_audited_with_their_method(sso, browse):
    log_in(browse)
    assert events(sso, "user.logged_in")[-1]["method"] == "sso"
    browse.get("/login/sso/callback?state=x&code=y")
    assert events(sso, "login.failed")[-1]["reason"] == "wrong state"


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(claims, **header):
    parts = ({"alg": "none", **header}, claims)
    return ".".join(encoded(json.dumps(part).encode()) for part in parts) + "."


def forgeries(provider):
    def changed(**claims):
        return lambda honest: provider.sign({**honest, **claims})

    def with_public_key(claims):
        content = unsigned(claims, alg="HS256", kid=provider.key.kid)[:-1]
        key = provider.key.as_pem(private=False)
        return f"{content}.{encoded(hmac.digest(key, content.encode(), 'sha256'))}"

    def with_other_key(claims):
        key = RSAKey.generate_key(2048)
        return jwt.encode({"alg": "RS256", "kid": provider.key.kid}, claims, key)

    return {
        "audience": changed(aud="another-client"),
        "second audience": changed(aud=[CLIENT_ID, "x"], azp="x"),
        "issuer": changed(iss="https://evil.example"),
        "nonce": changed(nonce="replayed"),
        "expired": changed(exp=1_700_000_000),
        "none": unsigned,
        "hs256": with_public_key,
        "key": with_other_key,
        "garbage": lambda _: "a.b.c",
    }


KINDS = (
    "audience",
    "second audience",
    "issuer",
    "nonce",
    "expired",
    "none",
    "hs256",
    "key",
    "garbage",
)


@pytest.mark.parametrize("kind", KINDS)
def test_forged_id_token_is_refused(provider, browse, kind):
    provider.forge = forgeries(provider)[kind]
    answer = log_in(browse)
    assert answer.status_code == 401
    assert "ID token" in answer.text
    assert browse.get("/api/auth/me").status_code == 401


def test_other_state_or_another_browser_is_refused(sso, browse):
    back = to_provider(browse)
    with closing(caller(sso.url)) as victim:
        assert victim.get(back).status_code == 401
    assert browse.get(back.replace("state=", "state=x")).status_code == 401


def test_code_works_once(browse):
    back = to_provider(browse)
    cookie = browse.cookies["riskscan_sso"]
    assert browse.get(back).status_code == 200
    assert "riskscan_sso" not in browse.cookies
    answer = browse.get(back, headers={"Cookie": f"riskscan_sso={cookie}"})
    assert answer.status_code == 401


def test_provider_gets_pkce_and_a_callback_at_the_public_url(sso, browse):
    answer = browse.get("/login/sso")
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [f"{sso.url}/login/sso/callback"]
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize(
    ("following", "address"),
    [("/audit", "/audit"), ("//evil.example", "/"), ("https://evil.example", "/"), ("/\\e", "/")],
)
def test_log_in_leads_to_our_own_pages_only(browse, following, address):
    page = log_in(browse, f"/login/sso?next={following}").text
    assert f'content="0; url={address}"' in page
    assert "evil" not in page


def test_new_key_of_the_provider_is_fetched(provider, browse):
    assert log_in(browse).status_code == 200
    provider.rotate_key()
    assert log_in(browse).status_code == 200


BAD = {
    "giant": (200, b"{" + b" " * 600_000 + b"}"),
    "other issuer": (200, {"issuer": "https://evil.example"}),
    "not json": (200, b"<html>"),
    "error": (500, b""),
}


@pytest.mark.parametrize("kind", BAD)
def test_unusable_discovery_is_503_and_the_log_in_recovers(provider, fresh, kind):
    service = fresh()
    provider.overrides[DISCOVERY] = BAD[kind]
    with closing(caller(service.url)) as http:
        answer = http.get("/login/sso")
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
        provider.overrides.clear()
        assert log_in(http).status_code == 200


def test_provider_that_hangs_or_is_away_is_503(provider, fresh, monkeypatch):
    monkeypatch.setattr(oidc_calls, "TIMEOUT_S", 0.3)
    service = fresh()
    provider.gate.clear()
    with closing(caller(service.url)) as http:
        assert http.get("/login/sso").status_code == 503
        assert http.get("/health").status_code == 200
    away = fresh(OIDC_ISSUER="http://127.0.0.1:9/x")
    with closing(caller(away.url)) as http:
        assert http.get("/login/sso").status_code == 503


def test_password_login_off_leaves_single_sign_on_and_keys(fresh):
    service = fresh(PASSWORD_LOGIN="off")
    with closing(caller(service.url)) as http:
        body = {"email": "a@corp.local", "password": PASSWORD}
        assert http.post("/api/v1/auth/login", json=body).status_code == 403
        assert http.post("/api/v1/auth/register", json=body).status_code == 403
        assert http.post("/login", data=body, headers=OWN_FORM).status_code == 403
        page = http.get("/login").text
        assert "Sign in with single sign-on" in page
        assert 'type="password"' not in page
        assert log_in(http).status_code == 200


def test_service_without_single_sign_on_answers_501(client):
    assert client.get("/login/sso").status_code == 501
    assert "single sign-on" not in client.get("/login").text


def test_check_reports_the_provider(provider, fresh):
    config = fresh().services.config
    [result] = [r for r in check_installation(config) if r.name == "single sign-on"]
    assert result.is_ok
    provider.overrides[DISCOVERY] = BAD["other issuer"]
    [result] = [r for r in check_installation(config) if r.name == "single sign-on"]
    assert not result.is_ok


@pytest.mark.parametrize(
    "changed",
    [
        {"OIDC_ISSUER": "http://id.example.com"},
        {"OIDC_ISSUER": "https://id.example.com"},
        {"PASSWORD_LOGIN": "off"},
        {"OIDC_ROLE_MAP": "a=emperor"},
        {"OIDC_SCOPES": "email"},
    ],
)
def test_settings_that_cannot_work_are_refused(changed):
    with pytest.raises(ConfigError):
        load({**SETTINGS, **changed})


def test_roles_of_the_settings_are_those_of_accounts():
    assert tuple(Role) == ROLE_NAMES
