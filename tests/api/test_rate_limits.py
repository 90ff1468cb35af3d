"""Rate limits per user, API key and address, and the RateLimit header fields, over HTTP."""

import re
import secrets
from contextlib import closing

import pytest

from tests.api.conftest import User
from tests.support.calls import caller

ME = "/api/v1/auth/me"
KEYS = "/api/v1/auth/keys"


@pytest.fixture(scope="module")
def service(start_service):
    """A service with a limit of each kind, behind a proxy that names the clients."""
    return start_service(
        USER_RATE_LIMIT="8 per hour",
        KEY_RATE_LIMIT="3 per hour",
        ADDRESS_RATE_LIMIT="20 per hour",
        LOGIN_RATE_LIMIT="",
        TRUSTED_PROXY="127.0.0.1",
    )


@pytest.fixture
def client(service):
    """A caller from an address of its own."""
    with closing(caller(service.url)) as http:
        http.headers["X-Forwarded-For"] = f"2001:db8:0:{secrets.token_hex(2)}::1"
        yield http


@pytest.fixture
def person(client):
    user = User(client)
    user.http.headers["X-Forwarded-For"] = client.headers["X-Forwarded-For"]
    yield user
    user.http.close()


def fields(answer):
    """Return the names, remaining calls and seconds of the RateLimit field."""
    name, remaining, seconds = re.fullmatch(
        r'"(\w+)";r=(\d+);t=(\d+)', answer.headers["RateLimit"]
    ).groups()
    return name, int(remaining), int(seconds)


def test_user_beyond_the_limit_gets_429_from_every_address(person):
    person.http.headers["X-Forwarded-For"] = "2001:db8::a"
    answers = [person.http.get(ME) for _ in range(8)]  # creating the fixture spent one
    assert [answer.status_code for answer in answers] == [200] * 7 + [429]
    assert answers[-1].json()["code"] == "rate_limited"
    assert "USER_RATE_LIMIT" in answers[-1].json()["detail"]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 3600


def test_fields_name_the_limit_that_is_nearest_to_exhaustion(person):
    first, second = person.http.get(ME), person.http.get(ME)
    assert fields(first)[:2] == ("user", 6)
    assert fields(second)[:2] == ("user", 5)
    assert 0 < fields(second)[2] <= 3600
    assert second.headers["RateLimit-Policy"] == '"address";q=20;w=3600, "user";q=8;w=3600'


def test_key_has_a_limit_of_its_own(person):
    made = person.http.post(KEYS, json={"name": "machine", "scopes": ["read"]}).json()
    key = {"X-API-Key": made["key"], "Authorization": ""}
    answers = [person.http.get(ME, headers=key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    assert "KEY_RATE_LIMIT" in answers[-1].json()["detail"]
    assert fields(answers[-1])[:2] == ("key", 0)
    assert person.http.get(ME).status_code == 200


def test_address_without_an_account_is_limited_and_probes_are_not(client):
    network, _, _ = client.headers["X-Forwarded-For"].rpartition(":")
    answers = []
    for n in range(21):  # an IPv6 network of 64 bits counts as one address
        client.headers["X-Forwarded-For"] = f"{network}:{n}"
        answers.append(client.get(ME).status_code)
    assert answers == [401] * 20 + [429]
    assert client.get("/health/live").status_code == 200
    assert client.get("/login").status_code == 429
    client.headers["X-Forwarded-For"] = "2001:db8::b"
    assert client.get(ME).status_code == 401


def test_limits_are_those_of_all_processes_with_redis(start_service, redis_url):
    settings = {"USER_RATE_LIMIT": "3 per hour", "REDIS_URL": redis_url}
    first = start_service(**settings)
    second = start_service(
        **settings,
        DATABASE_URL=first.services.config.database_url,
        SECRET_KEY=first.services.signing_config.secret_key,
        JWT_SECRET=first.services.signing_config.jwt_secret,
    )
    with closing(caller(first.url)) as one:
        user = User(one)
        with closing(caller(second.url)) as other:
            other.headers["Authorization"] = user.http.headers["Authorization"]
            answers = [user.http.get(ME), other.get(ME), other.get(ME), user.http.get(ME)]
        user.http.close()
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]


def test_unreachable_redis_refuses_nobody(start_service):
    live = start_service(USER_RATE_LIMIT="3 per hour", REDIS_URL="redis://127.0.0.1:1")
    with closing(caller(live.url)) as client:
        user = User(client)
        assert user.http.get(ME).status_code == 200
        assert fields(user.http.get(ME))[:2] == ("user", 0)
        user.http.close()


def test_service_without_limits_sends_no_fields(live):
    with closing(caller(live.url)) as client:
        assert "RateLimit" not in client.get(ME).headers
