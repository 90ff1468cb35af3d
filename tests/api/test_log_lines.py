"""One log line for each request and one for each answered scan, linked by the request id."""

import logging

import pytest

from tests.support.sentences import FLOW_TEXT


@pytest.fixture
def logged(caplog):
    """Return the fields of the lines with a message."""
    caplog.set_level(logging.INFO, logger="service")
    return lambda message: [r.fields for r in caplog.records if r.getMessage() == message]


def test_stored_scan_logs_one_line_with_its_id_and_duration(user, logged):
    scan_id = user.scan().json()["scan_id"]
    [line] = logged("scan")
    assert str(line["scan_id"]) == scan_id
    assert line["duration_ms"] >= line["read_ms"] + line["analyze_ms"]
    assert (line["source"], line["n_findings"]) == ("model", 2)


def test_scan_that_is_not_stored_logs_one_line_without_an_id(user, logged):
    assert user.http.post("/scan", json={"text": FLOW_TEXT}).status_code == 200
    assert [line["scan_id"] for line in logged("scan")] == [None]


def test_repeated_scan_logs_no_second_line(user, logged):
    for _ in range(2):
        user.scan(headers={"Idempotency-Key": "the-same-key"}).raise_for_status()
    assert len(logged("scan")) == 1


def test_request_logs_one_line(client, logged):
    client.get("/nothing-here")
    [line] = logged("request")
    assert (line["path"], line["status"]) == ("/nothing-here", 404)
    assert line["duration_ms"] >= 0


def test_request_that_the_server_rejects_logs_its_path_and_client(client, logged):
    assert client.post("/api/v1/scan", content=bytes(2_000_000)).status_code == 401
    [line] = logged("rejected")
    assert (line["path"], line["client_address"]) == ("/api/v1/scan", "127.0.0.1")
