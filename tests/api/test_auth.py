"""Accounts over HTTP: registration, log-in, refresh, log-out."""

import concurrent.futures
import json
import time

import argon2
import jwt
import pytest
from argon2 import PasswordHasher

from tests.api.conftest import SETTINGS
from tests.support.calls import HTTP


@pytest.fixture(scope="module", autouse=True)
def light_passwords():
    """Nothing: these tests need the service's own hashes."""


def refresh(client, token):
    return client.post("/api/auth/refresh", json={"refresh_token": token})


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_register_internal_domain_is_accepted(client):
    body = {"email": f"a{time.time_ns()}@corp.local", "password": "1234567"}
    assert client.post("/api/auth/register", json=body).status_code == 201


def test_register_bad_address_and_password_lists_both_faults(client):
    answer = client.post("/api/auth/register", json={"email": "no-address", "password": "short"})
    assert answer.status_code == 400
    assert [e["field"] for e in answer.json()["errors"]] == ["email", "password"]


def test_register_same_address_in_other_case_conflicts(client, user):
    body = {"email": user.email.upper(), "password": "another one"}
    answer = client.post("/api/auth/register", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_register_with_unknown_field_names_it(client):
    body = {"email": "a@b.org", "password": "1234567", "role": "admin"}
    answer = client.post("/api/auth/register", json=body)
    assert answer.status_code == 400
    message = "Unknown field. Known fields: email, password."
    assert answer.json()["errors"] == [{"field": "role", "message": message}]


def test_refusal_by_role_names_the_roles_that_may(user):
    refused = user.http.get("/api/v1/admin/audit-events")
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "Your role, user, does not allow this. These roles do: auditor, admin. Ask an administrator.",
    )


def test_login_failure_does_not_reveal_the_wrong_part(client, user):
    answers = [
        client.post("/api/auth/login", data={"username": name, "password": "wrong password"})
        for name in (user.email, "nobody@corp.local")
    ]
    assert [a.status_code for a in answers] == [401, 401]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]
    assert answers[0].headers["WWW-Authenticate"].startswith("Bearer")


def test_login_with_unknown_address_verifies_a_hash_of_equal_cost(client, user, monkeypatch):
    hashes = []
    verify = PasswordHasher.verify
    monkeypatch.setattr(
        PasswordHasher, "verify", lambda self, *args: hashes.append(args[0]) or verify(self, *args)
    )
    for name in (user.email, "nobody@corp.local"):
        client.post("/api/auth/login", data={"username": name, "password": "wrong password"})
    known, unknown = (argon2.extract_parameters(one) for one in hashes)
    assert known == unknown  # so that both take the same time


def test_access_token_has_the_pinned_algorithm_and_claims(user):
    token = user.tokens["access_token"]
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    claims = jwt.decode(token, SETTINGS["JWT_SECRET"], algorithms=["HS256"])
    assert {"sub", "iat", "exp", "jti"} <= set(claims)
    assert (claims["sub"], claims["exp"] - claims["iat"]) == (user.id, 1800)


@pytest.mark.parametrize(
    "change", [{"alg": "none"}, {"key": "x" * 32}, {"exp": 1}, {"drop": "jti"}]
)
def test_access_token_forged_or_expired_is_rejected(client, user, change):
    claims = jwt.decode(user.tokens["access_token"], SETTINGS["JWT_SECRET"], algorithms=["HS256"])
    claims = {k: v for k, v in claims.items() if k != change.get("drop")}
    claims["exp"] = change.get("exp", claims["exp"])
    algorithm = change.get("alg", "HS256")
    key = "" if algorithm == "none" else change.get("key", SETTINGS["JWT_SECRET"])
    forged = jwt.encode(claims, key, algorithm=algorithm)
    answer = client.get("/api/auth/me", headers=bearer(forged))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_me_returns_the_account(user):
    answer = user.http.get("/api/auth/me").json()
    assert (answer["id"], answer["email"], answer["role"]) == (user.id, user.email, "user")


def test_me_without_token_says_how_to_log_in(client):
    answer = client.get("/api/auth/me")
    assert answer.status_code == 401
    assert "/auth/login" in answer.json()["detail"]


def test_refresh_returns_a_working_pair(client, user):
    pair = refresh(client, user.tokens["refresh_token"]).raise_for_status().json()
    assert client.get("/api/auth/me", headers=bearer(pair["access_token"])).status_code == 200
    assert refresh(client, pair["refresh_token"]).status_code == 200


def test_refresh_token_reused_ends_the_login(client, user):
    old = user.tokens["refresh_token"]
    pair = refresh(client, old).raise_for_status().json()
    assert refresh(client, old).status_code == 401
    assert refresh(client, pair["refresh_token"]).status_code == 401
    assert client.get("/api/auth/me", headers=bearer(pair["access_token"])).status_code == 401


def test_refresh_token_reused_keeps_other_logins(client, user):
    form = {"username": user.email, "password": user.password}
    other = client.post("/api/auth/login", data=form).json()
    refresh(client, user.tokens["refresh_token"])
    refresh(client, user.tokens["refresh_token"])
    assert client.get("/api/auth/me", headers=bearer(other["access_token"])).status_code == 200


@pytest.mark.parametrize(
    ("token", "status"),
    [("", 400), ("x", 401), ("a.b", 401), ("\u00e9.\u00e9", 401), ("A" * 512, 401)],
)
def test_refresh_with_invalid_token_is_rejected(client, token, status):
    assert refresh(client, token).status_code == status


def test_logout_revokes_access_and_refresh_tokens(client, user):
    assert user.http.post("/api/auth/logout").status_code == 204
    assert user.http.get("/api/auth/me").status_code == 401
    assert refresh(client, user.tokens["refresh_token"]).status_code == 401


@pytest.mark.parametrize("field", ["email", "password"])
@pytest.mark.parametrize("bad", ["\x00", "\ud800"])
def test_register_with_unstorable_text_is_rejected(client, field, bad):
    body = {"email": "a@b.org", "password": "long enough", field: f"abcdefgh{bad}"}
    answer = client.post(
        "/api/auth/register", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


@pytest.mark.parametrize("bad", ["\x00", "\ud800"])
def test_login_with_unstorable_text_is_rejected(client, bad):
    body = {"username": f"a{bad}", "password": f"b{bad}"}
    answer = client.post(
        "/api/auth/login", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert [e["field"] for e in answer.json()["errors"]] == ["username", "password"]


def test_login_with_either_form_of_a_domain_succeeds(client):
    name = f"u{time.time_ns()}"
    body = {"email": f"{name}@xn--bcher-kva.example", "password": "long enough"}
    assert client.post("/api/auth/register", json=body).status_code == 201
    for typed in (body["email"], f"{name}@B\u00fccher.example"):
        form = {"username": typed, "password": "long enough"}
        assert client.post("/api/auth/login", data=form).status_code == 200


def test_refresh_concurrently_has_at_most_one_winner(client, user):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refresh(client, user.tokens["refresh_token"]), range(8)))
    statuses = sorted(a.status_code for a in answers)
    assert set(statuses) <= {200, 401}
    assert statuses.count(200) <= 1


@pytest.mark.parametrize("kind", ["json", "data"])
@pytest.mark.parametrize("name", ["email", "username"])
def test_login_with_username_or_email_in_json_or_form_succeeds(client, user, kind, name):
    body = {name: user.email, "password": user.password}
    assert client.post("/api/auth/login", **{kind: body}).status_code == 200


def test_login_with_oauth2_fields_succeeds(client, user):
    form = {"username": user.email, "password": user.password, "grant_type": "password"}
    form |= {"scope": "", "client_id": "web", "client_secret": "none", "audience": "api"}
    answer = client.post("/api/auth/login", data=form, auth=("web", "none"))
    assert (answer.status_code, answer.json()["token_type"]) == (200, "bearer")
    again = {"grant_type": "refresh_token", "refresh_token": answer.json()["refresh_token"]}
    assert client.post("/api/auth/refresh", data={**again, "scope": ""}).status_code == 200


def test_login_with_another_grant_type_names_the_oauth2_error(client, user):
    form = {"username": user.email, "password": user.password, "grant_type": "client_credentials"}
    answer = client.post("/api/auth/login", data=form)
    [fault] = answer.json()["errors"]
    assert (answer.status_code, fault["field"]) == (400, "grant_type")
    assert fault["message"].startswith("unsupported_grant_type")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["password", "username"]),
        ({"username": "", "password": ""}, ["password", "username"]),
        ({"username": "a@b.org", "email": "c@d.org"}, ["email", "password", "username"]),
    ],
)
def test_login_with_several_faults_lists_all(client, body, fields):
    answer = client.post("/api/auth/login", data=body)
    assert sorted(e["field"] for e in answer.json()["errors"]) == fields


def test_login_beyond_the_rate_limit_is_429_with_retry_after(start_service):
    live = start_service(LOGIN_RATE_LIMIT="2 per minute")
    form = {"username": "nobody@corp.local", "password": "wrong password"}
    answers = [HTTP.post(f"{live.url}/api/auth/login", data=form) for _ in range(3)]
    assert [a.status_code for a in answers] == [401, 401, 429]
    assert answers[-1].json()["code"] == "rate_limited"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
