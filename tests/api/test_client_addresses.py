"""The client's address behind proxies: each form of it is the same client, and only proxies can name one."""

from contextlib import closing

import pytest

from tests.api.conftest import User
from tests.support.calls import caller

BLOCKS = "/api/v1/admin/blocks"
LOGIN = "/api/v1/auth/login"
LOGINS = "/api/v1/auth/logins"
ME = "/api/v1/auth/me"
FORMS = ("192.0.2.7", "192.0.2.7:1", "::ffff:192.0.2.7", "[::ffff:192.0.2.7]:2", "x, 192.0.2.7")


@pytest.fixture(scope="module")
def live(start_service):
    return start_service(TRUSTED_PROXY="127.0.0.1,203.0.113.0/24", LOGIN_RATE_LIMIT="5 per hour")


def test_headers_of_a_peer_that_is_no_trusted_proxy_mean_nothing(start_service):
    live = start_service(TRUSTED_PROXY="127.0.0.2,203.0.113.0/24")
    register = live.services.accounts.register
    with closing(caller(live.url)) as http:
        admin = User(http, lambda email, password: register(email, password, role="admin"))
        admin.http.post(BLOCKS, json={"network": "192.0.2.7", "reason": "x"}).raise_for_status()
        claims = ("192.0.2.7", "192.0.2.7, 203.0.113.1", "192.0.2.7, 127.0.0.2")
        others = {"Forwarded": "for=192.0.2.7", "X-Real-IP": "192.0.2.7"}
        for claim in claims:
            admin.http.headers.update({"X-Forwarded-For": claim, **others})
            assert admin.http.get(ME).status_code == 200
        stored = {login["client_address"] for login in admin.http.get(LOGINS).json()["items"]}
        admin.http.close()
    assert stored == {"127.0.0.1"}


def test_address_is_stored_in_its_plain_form(client):
    client.headers["X-Forwarded-For"] = "[::ffff:198.51.100.9]:4711, 203.0.113.1:99"
    user = User(client)
    [login] = user.http.get(LOGINS).json()["items"]
    assert login["client_address"] == "198.51.100.9"
    user.http.close()


def test_log_ins_of_one_client_share_a_limit_in_every_form(client):
    form = {"username": "nobody@corp.local", "password": "a wrong password"}
    statuses = [
        client.post(LOGIN, data=form, headers={"X-Forwarded-For": address}).status_code
        for address in (*FORMS, *FORMS, "192.0.2.8")
    ]
    assert statuses == [401] * 5 + [429] * 5 + [401]
