"""Administrators block networks: every process refuses their requests within seconds."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.waiting import wait_until

pytestmark = pytest.mark.every_database

BLOCKS = "/api/v1/admin/blocks"
ME = "/api/v1/auth/me"


@pytest.fixture(scope="module")
def live(database_url, start_service):
    """A service behind a proxy, which names the client in X-Forwarded-For."""
    return start_service(DATABASE_URL=database_url, TRUSTED_PROXY="127.0.0.1")


@pytest.fixture(scope="module")
def other(live, start_service):
    """A second process on the same database."""
    return start_service(DATABASE_URL=live.services.config.database_url, TRUSTED_PROXY="127.0.0.1")


@pytest.fixture
def block(admin):
    added = []

    def block(network, **body):
        answer = admin.http.post(BLOCKS, json={"network": network, "reason": "scrapes", **body})
        if answer.status_code == 201:
            added.append(f"{BLOCKS}/{answer.json()['id']}")
        return answer

    yield block
    for path in added:
        admin.http.delete(path)


def call_from(user, address, path=ME):
    answer = user.http.get(path, headers={"X-Forwarded-For": address})
    return answer.json()["code"] if answer.status_code == 403 else answer.status_code


NETWORKS = {
    "192.0.2.7": ("192.0.2.7", "192.0.2.8"),
    "192.0.2.0/24": ("192.0.2.200", "192.0.3.1"),
    "2001:db8::/32": ("2001:db8:1::5", "2001:db9::1"),
    "198.51.100.0/24": ("[::ffff:198.51.100.9]", "[::ffff:198.51.101.9]"),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_blocked_network_is_refused_and_others_are_not(block, admin, user, network):
    inside, outside = NETWORKS[network]
    added = block(network).raise_for_status().json()
    assert [call_from(user, a) for a in (inside, outside)] == ["address_blocked", 200]
    assert call_from(user, inside, "/health/live") == 200
    assert admin.http.delete(f"{BLOCKS}/{added['id']}").status_code == 204
    assert call_from(user, inside) == 200


@pytest.mark.parametrize("network", ["127.0.0.1", "0.0.0.0/0", "::/0"])
def test_this_machine_cannot_be_blocked(block, network):
    assert block(network).status_code == 409


@pytest.mark.system
def test_other_process_refuses_within_five_seconds(block, user, other):
    block("203.0.113.0/24").raise_for_status()
    address = "203.0.113.9"
    url = f"{other.url}{ME}"
    wait_until(lambda: user.http.get(url, headers={"X-Forwarded-For": address}).status_code == 403)


@pytest.mark.parametrize(
    "forwarded",
    [
        "192.0.2.7",
        "192.0.2.7:4711",
        "::ffff:192.0.2.7",
        "[::ffff:192.0.2.7]:4711",
        "::ffff:c000:207",
        '"192.0.2.7"',
        "198.51.100.4, 192.0.2.7",
        "192.0.2.7, 127.0.0.1",
    ],
)
def test_blocked_address_is_refused_in_every_form(block, user, forwarded):
    block("192.0.2.7").raise_for_status()
    assert call_from(user, forwarded) == "address_blocked"


@pytest.mark.parametrize(
    "forwarded",
    ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711", "2001:DB8:0::1", "2001:db8::1%eth0"],
)
def test_blocked_ipv6_address_is_refused_in_every_form(block, user, forwarded):
    block("2001:db8::1").raise_for_status()
    assert call_from(user, forwarded) == "address_blocked"


def test_client_cannot_name_another_address_before_its_own(block, user):
    block("192.0.2.7").raise_for_status()
    assert call_from(user, "192.0.2.7, 198.51.100.4") == 200


def test_client_without_an_ip_address_passes(block, user):
    block("192.0.2.7").raise_for_status()
    assert call_from(user, "unknown") == 200


def test_block_ends_at_its_time(block, user):
    soon = datetime.now(UTC) + timedelta(seconds=3)
    block("192.0.2.7", expires_at=soon.isoformat()).raise_for_status()
    assert call_from(user, "192.0.2.7") == "address_blocked"
    wait_until(lambda: call_from(user, "192.0.2.7") == 200)


def test_longest_of_two_blocks_counts(block, user):
    block("192.0.2.7").raise_for_status()
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    block("192.0.2.7", expires_at=soon).raise_for_status()
    wait_until(lambda: datetime.now(UTC).isoformat() > soon)
    assert call_from(user, "192.0.2.7") == "address_blocked"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"network": "192.0.2.7/24"}, "network"),
        ({"network": "example.com"}, "network"),
        ({"network": "192.0.2.7", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"network": "192.0.2.7", "reason": ""}, "reason"),
    ],
)
def test_invalid_block_names_the_field(block, body, field):
    answer = block(**body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_administrator_cannot_block_the_own_address(admin):
    body = {"network": "192.0.2.0/24", "reason": "by mistake"}
    answer = admin.http.post(BLOCKS, json=body, headers={"X-Forwarded-For": "192.0.2.5"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "192.0.2.5" in answer.json()["detail"]


def test_blocks_are_listed_and_audited(block, admin):
    added = block("192.0.2.7", reason="tries passwords").json()
    assert admin.http.get(BLOCKS).json()["items"][0] == added
    query = {"action": "block.added", "object_id": added["id"]}
    [event] = admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]
    assert event["detail"]["network"] == "192.0.2.7/32"
    assert admin.http.delete(f"{BLOCKS}/{added['id']}").status_code == 204
    assert admin.http.delete(f"{BLOCKS}/{added['id']}").status_code == 404
