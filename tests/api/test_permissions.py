"""Who may call each route, checked with a real request for each kind of caller."""

import re
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from uuid import UUID, uuid4

import pytest

from db.tables import Scope
from service.domain.audit import Actor
from service.domain.blocks import NewBlock
from tests.api.access import (
    ACCOUNTS,
    ADMINS,
    ANALYSTS,
    ANYONE,
    AUDITORS,
    CALLERS,
    JUDGES,
    OWNER,
    READERS,
    REVIEWERS,
    SAMPLE_REVIEWERS,
    TO_OWN_FORMS,
)
from tests.api.conftest import User
from tests.api.course_routes import COURSE_ROUTES, add_course
from tests.api.reviewing import TEXT, judge, missed_body
from tests.support.calls import caller

ACCOUNT = "/api/v1/users/<uuid:user_id>"
KEY = "/api/v1/auth/keys/<uuid:key_id>"
SCAN = "/api/v1/scans/<uuid:scan_id>"
SESSION = "/api/v1/sessions/<uuid:session_id>"
FILE = f"{SESSION}/files/<uuid:file_id>"
FORM = {"file": ("a.txt", b"a")}
DOCUMENT = "/api/v1/documents/<uuid:document_id>"
RANGE = {"start": 0, "end": 9}
TEAM = "/api/v1/teams/<uuid:team_id>"
WEBHOOK = "/api/v1/webhooks/<uuid:webhook_id>"
HOOK = {"name": "ci", "url": "https://ci.invalid/"}
RISK = "/api/v1/risks/<uuid:risk_id>"
FIRST_FINDING = {"scan_id": "<uuid:scan_id>", "n": 1}
ANY_VERSION = {"If-Match": "*"}
VERDICT = f"{SCAN}/findings/<int:n>/feedback"
BATCH = "/api/v1/batches/<uuid:batch_id>"
TABLE = {
    **COURSE_ROUTES,
    ("GET", "/batches"): ANYONE,
    ("GET", "/risks"): ANYONE,
    ("GET", "/api/v1/batches"): replace(ACCOUNTS, scope="read"),
    ("POST", "/api/v1/batches"): replace(ACCOUNTS, scope="scan", files=FORM),
    ("GET", BATCH): READERS,
    ("GET", f"{BATCH}/items"): READERS,
    ("POST", f"{BATCH}/retry"): replace(OWNER, scope="scan"),
    ("DELETE", BATCH): replace(OWNER, scope="delete"),
    ("GET", "/"): ANYONE,
    ("GET", "/static/<path:asset>"): ANYONE,
    ("GET", "/.well-known/security.txt"): ANYONE,
    ("GET", "/login"): ANYONE,
    ("GET", "/login/sso"): ANYONE,
    ("GET", "/login/sso/callback"): ANYONE,
    ("POST", "/login"): TO_OWN_FORMS,
    ("GET", "/register"): ANYONE,
    ("POST", "/register"): TO_OWN_FORMS,
    ("POST", "/logout"): ANYONE,
    ("GET", "/scans/<uuid:scan_id>"): ANYONE,  # this page and the following redirect to the log-in
    ("GET", "/queue"): ANYONE,
    ("GET", "/dashboard"): ANYONE,
    ("GET", "/models"): ANYONE,
    ("GET", "/users"): ANYONE,
    ("GET", "/teams"): ANYONE,
    ("GET", "/password"): ANYONE,
    ("GET", "/blocks"): ANYONE,
    ("GET", "/audit"): ANYONE,
    ("GET", "/keys"): ANYONE,
    ("GET", "/webhooks"): ANYONE,
    ("GET", "/settings"): ANYONE,
    ("GET", "/sessions"): ANYONE,
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
    ("GET", "/api/v1/auth/me"): replace(ACCOUNTS, scope="read"),
    ("DELETE", "/api/v1/auth/me"): ACCOUNTS,
    ("GET", "/api/v1/auth/me/data"): ACCOUNTS,
    ("PUT", "/api/v1/auth/password"): ACCOUNTS,
    ("POST", "/api/v1/auth/password/link"): ANYONE,
    ("GET", "/api/v1/auth/logins"): ACCOUNTS,
    ("DELETE", "/api/v1/auth/logins"): ACCOUNTS,
    ("DELETE", "/api/v1/auth/logins/<uuid:login_id>"): OWNER,
    ("GET", "/api/v1/auth/keys"): ACCOUNTS,
    ("POST", "/api/v1/auth/keys"): replace(ACCOUNTS, body={"name": "ci", "scopes": ["scan"]}),
    ("GET", KEY): OWNER,
    ("DELETE", KEY): OWNER,
    ("POST", f"{KEY}/rotation"): OWNER,
    ("GET", "/api/v1/webhooks"): ACCOUNTS,
    ("POST", "/api/v1/webhooks"): replace(ACCOUNTS, body=HOOK),
    ("GET", WEBHOOK): OWNER,
    ("PUT", WEBHOOK): replace(OWNER, body=HOOK),
    ("DELETE", WEBHOOK): OWNER,
    ("POST", f"{WEBHOOK}/rotation"): OWNER,
    ("POST", f"{WEBHOOK}/test"): OWNER,
    ("GET", f"{WEBHOOK}/deliveries"): OWNER,
    ("POST", f"{WEBHOOK}/deliveries/<uuid:delivery_id>/redelivery"): OWNER,
    ("GET", "/api/v1/settings"): replace(ACCOUNTS, scope="read"),
    ("PUT", "/api/v1/settings"): ACCOUNTS,
    ("PATCH", "/api/v1/settings"): ACCOUNTS,
    ("GET", "/api/v1/taxonomy"): replace(ACCOUNTS, scope="read"),
    ("GET", "/api/v1/llm-usage"): replace(ACCOUNTS, scope="read"),
    ("POST", "/scan"): replace(ACCOUNTS, scope="scan"),
    ("POST", "/api/v1/scan"): replace(ACCOUNTS, scope="scan"),
    ("GET", "/api/v1/scans"): replace(ACCOUNTS, scope="read"),
    ("GET", SCAN): READERS,
    ("DELETE", SCAN): replace(OWNER, scope="delete"),
    ("GET", "/api/v1/documents"): replace(ACCOUNTS, scope="read"),
    ("GET", DOCUMENT): READERS,
    ("GET", f"{DOCUMENT}/text"): READERS,
    ("GET", f"{DOCUMENT}/original"): READERS,
    ("GET", f"{DOCUMENT}/scores"): replace(READERS, query=RANGE),
    ("GET", f"{DOCUMENT}/words"): replace(READERS, query={**RANGE, "risk_type": "outage"}),
    ("POST", f"{DOCUMENT}/scan"): replace(OWNER, scope="scan"),
    ("GET", f"{SCAN}/changes"): READERS,
    ("DELETE", DOCUMENT): replace(OWNER, scope="delete"),
    ("GET", f"{SCAN}/report"): READERS,
    ("POST", f"{SCAN}/report-links"): replace(READERS, scope=None, body={"format": "pdf"}),
    ("GET", "/api/v1/reports/link"): ANYONE,
    ("GET", "/api/v1/reports"): replace(
        ACCOUNTS, scope="read", query={"created_from": "2026-01-01"}
    ),
    ("GET", f"{SCAN}/risks"): READERS,
    ("GET", "/api/v1/risks"): replace(ACCOUNTS, scope="read"),
    ("POST", "/api/v1/risks"): replace(ACCOUNTS, scope="review", body={"title": "Permit"}),
    ("GET", "/api/v1/risks/matrix"): replace(ACCOUNTS, scope="read"),
    ("GET", "/api/v1/risks/owners"): replace(ACCOUNTS, scope="read"),
    ("GET", "/api/v1/risks/export"): replace(ACCOUNTS, scope="read"),
    ("POST", "/api/v1/risks/import"): replace(ACCOUNTS, scope="review", files=FORM),
    ("GET", RISK): replace(OWNER, scope="read"),
    ("PATCH", RISK): replace(OWNER, scope="review", body={"impact": 5}, headers=ANY_VERSION),
    ("DELETE", RISK): replace(OWNER, scope="delete"),
    ("GET", f"{RISK}/history"): replace(OWNER, scope="read"),
    ("GET", f"{RISK}/notes"): replace(OWNER, scope="read"),
    ("POST", f"{RISK}/notes"): replace(OWNER, scope="review", body={"text": "Ask the city."}),
    ("POST", f"{RISK}/findings"): replace(OWNER, scope="review", body=FIRST_FINDING),
    ("DELETE", f"{RISK}/findings"): replace(OWNER, scope="review", query=FIRST_FINDING),
    ("GET", f"{SCAN}/findings"): READERS,
    ("GET", "/api/v1/findings"): replace(ACCOUNTS, scope="read"),
    ("GET", "/api/v1/search"): replace(ACCOUNTS, scope="read", query={"q": "budget"}),
    ("GET", f"{SCAN}/findings/<int:n>/similar"): READERS,
    ("GET", "/search"): ANYONE,
    ("GET", VERDICT): READERS,
    ("PUT", VERDICT): replace(JUDGES, body={"verdict": "confirmed"}),
    ("DELETE", VERDICT): JUDGES,
    ("GET", f"{SCAN}/feedback"): READERS,
    ("POST", f"{SCAN}/feedback"): replace(JUDGES, body=missed_body()),
    ("DELETE", f"{SCAN}/feedback/<uuid:feedback_id>"): replace(OWNER, scope="review"),
    ("GET", "/api/v1/sessions"): replace(ACCOUNTS, scope="read"),
    ("POST", "/api/v1/sessions"): replace(ACCOUNTS, scope="scan"),
    ("GET", SESSION): replace(OWNER, scope="read"),
    ("PUT", SESSION): replace(OWNER, scope="scan", body={"name": "Tender"}),
    ("DELETE", SESSION): replace(OWNER, scope="delete"),
    ("GET", f"{SESSION}/files"): replace(OWNER, scope="read"),
    ("POST", f"{SESSION}/files"): replace(OWNER, scope="scan", files=FORM),
    ("POST", f"{SESSION}/scan"): replace(OWNER, scope="scan"),
    ("GET", FILE): replace(OWNER, scope="read"),
    ("GET", f"{FILE}/content"): replace(OWNER, scope="read"),
    ("DELETE", FILE): replace(OWNER, scope="delete"),
    **{
        (method, f"{place}/teams{team}"): replace(OWNER, scope=scope)
        for place in (DOCUMENT, SCAN, SESSION)
        for method, team, scope in (
            ("GET", "", "read"),
            ("PUT", "/<uuid:team_id>", "scan"),
            ("DELETE", "/<uuid:team_id>", "scan"),
        )
    },
    ("GET", "/api/v1/teams"): replace(ACCOUNTS, scope="read"),
    ("POST", "/api/v1/teams"): ADMINS,
    ("GET", TEAM): ADMINS,
    ("PUT", TEAM): ADMINS,
    ("DELETE", TEAM): ADMINS,
    ("GET", f"{TEAM}/members"): ADMINS,
    ("PUT", f"{TEAM}/members/<uuid:user_id>"): ADMINS,
    ("DELETE", f"{TEAM}/members/<uuid:user_id>"): ADMINS,
    ("GET", "/api/v1/reviews/queue"): REVIEWERS,
    ("PUT", f"{SCAN}/samples/<int:n>/feedback"): replace(SAMPLE_REVIEWERS, body={"risk_types": []}),
    ("DELETE", f"{SCAN}/samples/<int:n>/feedback"): SAMPLE_REVIEWERS,
    ("GET", "/api/v1/reviews/sample"): REVIEWERS,
    ("GET", "/api/v1/reviews/recall"): REVIEWERS,
    ("GET", "/api/v1/reviews/agreement"): REVIEWERS,
    ("GET", "/api/v1/reviews/summary"): replace(ACCOUNTS, scope="read"),
    ("GET", "/api/v1/users"): ADMINS,
    ("POST", "/api/v1/users"): ADMINS,
    ("GET", ACCOUNT): ADMINS,
    ("PATCH", ACCOUNT): replace(ADMINS, body={"role": "user"}),
    ("DELETE", ACCOUNT): ADMINS,
    ("GET", f"{ACCOUNT}/data"): ADMINS,
    ("POST", f"{ACCOUNT}/password-link"): ADMINS,
    ("GET", "/api/v1/admin/audit-events"): AUDITORS,
    ("GET", "/api/v1/admin/audit-events/export"): AUDITORS,
    ("GET", "/api/v1/admin/audit-events/seal"): AUDITORS,
    ("GET", "/api/v1/admin/report-logs"): AUDITORS,
    ("GET", "/api/v1/admin/blocks"): ADMINS,
    ("POST", "/api/v1/admin/blocks"): ADMINS,
    ("DELETE", "/api/v1/admin/blocks/<uuid:block_id>"): ADMINS,
    ("GET", "/api/v1/admin/api-interactions"): AUDITORS,
    ("GET", "/api/v1/admin/models"): ANALYSTS,
    ("GET", "/api/v1/admin/drift"): ANALYSTS,
    ("GET", "/api/v1/admin/deployments"): ANALYSTS,
    ("POST", "/api/v1/admin/deployments"): ANALYSTS,
    ("PUT", "/api/v1/admin/shadow"): ANALYSTS,
    ("DELETE", "/api/v1/admin/shadow"): ANALYSTS,
}


@pytest.fixture(scope="module")
def live(database_url, start_service):
    """A service that draws every sentence without a finding."""
    return start_service(
        DATABASE_URL=database_url,
        REVIEW_SAMPLE_SHARE="1",
        SECURITY_CONTACT="mailto:security@corp.local",
    )


@contextmanager
def added_accounts(live):
    """Yield an account for each caller but the first and the last; their connections close with the block."""
    register = live.services.accounts.register
    with caller(live.url) as client, ExitStack() as stack:
        accounts = {}
        for role in CALLERS[1:-1]:
            accounts[role] = User(client, partial(register, role=role))
            stack.callback(accounts[role].http.close)
        yield accounts


@pytest.fixture(scope="module")
def shared_accounts(live):
    with added_accounts(live) as accounts:
        yield accounts


@pytest.fixture
def accounts(route, live, shared_accounts, new_user):
    """The callers by name; a route that may end a log-in or an account gets callers of its own."""
    is_harmless = route[1].startswith("/api/") and "/auth/" not in route[1]
    with nullcontext(shared_accounts) if is_harmless else added_accounts(live) as callers:
        yield {**callers, "owner": new_user()}


@pytest.fixture
def new_places(live, accounts):
    """Return new values for the paths' parameters: a scan of the owner's that every reader has judged."""
    register = live.services.accounts.register

    def add():
        account = register(f"{uuid4()}@corp.local", "correct horse")
        new = NewBlock("198.51.100.7", "for this test")
        block = live.services.blocks.add(new, actor=Actor(account.id))
        live.services.audit_seals.seal()
        own = {"<uuid:user_id>": str(account.id), "<uuid:block_id>": str(block.id)}
        places = {**add_places(accounts), **add_course(accounts), **own}
        return {**places, "<uuid:team_id>": add_team(live.services, places, accounts["owner"])}

    return add


def add_team(services, places, owner):
    """Add a team of the owner and of the account in the places, in which everything is shared."""
    team_id = services.teams.create(str(uuid4()), actor=Actor()).id
    for user_id in (owner.id, places["<uuid:user_id>"]):
        services.teams.add_member(team_id, UUID(user_id), actor=Actor())
    for place in (DOCUMENT, SCAN, SESSION):
        owner.http.put(f"{filled(place, places)}/teams/{team_id}").raise_for_status()
    return str(team_id)


def add_places(accounts):
    owner = accounts["owner"]
    owner.http.put("/api/v1/settings", json={"store_original": True}).raise_for_status()
    form = {"file": ("plan.txt", TEXT.encode())}
    scan_id = owner.http.post("/api/v1/scan", files=form).json()["scan_id"]
    scan = f"/api/v1/scans/{scan_id}"
    verdicts = {name: judge(accounts[name], scan, 1) for name in ("owner", "reviewer", "admin")}
    for name in ("reviewer", "admin"):
        accounts[name].http.put(f"{scan}/samples/1/feedback", json={"risk_types": []})
    session = owner.http.post("/api/v1/sessions", json={"name": "Tender"}).json()["id"]
    file = owner.http.post(f"/api/v1/sessions/{session}/files", files=FORM).json()["id"]
    [login] = owner.http.get("/api/v1/auth/logins").json()["items"]
    key = owner.http.post("/api/v1/auth/keys", json={"name": "ci", "scopes": ["scan"]}).json()
    hook = owner.http.post("/api/v1/webhooks", json=HOOK).raise_for_status().json()["id"]
    sent = owner.http.post(f"/api/v1/webhooks/{hook}/test").raise_for_status().json()["id"]
    batch = owner.http.post("/api/v1/batches", files=FORM).json()["id"]
    risk = {"title": "Budget", "finding": {"scan_id": scan_id, "n": 1}}
    risk_id = owner.http.post("/api/v1/risks", json=risk).raise_for_status().json()["id"]
    return {
        "<uuid:risk_id>": risk_id,
        "<uuid:batch_id>": batch,
        "<uuid:webhook_id>": hook,
        "<uuid:delivery_id>": sent,
        "<uuid:key_id>": key["id"],
        "<uuid:scan_id>": scan_id,
        "<uuid:document_id>": owner.http.get(scan).json()["document_id"],
        "<int:n>": "1",
        "<uuid:feedback_id>": verdicts["owner"].json()["id"],
        "<uuid:session_id>": session,
        "<uuid:file_id>": file,
        "<uuid:login_id>": login["id"],
        "<path:name>": "swagger-ui.css",
        "<path:asset>": "base.css",
    }


def filled(path, places):
    for parameter, value in places.items():
        path = path.replace(parameter, value)
    return path


def expected_refusal(name, access):
    if name in access.blind:
        return 404
    return (
        None if name in access.callers else access.stranger if name == "nobody" else access.refusal
    )


@pytest.mark.parametrize("route", TABLE, ids=" ".join)
def test_route_lets_in_exactly_the_callers_of_the_table(route, client, accounts, new_places):
    (method, path), access = route, TABLE[route]
    needs_places = "<" in f"{path} {access.body} {access.query}"
    places, refusals = {}, {}
    for name in CALLERS:
        if needs_places and not places:
            places = new_places()
        url = filled(path, places)
        http = client if name == "nobody" else accounts[name].http
        status = http.request(method, url, **access.request(places)).status_code
        refusals[name] = status if status in {401, 403, 404} else None
        if method == "DELETE" and refusals[name] is None:
            places = {}  # the object is gone
    assert refusals == {name: expected_refusal(name, access) for name in CALLERS}


SCOPES = ("scan", "read", "review", "delete", "admin")


@pytest.fixture(scope="module")
def keys(live):
    """An administrator's keys, by their one scope."""
    accounts = live.services.accounts
    user = accounts.register("keys@corp.local", "correct horse", role="admin")
    create = live.services.api_keys.create
    return {
        scope: create(user, name=scope, scopes=[Scope(scope)], lifetime=None).text
        for scope in SCOPES
    }


@pytest.mark.parametrize(
    "route", [r for r in TABLE if TABLE[r] not in (ANYONE, TO_OWN_FORMS)], ids=" ".join
)
def test_route_accepts_exactly_the_keys_with_its_scope(route, client, keys):
    (method, path), access = route, TABLE[route]
    url, refused = re.sub("<int:n>", "1", re.sub("<uuid:[a-z_]+>", str(uuid4()), path)), {}
    for scope, key in keys.items():
        request = access.request()
        headers = {**request.pop("headers"), "X-API-Key": key}
        answer = client.request(method, url, **request, headers=headers)
        assert answer.status_code != 401
        refused[scope] = answer.status_code == 403
        if refused[scope]:
            expected = f"the scope {access.scope};" if access.scope else "API keys cannot use this"
            assert expected in answer.json()["detail"]
    assert refused == {scope: scope != access.scope for scope in SCOPES}


def test_every_route_has_an_entry(live):
    routes = {
        (method, rule.rule)
        for rule in live.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert routes == set(TABLE), "add the new route with its callers to TABLE"
