"""Rules of docs/security.md that hold for every operation: unknown properties, addresses, debugging."""

import socket

import pytest

from tests.api.test_openapi_document import ANY

ADDRESS_WORDS = ("url", "uri", "host", "callback", "webhook", "endpoint", "proxy")
RECORDED = {"host"}
"""Filters the list of outgoing calls; nobody is called for it."""
IGNORES_UNKNOWN = {"/api/v1/auth/login", "/api/v1/auth/refresh"}
"""OAuth token requests ignore unknown fields (RFC 6749, section 3.2)."""


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json()


def writes(document, kind):
    return {
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if kind in operation.get("requestBody", {}).get("content", {})
    }


def test_unknown_property_is_refused_by_every_write(document, admin):
    answers = {
        (method, path): admin.http.request(method, path.format_map(ANY), json={"is_owner": True})
        for method, path in writes(document, "application/json")
        if path not in IGNORES_UNKNOWN
    }
    assert len(answers) > 15
    for write, answer in answers.items():
        assert answer.status_code == 400, write
        assert "is_owner" in {error["field"] for error in answer.json()["errors"]}, write


def test_property_of_an_account_is_not_set_by_registration_or_log_in(client, user):
    body = {"email": "climber@corp.local", "password": "correct horse", "role": "admin"}
    assert client.post("/api/v1/auth/register", json=body).status_code == 400
    login = {"username": user.email, "password": user.password, "role": "admin"}
    token = client.post("/api/v1/auth/login", json=login).raise_for_status().json()["access_token"]
    me = client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert me["role"] == "user"


def request_names(document):
    """Return the names of all properties, parameters and headers that a request may have."""
    bodies = {n: s for n, s in document["components"]["schemas"].items() if "Out" not in n}
    names = {name for schema in bodies.values() for name in schema.get("properties", {})}
    for operations in document["paths"].values():
        for operation in operations.values():
            names |= {parameter["name"] for parameter in operation.get("parameters", [])}
    return names


def test_no_request_can_name_an_address(document):
    names = request_names(document)
    assert {"text", "force_llm", "scan_id"} <= names
    addresses = {name for name in names if any(word in name.lower() for word in ADDRESS_WORDS)}
    # The address of a webhook is checked, and again each time that it is called: test_webhooks.py.
    assert addresses - {"url", "webhook_id"} == RECORDED


@pytest.fixture
def listener():
    """A port of this machine, and whether anybody connected to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_address_in_a_document_is_never_fetched(user, listener):
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    page = f"""<!DOCTYPE html><html><head><link rel="stylesheet" href="{url}"><base href="{url}">
      <script src="{url}"></script></head><body><img src="{url}"><iframe src="{url}"></iframe>
      <p>The budget may be exceeded, see {url}.</p></body></html>"""
    svg = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "{url}">]><html>&b;</html>'
    for content in (page, svg):
        user.http.post("/api/v1/scan", files={"file": ("page.html", content.encode())})
    user.scan(url).raise_for_status()
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_debugging_is_off_and_trace_is_refused(live, client):
    assert not live.app.debug
    assert not live.app.testing
    assert client.request("TRACE", "/health").status_code == 405
