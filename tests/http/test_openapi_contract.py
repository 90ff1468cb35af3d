"""Schemathesis over the served document: no 5xx, no undocumented status, shapes as documented."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


@pytest.fixture
def document(live):
    return schemathesis.openapi.from_url(f"{live.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_operation_answers_as_documented(case, live, token_of_contract):
    headers = {"Authorization": f"Bearer {token_of_contract()}"}
    case.call_and_validate(base_url=live.url, headers=headers, checks=CHECKS, timeout=60)


@pytest.fixture
def token_of_contract(new_user):
    """Return a token that works, also after the log-out operation was tried."""
    user = new_user()

    def token():
        if user.http.get("/api/auth/me").status_code == 401:
            form = {"username": user.email, "password": user.password}
            user.tokens = user.http.post("/api/auth/login", data=form).json()
            user.http.headers["Authorization"] = f"Bearer {user.tokens['access_token']}"
        return user.tokens["access_token"]

    return token
