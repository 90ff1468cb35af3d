"""A small campaign of hostile requests, and proof that its judge sees each kind of fault."""

import pytest

from tests.api.conftest import SETTINGS
from tests.e2e.hostile.attempts import Attempt, faults
from tests.e2e.hostile.campaign import attack
from tests.e2e.hostile.wire import Answer, Request
from tests.e2e.hostile.world import PASSWORD, World

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def world(database_url, start_service):
    """Accounts of every role on one service."""
    live = start_service(DATABASE_URL=database_url, REVIEW_SAMPLE_SHARE="1")
    live.services.accounts.register("first-admin@corp.local", PASSWORD, role="admin")
    return World(live.url, "first-admin@corp.local")


@pytest.mark.system
def test_300_hostile_requests_find_no_fault(world):
    result = attack(world, seed=7, n_requests=300, secret=SETTINGS["JWT_SECRET"])
    assert result.faults == []
    assert result.counts.total() > 300


def judged(world, status, content_type, body=b"{}", **verdict):
    attempt = Attempt("table", "user", Request("GET", "/"), **verdict)
    return faults(attempt, Answer(status, content_type, body), world)


def test_judge_sees_each_kind_of_fault(world):
    [marker, *_] = [m for m, readers in world.readers.items() if "user" not in readers]
    assert judged(world, 500, PROBLEM, b'{"code": "internal_error"}') == ["500 internal_error"]
    assert judged(world, 503, PROBLEM, b'{"code": "database_unavailable"}')
    assert judged(world, 200, "text/html", is_forbidden=True)
    assert judged(world, 403, PROBLEM, expected=frozenset({404}))
    assert judged(world, 404, "text/html")
    assert judged(world, 200, "application/json", f"a {marker} b".encode())
    assert judged(world, -1, "")


def test_judge_accepts_what_is_documented(world):
    [mine, *_] = [m for m, readers in world.readers.items() if "user" in readers]
    assert judged(world, 501, PROBLEM, b'{"code": "not_configured"}') == []
    assert judged(world, 200, "application/json", mine.encode()) == []
    assert judged(world, 404, PROBLEM, is_forbidden=True, expected=frozenset({404})) == []
