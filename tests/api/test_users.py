"""Administrators invite, list, change and delete accounts; people choose passwords with links."""

import secrets
import time
from datetime import UTC, datetime, timedelta

import pytest
from itsdangerous import TimestampSigner

from db.queries.audit import list_events

pytestmark = pytest.mark.every_database

USERS = "/api/v1/users"
BY_LINK = "/api/v1/auth/password/link"
ADDRESS = "new@corp.local"


@pytest.fixture
def invite(admin):
    def invite(email=None, **body):
        email = email or f"{secrets.token_hex(8)}@corp.local"
        return admin.http.post(USERS, json={"email": email, **body})

    return invite


def token_of(link):
    assert link["path"].startswith("/password#")
    return link["path"].partition("#")[2]


def choose(client, link, password="a long password"):
    return client.post(BY_LINK, json={"token": token_of(link), "password": password})


def log_in(client, email, password="a long password"):
    form = {"username": email, "password": password}
    return client.post("/api/v1/auth/login", data=form).status_code


def account(admin, user):
    return (
        f"{USERS}/{admin.http.get(USERS, params={'search': user.email}).json()['items'][0]['id']}"
    )


def test_invited_person_chooses_a_password_once(invite, client, admin):
    address = f"{secrets.token_hex(8)}@corp.local"
    answer = invite(address.upper(), role="reviewer")
    assert answer.status_code == 201
    invited = answer.json()
    path = answer.headers["Location"]
    assert (invited["email"], invited["role"], invited["state"]) == (address, "reviewer", "invited")
    assert [log_in(client, address, word) for word in ("", "a long password")] == [400, 401]
    assert choose(client, invited["password_link"]).status_code == 204
    assert log_in(client, address) == 200
    assert admin.http.get(path).json()["state"] == "enabled"
    again = choose(client, invited["password_link"], "another password")
    assert (again.status_code, again.json()["code"]) == (400, "invalid_request")
    assert log_in(client, address) == 200


def test_short_password_keeps_the_link(invite, client):
    link = invite().json()["password_link"]
    refused = choose(client, link, "short")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "password")
    assert refused.json()["detail"].startswith("The password was not changed. password: ")
    assert choose(client, link).status_code == 204


def test_link_resets_a_password_and_ends_logins_and_keys(admin, user, client):
    key = user.http.post("/api/v1/auth/keys", json={"name": "ci", "scopes": ["read"]}).json()["key"]
    link = admin.http.post(f"{account(admin, user)}/password-link").json()
    assert user.http.get("/api/v1/auth/me").status_code == 200
    assert choose(client, link).status_code == 204
    assert user.http.get("/api/v1/auth/me").status_code == 401
    assert client.get("/api/v1/auth/me", headers={"X-API-Key": key}).status_code == 401
    assert log_in(client, user.email, user.password) == 401
    assert log_in(client, user.email) == 200


def test_changed_password_ends_links(admin, user, client):
    link = admin.http.post(f"{account(admin, user)}/password-link").json()
    change = {"current_password": user.password, "new_password": "chosen meanwhile"}
    user.http.put("/api/v1/auth/password", json=change).raise_for_status()
    assert choose(client, link).status_code == 400


@pytest.mark.parametrize("cut", [0, 10, -1])
def test_incomplete_link_is_refused(invite, client, cut):
    token = token_of(invite().json()["password_link"])[:cut]
    answer = client.post(BY_LINK, json={"token": token, "password": "a long password"})
    assert answer.status_code == 400


def test_link_expires_when_it_says(invite, client, monkeypatch):
    with monkeypatch.context() as past:
        signed_at = int(time.time()) - 73 * 3600
        past.setattr(TimestampSigner, "get_timestamp", lambda _: signed_at)
        old = invite().json()["password_link"]
    assert choose(client, old).status_code == 400
    new = invite().json()["password_link"]
    lifetime = datetime.fromisoformat(new["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=71) < lifetime <= timedelta(hours=72)


def test_disabled_account_cannot_use_its_link(invite, admin, client):
    invited = invite().json()
    path = f"{USERS}/{invited['id']}"
    assert admin.http.patch(path, json={"is_disabled": True}).json()["state"] == "disabled"
    assert choose(client, invited["password_link"]).status_code == 400


def test_role_and_state_change_together_and_are_audited(admin, user, live):
    path = account(admin, user)
    changed = admin.http.patch(path, json={"role": "analyst", "is_disabled": True}).json()
    assert (changed["role"], changed["state"]) == ("analyst", "disabled")
    assert user.http.get("/api/v1/auth/me").status_code == 401
    events = live.services.transactions.read(list_events, limit=2)
    assert [event.action for event in events] == ["user.disabled", "user.role_changed"]
    assert admin.http.patch(path, json={"is_disabled": False}).json()["state"] == "enabled"


def test_last_administrator_stays(admin):
    others = [
        item
        for item in admin.http.get(USERS, params={"role": "admin", "per_page": 100}).json()["items"]
        if item["email"] != admin.email and item["state"] == "enabled"
    ]
    for other in others:
        admin.http.patch(f"{USERS}/{other['id']}", json={"role": "user"}).raise_for_status()
    path = account(admin, admin)
    answers = [
        admin.http.patch(path, json={"role": "user"}),
        admin.http.patch(path, json={"is_disabled": True}),
        admin.http.delete(path),
    ]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(409, "conflict")] * 3


def test_deleted_account_is_gone_with_what_it_owns(admin, user):
    scan_id = user.scan("The vendor may fail.").json()["scan_id"]
    path = account(admin, user)
    assert admin.http.delete(path).status_code == 204
    assert admin.http.get(path).status_code == 404
    assert admin.http.get(f"/api/v1/scans/{scan_id}").status_code == 404


def test_list_is_searched_filtered_and_paged(admin, invite):
    host = f"{secrets.token_hex(8)}.local"
    emails = [f"{name}_1@{host}" for name in ("ada", "bob", "cyd")]
    for email in emails:
        invite(email, role="auditor").raise_for_status()
    invite(f"xadax1@{host}").raise_for_status()

    def found(**query):
        pages = [admin.http.get(USERS, params={"per_page": 1, **query}).json()]
        while cursor := pages[-1]["next_cursor"]:
            pages.append(admin.http.get(USERS, params={**query, "cursor": cursor}).json())
        return [item["email"] for page in pages for item in page["items"]]

    assert found(search=f"@{host}", role="auditor") == emails[::-1]
    assert found(search=f"ADA_1@{host}") == emails[:1]
    assert found(search=f"@{host}", role="auditor", state="invited") == emails[::-1]
    assert found(search=f"@{host}", role="auditor", state="enabled") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": ADDRESS, "role": "king"}, "role"),
        ({"email": ADDRESS, "password": "not here"}, "password"),
    ],
)
def test_invalid_invitation_names_the_field(admin, body, field):
    answer = admin.http.post(USERS, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_address_with_an_account_conflicts(invite, user):
    assert invite(user.email).status_code == 409


@pytest.mark.parametrize("body", [{}, {"is_disabled": "yes"}, {"is_disabled": 0}, {"role": None}])
def test_invalid_change_is_refused(admin, user, body):
    assert admin.http.patch(account(admin, user), json=body).status_code == 400
