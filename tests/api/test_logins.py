"""The caller's log-ins and password, and their audit events and log lines."""

import concurrent.futures
import logging
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from db.tables import Login
from service.domain.accounts import user_admin
from service.domain.audit import Actor
from tests.support.calls import caller

PASSWORD = "/api/v1/auth/password"
LOGINS = "/api/v1/auth/logins"


@pytest.fixture
def log_in_again(user):
    """Log `user` in again, each time with a new client."""
    opened = []

    def log_in(password=user.password):
        form = {"username": user.email, "password": password}
        pair = user.client.post("/api/auth/login", data=form).raise_for_status().json()
        opened.append(caller(user.client.base_url))
        opened[-1].headers["Authorization"] = f"Bearer {pair['access_token']}"
        opened[-1].refresh_token = pair["refresh_token"]
        return opened[-1]

    yield log_in
    for http in opened:
        http.close()


def change(user, current, new):
    return user.http.put(PASSWORD, json={"current_password": current, "new_password": new})


def newest_events(admin, n):
    answer = admin.http.get("/api/admin/audit-events", params={"per_page": n})
    return answer.raise_for_status().json()["items"]


def test_password_change_ends_other_logins_only(user, log_in_again):
    other = log_in_again()
    assert change(user, user.password, "a new password").status_code == 204
    assert user.http.get("/api/auth/me").status_code == 200
    assert other.get("/api/auth/me").status_code == 401
    refresh = {"refresh_token": other.refresh_token}
    assert user.client.post("/api/auth/refresh", json=refresh).status_code == 401


def test_password_change_applies_to_the_next_login(user, log_in_again):
    change(user, user.password, "a new password")
    assert log_in_again("a new password").get("/api/auth/me").status_code == 200
    old = {"username": user.email, "password": user.password}
    assert user.client.post("/api/auth/login", data=old).status_code == 401


def test_password_change_with_faults_lists_all_and_changes_nothing(user):
    answer = change(user, "not the password", "short")
    assert answer.status_code == 400
    fields = [error["field"] for error in answer.json()["errors"]]
    assert fields == ["current_password", "new_password"]
    assert change(user, user.password, "long enough").status_code == 204


def test_password_change_concurrently_has_one_winner(user):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: change(user, user.password, f"password {n}"), range(4)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 204
    assert set(statuses[1:]) <= {400, 409}


def test_password_change_beyond_the_rate_limit_is_429(start_service):
    url = start_service(LOGIN_RATE_LIMIT="2 per minute").url
    account = {"email": "a@corp.local", "password": "long enough"}
    with caller(url) as http:
        http.post("/api/auth/register", json=account).raise_for_status()
        form = {"username": account["email"], "password": account["password"]}
        token = http.post("/api/auth/login", data=form).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        body = {"current_password": "a guess", "new_password": "long enough"}
        statuses = [http.put(PASSWORD, json=body).status_code for _ in range(3)]
    assert statuses == [400, 400, 429]


def test_logins_are_listed_newest_first_with_the_current_marked(user, log_in_again):
    newer = log_in_again()
    items = user.http.get(LOGINS).json()["items"]
    assert [item["is_current"] for item in items] == [False, True]
    assert {item["client_address"] for item in items} == {"127.0.0.1"}
    assert all(item["created_at"] <= item["last_used_at"] for item in items)
    assert [item["is_current"] for item in newer.get(LOGINS).json()["items"]] == [True, False]


def test_logins_are_paged(user, log_in_again):
    for _ in range(2):
        log_in_again()
    first = user.http.get(LOGINS, params={"per_page": 2})
    second = user.http.get(LOGINS, params={"per_page": 2, "cursor": first.json()["next_cursor"]})
    pages = [first.json()["items"], second.json()["items"]]
    assert [len(page) for page in pages] == [2, 1]
    assert len({item["id"] for page in pages for item in page}) == 3
    assert second.json()["next_cursor"] is None


def test_refresh_updates_last_used_at(user):
    [before] = user.http.get(LOGINS).json()["items"]
    user.client.post("/api/auth/refresh", json={"refresh_token": user.tokens["refresh_token"]})
    [after] = user.http.get(LOGINS).json()["items"]
    assert after["last_used_at"] > before["last_used_at"]
    assert after["created_at"] == before["created_at"]


def test_request_updates_last_used_at_to_the_minute(user, live):
    ago = datetime.now(UTC) - timedelta(hours=1)
    used_long_ago = update(Login).where(Login.user_id == UUID(user.id)).values(last_used_at=ago)
    live.services.transactions.run(lambda s: s.execute(used_long_ago))
    user.http.get("/api/auth/me")
    [login] = user.http.get(LOGINS).json()["items"]
    assert datetime.fromisoformat(login["last_used_at"]) > ago + timedelta(minutes=59)


def test_login_ended_is_revoked_and_no_longer_listed(user, log_in_again):
    other = log_in_again()
    newest = user.http.get(LOGINS).json()["items"][0]
    assert [user.http.delete(f"{LOGINS}/{newest['id']}").status_code for _ in "12"] == [204, 204]
    assert other.get("/api/auth/me").status_code == 401
    assert [item["is_current"] for item in user.http.get(LOGINS).json()["items"]] == [True]


def test_login_of_another_user_is_not_found(user, new_user):
    [login] = new_user().http.get(LOGINS).json()["items"]
    answer = user.http.delete(f"{LOGINS}/{login['id']}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_logins_deleted_ends_all(user, log_in_again):
    other = log_in_again()
    assert user.http.delete(LOGINS).status_code == 204
    assert [http.get(LOGINS).status_code for http in (user.http, other)] == [401, 401]


def test_account_disabled_is_rejected_at_once(user, live):
    parts = live.services
    user_id = parts.transactions.read(user_admin.id_of, user.email)
    parts.transactions.run(user_admin.disable, user_id, actor=Actor(operator="cli:root"))
    form = {"username": user.email, "password": user.password}
    refresh = {"refresh_token": user.tokens["refresh_token"]}
    answers = [user.http.get("/api/auth/me"), user.scan("The vendor may fail.")]
    answers += [user.client.post("/api/auth/login", data=form)]
    answers += [user.client.post("/api/auth/refresh", json=refresh)]
    assert [answer.status_code for answer in answers] == [401] * 4


def test_login_audit_events_name_account_and_address(user, admin):
    form = {"username": user.email, "password": "wrong password"}
    user.client.post("/api/auth/login", data=form)
    user.client.post("/api/auth/login", data={**form, "username": "nobody@corp.local"})
    unknown, failed = newest_events(admin, 2)
    assert (failed["action"], failed["object_id"], failed["user_id"]) == (
        "login.failed",
        user.id,
        None,
    )
    assert failed["detail"] == {"reason": "wrong password", "client_address": "127.0.0.1"}
    assert (unknown["object_id"], unknown["detail"]["reason"]) == (None, "unknown address")


def test_request_log_names_account_and_address(user, caplog):
    caplog.set_level(logging.INFO, logger="service.api.http.request_hooks")
    form = {"username": user.email, "password": user.password}
    user.client.post("/api/auth/login", data=form)
    user.http.get("/api/auth/me")
    lines = [record.fields for record in caplog.records if record.msg == "request"]
    assert [str(line["user_id"]) for line in lines] == [user.id, user.id]
    assert {line["client_address"] for line in lines} == {"127.0.0.1"}


def test_registration_closed_is_403_with_a_remedy(start_service):
    live = start_service(REGISTRATION="closed")
    account = {"email": "a@corp.local", "password": "long enough"}
    with caller(live.url) as http:
        answer = http.post("/api/auth/register", json=account)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "users create" in answer.json()["detail"]
        live.services.accounts.register(**account)
        form = {"username": account["email"], "password": account["password"]}
        assert http.post("/api/auth/login", data=form).status_code == 200


@pytest.mark.parametrize(("environment", "status"), [("production", 403), ("development", 201)])
def test_registration_in_production_is_closed_by_default(
    start_service, tmp_path, environment, status
):
    database = f"sqlite:///{tmp_path / 'r.db'}"
    live = start_service(RISKSCAN_ENV=environment, DATABASE_URL=database)
    account = {"email": "a@corp.local", "password": "long enough"}
    with caller(live.url) as http:
        assert http.post("/api/auth/register", json=account).status_code == status
