"""Liveness, readiness and the offline documentation page."""

import re
from contextlib import closing

import httpx

from tests.support.calls import HTTP, caller
from tests.support.waiting import wait_until


def test_health_and_liveness_are_200(client):
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/health/live").status_code == 200


def test_ready_reports_database_and_model(client):
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["checks"]["database"] == "answers"
    assert "verified" in answer.json()["checks"]["model"]


def is_refused(url):
    try:
        HTTP.get(url)
    except httpx.ConnectError:
        return True
    return False


def test_draining_service_finishes_open_connections_and_refuses_new_ones(start_service):
    draining = start_service()
    with closing(caller(draining.url)) as first, closing(caller(draining.url)) as second:
        for http in (first, second):
            assert "Connection" not in http.get("/health").headers
        draining.services.draining.set()
        ready, docs = first.get("/health/ready"), second.get("/openapi.json")
    assert (ready.status_code, ready.headers["Connection"]) == (503, "close")
    assert (docs.status_code, docs.headers["Connection"]) == (200, "close")
    wait_until(lambda: is_refused(f"{draining.url}/health"))


def test_docs_page_loads_only_local_files(client):
    page = client.get("/docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    assert not [s for s in sources if not s.startswith(("/", "data:", "#"))]
    for source in sources:
        assert client.get(source).status_code == 200
