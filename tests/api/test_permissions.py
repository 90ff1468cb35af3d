"""Who may call each route, checked with a real request for each kind of caller."""

from dataclasses import dataclass, field

import pytest

from tests.api.reviewing import TEXT, judge, missed_body

CALLERS = ("nobody", "user", "reviewer", "admin", "owner")
"""`owner` is an ordinary user, and the scan, feedback and log-in in a path are theirs."""


@dataclass(frozen=True)
class Access:
    """The callers that a route lets in; it answers `refusal` to other accounts and 401 to nobody."""

    callers: frozenset
    refusal: int = 403
    body: dict = field(default_factory=dict)


def to(*callers, **rest):
    return Access(frozenset(callers), **rest)


ANYONE = to(*CALLERS)
ACCOUNTS = to("user", "reviewer", "admin", "owner")
ADMINS = to("admin")
OWNER = to("owner", refusal=404)
OWNER_AND_REVIEWERS = to("owner", "reviewer", "admin", refusal=404)

SCAN = "/api/v1/scans/<uuid:scan_id>"
VERDICT = f"{SCAN}/findings/<int:n>/feedback"
TABLE = {
    ("GET", "/"): ANYONE,
    ("GET", "/docs"): ANYONE,
    ("GET", "/docs/start.js"): ANYONE,
    ("GET", "/docs/assets/<path:name>"): ANYONE,
    ("GET", "/openapi.json"): ANYONE,
    ("GET", "/health"): ANYONE,
    ("GET", "/health/live"): ANYONE,
    ("GET", "/health/ready"): ANYONE,
    ("GET", "/metrics"): ANYONE,
    ("POST", "/api/v1/auth/register"): ANYONE,
    ("POST", "/api/v1/auth/login"): ANYONE,
    ("POST", "/api/v1/auth/refresh"): ANYONE,
    ("POST", "/api/v1/auth/logout"): ACCOUNTS,
    ("GET", "/api/v1/auth/me"): ACCOUNTS,
    ("PUT", "/api/v1/auth/password"): ACCOUNTS,
    ("GET", "/api/v1/auth/logins"): ACCOUNTS,
    ("DELETE", "/api/v1/auth/logins"): ACCOUNTS,
    ("DELETE", "/api/v1/auth/logins/<uuid:login_id>"): OWNER,
    ("GET", "/api/v1/taxonomy"): ACCOUNTS,
    ("POST", "/scan"): ACCOUNTS,
    ("POST", "/api/v1/scan"): ACCOUNTS,
    ("GET", "/api/v1/scans"): ACCOUNTS,
    ("GET", SCAN): OWNER_AND_REVIEWERS,
    ("DELETE", SCAN): OWNER,
    ("GET", f"{SCAN}/findings"): OWNER_AND_REVIEWERS,
    ("GET", VERDICT): OWNER_AND_REVIEWERS,
    ("PUT", VERDICT): to("owner", "reviewer", "admin", refusal=404, body={"verdict": "confirmed"}),
    ("DELETE", VERDICT): OWNER_AND_REVIEWERS,
    ("GET", f"{SCAN}/feedback"): OWNER_AND_REVIEWERS,
    ("POST", f"{SCAN}/feedback"): to("owner", "reviewer", "admin", refusal=404, body=missed_body()),
    ("DELETE", f"{SCAN}/feedback/<uuid:feedback_id>"): OWNER,
    ("GET", "/api/v1/admin/audit-events"): ADMINS,
    ("GET", "/api/v1/admin/models"): ADMINS,
    ("GET", "/api/v1/admin/deployments"): ADMINS,
    ("POST", "/api/v1/admin/deployments"): ADMINS,
    ("PUT", "/api/v1/admin/shadow"): ADMINS,
    ("DELETE", "/api/v1/admin/shadow"): ADMINS,
}


@pytest.fixture
def accounts(new_user, reviewer, admin):
    return {"user": new_user(), "reviewer": reviewer, "admin": admin, "owner": new_user()}


@pytest.fixture
def new_places(accounts):
    """Return new values for the paths' parameters: a scan of the owner's that every reader has judged."""
    return lambda: add_places(accounts)


def add_places(accounts):
    owner = accounts["owner"]
    scan_id = owner.scan(TEXT).json()["scan_id"]
    scan = f"/api/v1/scans/{scan_id}"
    verdicts = {name: judge(accounts[name], scan, 1) for name in ("owner", "reviewer", "admin")}
    [login] = owner.http.get("/api/v1/auth/logins").json()["items"]
    return {
        "<uuid:scan_id>": scan_id,
        "<int:n>": "1",
        "<uuid:feedback_id>": verdicts["owner"].json()["id"],
        "<uuid:login_id>": login["id"],
        "<path:name>": "swagger-ui.css",
    }


def filled(path, places):
    for parameter, value in places.items():
        path = path.replace(parameter, value)
    return path


def expected_refusal(name, access):
    return None if name in access.callers else 401 if name == "nobody" else access.refusal


@pytest.mark.parametrize("route", TABLE, ids=" ".join)
def test_route_lets_in_exactly_the_callers_of_the_table(route, client, accounts, new_places):
    (method, path), access = route, TABLE[route]
    url, refusals = filled(path, new_places()), {}
    for name in CALLERS:
        if method == "DELETE":  # the caller before may have deleted the object
            url = filled(path, new_places())
        http = client if name == "nobody" else accounts[name].http
        status = http.request(method, url, json=access.body).status_code
        refusals[name] = status if status in {401, 403, 404} else None
    assert refusals == {name: expected_refusal(name, access) for name in CALLERS}


def test_every_route_has_an_entry(live):
    routes = {
        (method, rule.rule)
        for rule in live.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert routes == set(TABLE), "add the new route with its callers to TABLE"
