"""Health, readiness, the OpenAPI document and its offline page."""

import re


def test_health_and_liveness_answer(client):
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/health/live").status_code == 200


def test_ready_says_that_database_and_model_are_fit(client):
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["checks"]["database"] == "answers"
    assert "proved" in answer.json()["checks"]["model"]


def test_openapi_is_31_and_names_every_path_of_the_contract(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    tags = [tag["name"] for tag in document["tags"]]
    assert len(tags) == len(set(tags))
    assert {
        "/scan",
        "/api/v1/scan",
        "/api/v1/scans",
        "/api/v1/scans/{scan_id}",
        "/api/v1/scans/{scan_id}/findings",
        "/api/v1/auth/register",
        "/api/v1/auth/login",
        "/api/v1/auth/refresh",
        "/api/v1/auth/logout",
        "/api/v1/auth/me",
        "/health",
        "/health/live",
        "/health/ready",
    } <= set(document["paths"])


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
