"""Calls to the single sign-on provider: where they may go, what is recorded, and when they end."""

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from service.config.settings import load
from service.domain.accounts import oidc_calls
from service.errors import ConfigError
from tests.api.api_interactions import listed
from tests.api.conftest import SETTINGS
from tests.api.sso.log_ins import DISCOVERY, log_in
from tests.fakes.dripping_server import BODY, HEAD, DrippingServer
from tests.fakes.oidc_provider import CLIENT_SECRET
from tests.support.calls import caller
from tests.support.waiting import wait_until

N_SLOTS = 8


def test_each_call_leaves_a_record_without_content(fresh, provider, admin_of, caplog):
    caplog.set_level(logging.DEBUG)
    service = fresh()
    with closing(caller(service.url)) as http:
        assert log_in(http).status_code == 200
    admin = admin_of(service)
    rows = listed(admin, 3, kind="sso")
    assert [(row["host"], row["status"], row["error_code"]) for row in rows] == [
        ("localhost", 200, None)
    ] * 3  # metadata, token, keys
    assert all(row["received_bytes"] > 100 and row["duration_ms"] > 0 for row in rows)
    assert sorted(row["sent_bytes"] > 0 for row in rows) == [False, False, True]
    assert all(row["request_id"] and row["scan_id"] is None for row in rows)
    sent = admin.http.get("/api/v1/admin/audit-events", params={"action": "data.sent"}).json()
    assert sent["items"] == []  # no document left
    logged = [vars(r) for r in caplog.records if r.name.startswith("service")]
    for secret in (CLIENT_SECRET, *provider.codes_seen, *provider.tokens_seen):
        assert secret not in f"{logged} {rows}"


def test_failed_call_is_recorded_with_its_error(fresh, provider, admin_of):
    service = fresh()
    provider.overrides[DISCOVERY] = (200, b"<html>")
    with closing(caller(service.url)) as http:
        assert http.get("/login/sso").status_code == 503
    [row] = listed(admin_of(service), 1, kind="sso")
    assert (row["status"], row["error_code"]) == (200, "sso_unavailable")


def test_provider_outside_of_egress_hosts_stops_the_start(provider):
    changed = {"EGRESS_HOSTS": "llm.corp.local", "OIDC_ISSUER": provider.issuer}
    with pytest.raises(ConfigError, match="EGRESS_HOSTS does not list localhost"):
        load({**SETTINGS, **changed, "OIDC_CLIENT_ID": "x", "PUBLIC_URL": "https://x.example"})


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri"])
def test_endpoint_outside_of_egress_hosts_is_not_called(fresh, provider, name):
    service = fresh(EGRESS_HOSTS="localhost")
    _, metadata = provider.answer(DISCOVERY, {}, {}, b"")
    elsewhere = metadata[name].replace("localhost", "127.0.0.1")
    provider.overrides[DISCOVERY] = (200, {**metadata, name: elsewhere})
    provider.requests.clear()
    with closing(caller(service.url)) as http:
        answer = http.get("/login/sso")
        assert (answer.status_code, "EGRESS_HOSTS" in answer.text) == (503, True)
        assert provider.requests == [DISCOVERY]
        provider.overrides.clear()
        assert log_in(http).status_code == 200


@pytest.mark.parametrize("beginning", [HEAD, BODY], ids=["head", "body"])
def test_provider_that_drips_frees_its_calls_at_the_deadline(fresh, monkeypatch, beginning):
    monkeypatch.setattr(oidc_calls, "TIMEOUT_S", 0.6)
    with closing(DrippingServer(beginning)) as server:
        service = fresh(OIDC_ISSUER=f"{server.url}/x")
        for n_calls in (N_SLOTS, 2 * N_SLOTS):  # all calls again: each was free
            with ThreadPoolExecutor(N_SLOTS) as pool, closing(caller(service.url)) as http:
                pages = list(pool.map(lambda _: http.get("/login/sso"), range(N_SLOTS)))
            assert {page.status_code for page in pages} == {503}
            assert all("does not answer within 0.6 seconds" in page.text for page in pages)
            wait_until(lambda n=n_calls: (server.n_begun, server.n_open) == (n, 0))
