"""Liveness, readiness and the offline documentation page."""

import re

import pytest


def test_health_and_liveness_are_200(client):
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/health/live").status_code == 200


def test_ready_reports_database_and_model(client):
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["checks"]["database"] == "answers"
    assert "verified" in answer.json()["checks"]["model"]


@pytest.fixture
def draining(live):
    """The service between SIGTERM and its exit."""
    draining = live.services.draining
    draining.set()
    yield
    draining.clear()


@pytest.mark.usefixtures("draining")
def test_draining_service_answers_only_exact_probe_paths(client):
    assert client.get("/health").status_code == 200
    for path in ("/healthzzz", "/health/", "/metrics/x"):
        assert client.get(path).json()["code"] == "shutting_down"


def test_docs_page_loads_only_local_files(client):
    page = client.get("/docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    assert not [s for s in sources if not s.startswith(("/", "data:", "#"))]
    for source in sources:
        assert client.get(source).status_code == 200
