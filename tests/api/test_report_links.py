"""Signed links to reports need no log-in, and end with their time, their maker's access and the scan."""

import time
from uuid import UUID

import httpx
import pytest

from service.domain.accounts import user_admin
from service.domain.audit import Actor
from tests.support.sentences import FLOW_TEXT


def made(user, scan, **body):
    return user.http.post(f"{scan}/report-links", json={"format": "json", **body})


def link(user, scan, **body):
    return made(user, scan, **body).raise_for_status().json()["url"]


@pytest.fixture
def scan(user):
    form = {"file": ("plan.txt", FLOW_TEXT.encode())}
    answer = user.http.post("/api/v1/scan", files=form).raise_for_status()
    return f"/api/v1/scans/{answer.json()['scan_id']}"


@pytest.mark.every_database
def test_link_works_without_a_log_in_and_each_use_is_logged(client, user, admin, scan):
    url = link(user, scan, format="csv")
    for _ in range(2):
        answer = client.get(url).raise_for_status()
        assert FLOW_TEXT in answer.text
        assert answer.headers["Cache-Control"] == "no-store"
    query = {"user_id": user.id, "kind": "scans"}
    rows = admin.http.get("/api/v1/admin/report-logs", params=query).json()["items"]
    scope = {"scan_ids": [scan.rsplit("/", 1)[1]], "link": True}
    assert [(row["format"], row["scope"]) for row in rows] == [("csv", scope)] * 2
    query = {"user_id": user.id, "action": "report_link.created"}
    assert len(admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]) == 1


def test_link_is_bound_to_its_scan_and_format(client, user, scan):
    url = link(user, scan, format="json")
    assert client.get(url).json()["scans"][0]["scan_id"] == scan.rsplit("/", 1)[1]
    assert client.get(f"{url}x").status_code == 404
    assert client.get(url[:-1]).status_code == 404
    assert client.get(f"{url}&format=pdf").status_code == 400
    assert client.get(url.partition("?")[0]).status_code == 400


def test_link_expires(client, user, scan, monkeypatch):
    url = link(user, scan, expires_in_s=60)
    assert client.get(url).status_code == 200
    real = time.time()
    monkeypatch.setattr("service.domain.reports.links.now_s", lambda: real + 61)
    assert client.get(url).status_code == 404


@pytest.mark.every_database
def test_link_ends_with_the_scan(client, user, scan):
    url = link(user, scan)
    user.http.delete(scan).raise_for_status()
    assert client.get(url).status_code == 404


@pytest.mark.every_database
@pytest.mark.parametrize("end", [user_admin.disable, user_admin.delete])
def test_link_ends_with_the_account(client, user, scan, live, end):
    url = link(user, scan)
    live.services.transactions.run(end, UUID(user.id), actor=Actor(operator="cli:root"))
    assert client.get(url).status_code == 404


@pytest.mark.every_database
def test_link_ends_with_its_makers_access(client, user, new_user, admin, scan):
    member = new_user()
    team = admin.http.post("/api/v1/teams", json={"name": f"T{user.id}"}).json()["id"]
    for one in (user, member):
        admin.http.put(f"/api/v1/teams/{team}/members/{one.id}").raise_for_status()
    user.http.put(f"{scan}/teams/{team}").raise_for_status()
    url = link(member, scan)
    assert client.get(url).status_code == 200
    user.http.delete(f"{scan}/teams/{team}").raise_for_status()
    assert client.get(url).status_code == 404


def test_nobody_makes_a_link_to_anothers_scan_or_for_too_long(user, new_user, scan):
    assert made(new_user(), scan).status_code == 404
    for body in ({"expires_in_s": 59}, {"expires_in_s": 31 * 24 * 3600}, {"format": "doc"}):
        assert made(user, scan, **body).status_code == 400


def test_link_names_the_public_address(start_service, make_user):
    service = start_service(PUBLIC_URL="https://risks.corp.local")
    user = make_user(service)
    scan_id = user.scan().raise_for_status().json()["scan_id"]
    url = httpx.URL(link(user, f"/api/v1/scans/{scan_id}"))
    assert (url.scheme, url.host, url.path) == ("https", "risks.corp.local", "/api/v1/reports/link")
