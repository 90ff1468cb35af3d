"""Calls that keep risks in the register."""

import io

from openpyxl import load_workbook

from tests.api.reviewing import BUDGET, finding, judge
from tests.support.sentences import FLOW_TEXT

RISKS = "/api/v1/risks"
NEW = {"title": "Supplier may fail", "likelihood": 2, "impact": 4}
SEES = {"creator", "owner", "member", "team-reviewer"}
"""The parts that people of a risk's team have in it; the fixture `people` has an account of each."""


def create(user, **fields):
    return user.http.post(RISKS, json={**NEW, **fields})


def created(user, **fields):
    risk = create(user, **fields).raise_for_status().json()
    return f"{RISKS}/{risk['id']}"


def get(user, risk):
    return user.http.get(risk).raise_for_status().json()


def listed(user, **query):
    items = user.http.get(RISKS, params=query).raise_for_status().json()["items"]
    return [item["title"] for item in items]


def exported(user, **query):
    answer = user.http.get(f"{RISKS}/export", params=query).raise_for_status()
    sheet = load_workbook(io.BytesIO(answer.content)).active
    assert "f" not in {cell.data_type for row in sheet.rows for cell in row}
    return [[cell.value for cell in row] for row in sheet.rows]


def id_of(risk):
    return risk.rsplit("/", 1)[1]


def change(user, risk, **fields):
    etag = user.http.get(risk).headers["ETag"]
    return user.http.patch(risk, json=fields, headers={"If-Match": etag})


def scanned(user, text=FLOW_TEXT, **form):
    file = {"file": ("plan.txt", text.encode())}
    answer = user.http.post("/api/v1/scan", files=file, data=form).raise_for_status()
    return f"/api/v1/scans/{answer.json()['scan_id']}"


def source(user, scan, risk_type=BUDGET):
    return {"scan_id": scan.rsplit("/", 1)[1], "n": finding(user, scan, risk_type)["id"]}


def confirmed(user, scan, risk_type=BUDGET):
    """Confirm a finding of a scan; return what makes it support a risk."""
    chosen = source(user, scan, risk_type)
    judge(user, scan, chosen["n"]).raise_for_status()
    return chosen
