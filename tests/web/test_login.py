"""Log-in by form and cookie: what the cookie allows, to whom, and when it ends."""

import pytest

from service.api.http.login_cookie import COOKIE, CSRF_HEADER
from tests.support.calls import HTTP
from tests.support.sentences import FLOW_TEXT
from tests.web.conftest import OWN_FORM, PASSWORD

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
STRICT_POLICY = {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'"}


def scan(visitor, **headers):
    return visitor.http.post("/api/scan", json={"text": FLOW_TEXT}, headers=headers)


def test_root_shows_browsers_the_log_in_and_leads_clients_to_the_documentation(client):
    page = client.get("/", headers=HTML)
    assert (page.status_code, page.headers["Location"]) == (303, "/login")
    other = client.get("/", headers={"Accept": "application/json"})
    assert (other.status_code, other.headers["Location"]) == (302, "/docs")
    assert '</openapi.json>; rel="service-desc"' in other.headers["Link"]


def test_visitor_who_registers_is_logged_in(visitor):
    page = visitor.http.get("/", headers=HTML)
    assert page.status_code == 200
    assert visitor.email in page.text


def test_cookie_is_hidden_from_scripts_and_other_sites(new_visitor):
    visitor = new_visitor()
    answer = visitor.send("/register", email=visitor.email, password=PASSWORD)
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie  # plain http


def test_cookie_behind_a_proxy_with_tls_is_secure(start_service, new_visitor):
    visitor = new_visitor(start_service(TRUSTED_PROXY="127.0.0.1").url)
    headers = {**OWN_FORM, "X-Forwarded-Proto": "https"}
    answer = visitor.send("/register", headers, email=visitor.email, password=PASSWORD)
    assert "Secure" in answer.headers["Set-Cookie"].split("; ")


def test_pages_have_a_strict_policy(visitor, client):
    for answer in (visitor.http.get("/", headers=HTML), client.get("/login")):
        policy = dict(
            p.split(" ", 1) for p in answer.headers["Content-Security-Policy"].split("; ")
        )
        assert policy.items() >= STRICT_POLICY.items()
        assert "style=" not in answer.text
        assert all(
            part.startswith((' src="/', ' type="module" src="/'))
            for part in answer.text.split("<script")[1:]
        )


def test_cookie_reads_the_api_and_changes_it_only_with_the_csrf_token(visitor, new_visitor):
    other = new_visitor().register()
    assert visitor.http.get("/api/auth/me").json()["email"] == visitor.email
    assert scan(visitor).status_code == 403
    assert scan(visitor, **{CSRF_HEADER: other.csrf_token()}).status_code == 403
    assert scan(visitor, **{CSRF_HEADER: visitor.csrf_token()}).status_code == 201


def test_pages_of_cors_origins_read_the_api_but_no_csrf_token(visitor):
    origin = "http://localhost:3000"
    allowed = "Access-Control-Allow-Origin"
    answer = visitor.http.get("/api/auth/me", headers={"Origin": origin})
    assert answer.headers[allowed] == origin
    for path in ("/", "/settings"):
        page = visitor.http.get(path, headers={**HTML, "Origin": origin})
        assert "csrf-token" in page.text
        assert allowed not in page.headers


def test_large_upload_with_a_cookie_is_accepted(visitor):
    files = {"file": ("notes.txt", b"The supplier went bankrupt. " + b" " * 100_000)}
    headers = {CSRF_HEADER: visitor.csrf_token()}
    answer = visitor.http.post("/api/scan", files=files, headers=headers)
    assert answer.status_code == 201


def test_cookie_is_no_access_token(visitor):
    headers = {"Authorization": f"Bearer {visitor.http.cookies[COOKIE]}"}
    assert HTTP.get(visitor.http.base_url.join("/api/auth/me"), headers=headers).status_code == 401


def test_access_token_beats_a_cookie(visitor, user):
    headers = {"Authorization": user.http.headers["Authorization"]}
    assert visitor.http.get("/api/auth/me", headers=headers).json()["email"] == user.email
    assert scan(visitor, **headers).status_code == 201


def test_log_out_ends_the_cookie_for_good(visitor):
    cookie = {"Cookie": f"{COOKIE}={visitor.http.cookies[COOKIE]}"}
    assert visitor.send("/logout").status_code == 403
    assert visitor.send("/logout", csrf_token=visitor.csrf_token()).headers["Location"] == "/login"
    assert COOKIE not in visitor.http.cookies
    assert HTTP.get(visitor.http.base_url.join("/api/auth/me"), headers=cookie).status_code == 401


def test_log_out_form_of_another_site_leaves_the_cookie_alone(client):
    # The browser sends no SameSite=Strict cookie with it, but would obey an answer that deletes one.
    answer = client.post("/logout", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert "Set-Cookie" not in answer.headers


def test_log_out_removes_a_cookie_that_has_ended(client):
    answer = client.post("/logout", headers={"Cookie": f"{COOKIE}=ended"})
    assert answer.headers["Set-Cookie"].startswith(f"{COOKIE}=;")


def test_log_in_of_a_page_is_listed_among_the_accounts_log_ins(visitor):
    [login] = visitor.http.get("/api/auth/logins").json()["items"]
    assert login["is_current"]


def test_wrong_password_shows_the_form_with_the_reason(visitor, new_visitor):
    answer = new_visitor().send("/login", email=visitor.email, password="wrong horse")
    assert answer.status_code == 401
    assert "address or the password is wrong" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_short_password_is_explained_beside_its_field(new_visitor):
    visitor = new_visitor()
    answer = visitor.send("/register", email=visitor.email, password="short")
    assert answer.status_code == 400
    assert 'class="hint fault" id="password-hint"' in answer.text


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.test"}, {}]
)
def test_log_in_sent_by_another_site_is_rejected(visitor, new_visitor, headers):
    answer = new_visitor().send("/login", headers, email=visitor.email, password=PASSWORD)
    assert answer.status_code == 403


def test_closed_registration_has_no_page(start_service, new_visitor):
    visitor = new_visitor(start_service(REGISTRATION="closed").url)
    assert visitor.http.get("/register").status_code == 404
    assert visitor.send("/register", email=visitor.email, password=PASSWORD).status_code == 404
    assert "/register" not in visitor.http.get("/login").text


@pytest.mark.parametrize(
    ("following", "place"),
    [
        ("/scans?x=1", "/scans?x=1"),
        ("//evil.test", "/"),
        ("/\\evil.test", "/"),
        ("https://evil.test", "/"),
        ("/a\r\nb", "/"),
        ("", "/"),
    ],
)
def test_log_in_leads_only_to_places_of_this_site(visitor, new_visitor, following, place):
    fields = {"email": visitor.email, "password": PASSWORD, "next": following}
    assert new_visitor().send("/login", **fields).headers["Location"] == place


def test_page_remembers_where_the_visitor_wanted_to_go(client):
    path = "/scans/01a20517-2c58-77fa-8014-627ab64adb19"
    answer = client.get(path, headers=HTML)
    assert answer.headers["Location"] == f"/login?next={path.replace('/', '%2F')}"


def test_asset_unchanged_is_304(client):
    first = client.get("/static/base.css")
    assert first.headers["Cache-Control"] == "no-cache"
    again = client.get("/static/base.css", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert client.get("/static/../site.py").status_code == 404
