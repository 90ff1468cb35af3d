"""Failed log-ins delay the next ones of that client, and lock no owner out."""

import secrets

import pytest

from service.domain.accounts import failed_logins
from tests.support.waiting import wait_until

pytestmark = pytest.mark.every_database

LOGIN = "/api/v1/auth/login"


@pytest.fixture(scope="module")
def live(database_url, start_service):
    """A service behind a proxy, which names the client in X-Forwarded-For."""
    return start_service(DATABASE_URL=database_url, TRUSTED_PROXY="127.0.0.1")


@pytest.fixture
def log_in(client):
    def log_in(email, password, address):
        form = {"username": email, "password": password}
        return client.post(LOGIN, data=form, headers={"X-Forwarded-For": address})

    return log_in


def fail(log_in, email, address, times=1):
    return [log_in(email, "a wrong password", address).status_code for _ in range(times)]


@pytest.mark.parametrize("exists", [True, False])
def test_fifth_failure_delays_that_client_alone(log_in, user, exists):
    email = user.email if exists else f"{secrets.token_hex(8)}@corp.local"
    assert fail(log_in, email.upper(), "192.0.2.7", 6) == [401] * 5 + [429]
    refused = log_in(email, user.password, "192.0.2.7")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    elsewhere = log_in(email, user.password, "192.0.2.8").status_code
    assert elsewhere == (200 if exists else 401)


def test_other_spellings_of_a_domain_are_the_same_account(log_in, user):
    name = user.email.partition("@")[0]
    spellings = [
        "CORP.local",
        "\uff43orp.local",
        "corp\u3002local",
        "c\uff4frp.local",
        "co\uff52p.local",
    ]
    statuses = [fail(log_in, f"{name}@{domain}", "192.0.2.17")[0] for domain in spellings]
    assert statuses == [401] * 5
    assert log_in(user.email, user.password, "192.0.2.17").status_code == 429


@pytest.mark.parametrize("email", ["nobody", "nobody@", " NoBody@@corp.local"])
def test_addresses_that_are_none_are_delayed_too(log_in, email):
    assert fail(log_in, email, "192.0.2.18", 6) == [401] * 5 + [429]


def test_delay_ends(monkeypatch, start_service, make_user):
    monkeypatch.setattr(failed_logins, "SAME_CLIENT", "2 per 3 seconds")
    other = make_user(start_service())
    form = {"username": other.email, "password": "a wrong password"}
    statuses = [other.client.post(LOGIN, data=form).status_code for _ in range(3)]
    assert statuses == [401, 401, 429]
    form["password"] = other.password
    wait_until(lambda: other.client.post(LOGIN, data=form).status_code == 200)


def test_guessing_from_many_addresses_does_not_lock_the_owner_out(log_in, user):
    assert log_in(user.email, user.password, "198.51.100.1").status_code == 200
    statuses = [fail(log_in, user.email, f"203.0.113.{k}")[0] for k in range(51)]
    assert statuses == [401] * 50 + [429]
    assert log_in(user.email, user.password, "203.0.113.99").status_code == 429
    assert log_in(user.email, user.password, "198.51.100.1").status_code == 200


def test_successes_do_not_count(log_in, user):
    statuses = [log_in(user.email, user.password, "192.0.2.9").status_code for _ in range(12)]
    assert statuses == [200] * 12


def test_owner_in_a_known_ipv6_network_is_not_locked_out_by_others(log_in, user):
    assert log_in(user.email, user.password, "2001:db8:5:5::1").status_code == 200
    statuses = [fail(log_in, user.email, f"203.0.112.{k}")[0] for k in range(51)]
    assert statuses == [401] * 50 + [429]
    assert log_in(user.email, user.password, "2001:db8:5:5:a:b:c:d").status_code == 200
    assert log_in(user.email, user.password, "2001:db8:5:6::1").status_code == 429


def test_addresses_of_one_ipv6_network_are_one_client(log_in, user):
    statuses = [fail(log_in, user.email, f"2001:db8:0:1::{n}")[0] for n in range(6)]
    assert statuses == [401] * 5 + [429]
    assert fail(log_in, user.email, "2001:db8:0:2::1") == [401]
