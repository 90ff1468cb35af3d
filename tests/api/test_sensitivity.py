"""`sensitivity` selects the threshold above which a sentence states a risk."""

import json

import pytest

from service.config.settings import ROOT

TEXT = "\n\n".join(
    json.loads(line)["text"]
    for line in (ROOT / "ml/data/authored-b.jsonl").read_text().splitlines()[:120]
)


def findings(user, **body) -> set[tuple[str, str]]:
    answer = user.http.post("/scan", json={"text": TEXT, **body})
    assert answer.status_code == 200
    return {(item["context"], item["risk"]) for item in answer.json()["data"]}


def test_sensitivity_recall_finds_more_and_precision_less_than_balanced(user):
    recall, balanced, precision = (
        findings(user, sensitivity=s) for s in ("recall", "balanced", "precision")
    )
    assert recall > balanced > precision
    assert precision


def test_sensitivity_balanced_is_the_default(user):
    assert findings(user) == findings(user, sensitivity="balanced")


@pytest.mark.parametrize(
    "body",
    [
        {"files": {"text": (None, "It may fail."), "sensitivity": (None, "recall")}},
        {"data": {"text": "It may fail.", "sensitivity": "recall"}},
    ],
)
def test_sensitivity_is_stored_with_the_scan(user, body):
    scan_id = user.http.post("/api/scan", **body).json()["scan_id"]
    assert user.http.get(f"/api/scans/{scan_id}").json()["sensitivity"] == "recall"


def test_sensitivity_unset_is_stored_as_balanced(user):
    scan_id = user.scan("It may fail.").json()["scan_id"]
    assert user.http.get(f"/api/scans/{scan_id}").json()["sensitivity"] == "balanced"


def test_sensitivity_unknown_is_rejected_by_name(user):
    answer = user.http.post("/api/scan", json={"text": "It may fail.", "sensitivity": "high"})
    assert answer.status_code == 400
    assert [e["field"] for e in answer.json()["errors"]] == ["sensitivity"]


def test_sensitivity_with_force_llm_is_rejected(user):
    body = {"text": "It may fail.", "sensitivity": "recall", "force_llm": True}
    answer = user.http.post("/scan", json=body)
    assert answer.status_code == 400
    assert {e["field"] for e in answer.json()["errors"]} == {"force_llm", "sensitivity"}


def test_sensitivity_changed_with_the_same_key_conflicts(user):
    headers = {"Idempotency-Key": "sensitivity-1"}
    body = {"text": "It may fail."}
    assert user.http.post("/api/scan", json=body, headers=headers).status_code == 201
    other = user.http.post("/api/scan", json={**body, "sensitivity": "recall"}, headers=headers)
    assert other.status_code == 409
