"""Health, readiness, the OpenAPI document and its offline page."""

import re

import pytest


def test_health_and_liveness_answer(client):
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/health/live").status_code == 200


def test_ready_says_that_database_and_model_are_fit(client):
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["checks"]["database"] == "answers"
    assert "proved" in answer.json()["checks"]["model"]


@pytest.fixture
def draining(live):
    """The service, as it answers between SIGTERM and its end."""
    draining = live.services.draining
    draining.set()
    yield
    draining.clear()


@pytest.mark.usefixtures("draining")
def test_while_draining_probes_are_answered_by_their_exact_paths(client):
    assert client.get("/health").status_code == 200
    for path in ("/healthzzz", "/health/", "/metrics/x"):
        assert client.get(path).json()["code"] == "shutting_down"


def test_openapi_is_31_and_names_every_route(live, client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    tags = [tag["name"] for tag in document["tags"]]
    assert len(tags) == len(set(tags))
    named = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", r.rule) for r in live.app.url_map.iter_rules()}
    no_resources = ("/docs", "/static", "/openapi.json", "/metrics")
    described = {path for path in named if path != "/" and not path.startswith(no_resources)}
    assert described == set(document["paths"])


def test_openapi_scan_takes_three_kinds_of_body_and_only_one_with_a_file(client):
    document = client.get("/openapi.json").json()
    content = document["paths"]["/api/v1/scan"]["post"]["requestBody"]["content"]
    schemas = document["components"]["schemas"]
    takes_file = {
        kind: "file" in schemas[body["schema"]["$ref"].rsplit("/", 1)[-1]]["properties"]
        for kind, body in content.items()
    }
    assert takes_file == {
        "multipart/form-data": True,
        "application/json": False,
        "application/x-www-form-urlencoded": False,
    }


def test_docs_page_loads_everything_from_here(client):
    page = client.get("/docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    assert not [s for s in sources if not s.startswith(("/", "data:", "#"))]
    for source in sources:
        assert client.get(source).status_code == 200
