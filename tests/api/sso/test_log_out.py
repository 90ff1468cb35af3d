"""Log-out at the single sign-on provider, and accounts that log in there alone."""

from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.api.sso.log_ins import OWN_FORM, PASSWORD, USERS, log_in, me, state_of
from tests.support.calls import caller

pytestmark = pytest.mark.every_database


def csrf_token(http):
    page = http.get("/", headers={"Accept": "text/html"}).text
    return page.split('name="csrf-token" content="')[1].split('"')[0]


def log_out(http):
    return http.post("/logout", data={"csrf_token": csrf_token(http)})


def leads_to(page):
    return page.text.split('content="0; url=')[1].split('"')[0].replace("&amp;", "&")


def test_log_out_ends_both_log_ins_and_leads_back(sso, provider, browse):
    log_in(browse)
    page = log_out(browse)
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
    assert browse.get("/api/auth/me").status_code == 401
    address = leads_to(page)
    query = parse_qs(urlsplit(address).query)
    assert query["post_logout_redirect_uri"] == [f"{sso.url}/login"]
    assert httpx.get(address).headers["Location"] == f"{sso.url}/login"
    assert provider.logged_out == [provider.claims["sub"]]
    again = browse.post("/logout", data={})
    assert again.headers["Location"] == "/login"  # the cookie is gone


def test_id_token_is_sent_to_the_log_out_alone_and_hidden_from_scripts(provider, browse):
    answer = log_in(browse)
    [cookie] = [c for c in answer.headers.get_list("Set-Cookie") if "sso_log_out" in c]
    assert provider.tokens_seen[-1] in cookie
    assert {"HttpOnly", "SameSite=Strict", "Path=/logout"} <= set(cookie.split("; "))
    assert "sso_log_out" not in browse.get("/login").request.headers.get("Cookie", "")


def test_id_token_too_long_for_a_cookie_is_left_out(provider, browse):
    provider.claims["groups"] = [f"group {n}" for n in range(400)]
    log_in(browse)
    address = leads_to(log_out(browse))
    assert "id_token_hint" not in address
    assert "client_id=riskscan" in address
    assert httpx.get(address).status_code == 302
    assert provider.logged_out == [None]


def test_form_of_another_site_logs_nobody_out(provider, browse):
    log_in(browse)
    assert browse.post("/logout", data={"csrf_token": "wrong"}).status_code == 403
    assert browse.get("/api/auth/me").status_code == 200
    assert provider.logged_out == []


def test_log_out_of_a_password_log_in_does_not_touch_the_provider(sso, provider, browse):
    log_in(browse)
    sso.services.accounts.register(email := f"p{provider.claims['email']}", PASSWORD)
    form = {"email": email, "password": PASSWORD}
    assert browse.post("/login", data=form, headers=OWN_FORM).status_code == 303
    assert log_out(browse).headers["Location"] == "/login"


@pytest.mark.parametrize("fault", ["no address", "http", "away"])
def test_log_out_works_without_the_provider(fresh, provider, fault):
    discovery = "/realms/main/.well-known/openid-configuration"
    provider.has_log_out = fault != "no address"
    _, metadata = provider.answer(discovery, {}, {}, b"")
    if fault == "http":
        metadata["end_session_endpoint"] = "http://id.example.com/logout"
    provider.overrides[discovery] = (200, metadata)
    service = fresh()
    with closing(caller(service.url)) as http:
        log_in(http)
        if fault == "away":
            service.services.single_sign_on.provider._metadata = None  # noqa: SLF001 - an hour later
            provider.overrides[discovery] = (500, b"")
        assert log_out(http).headers["Location"] == "/login"
        assert http.get("/api/auth/me").status_code == 401


def found(admin, email, state):
    query = {"search": email, "state": state}
    return len(admin.get(USERS, params=query).raise_for_status().json()["items"])


def test_account_of_the_provider_has_a_state_of_its_own(provider, browse, admin):
    log_in(browse)
    email = provider.claims["email"]
    assert state_of(admin, email) == "sso"
    assert [found(admin, email, state) for state in ("sso", "invited", "enabled")] == [1, 0, 0]
    form = {"username": email, "password": "sso"}
    assert admin.post("/api/auth/login", data=form).status_code == 401


def test_invited_person_who_logs_in_at_the_provider_is_no_longer_invited(provider, browse, admin):
    email = provider.claims["email"]
    invited = admin.post(USERS, json={"email": email}).raise_for_status().json()
    assert state_of(admin, email) == "invited"
    assert log_in(browse).status_code == 200
    assert state_of(admin, email) == "sso"
    token = invited["password_link"]["path"].partition("#")[2]
    body = {"token": token, "password": PASSWORD}
    assert admin.post("/api/v1/auth/password/link", json=body).status_code == 400


def test_administrator_may_give_such_an_account_a_password(provider, browse, admin):
    log_in(browse)
    email, user_id = provider.claims["email"], me(browse)["id"]
    link = admin.post(f"{USERS}/{user_id}/password-link", json={}).raise_for_status().json()
    body = {"token": link["path"].partition("#")[2], "password": PASSWORD}
    assert admin.post("/api/v1/auth/password/link", json=body).status_code == 204
    assert state_of(admin, email) == "enabled"
