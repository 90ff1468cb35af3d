"""Drift of stored scans against the serving model's reference."""

import pytest

from tests.support.sentences import FLOW_TEXT

pytestmark = pytest.mark.every_database


@pytest.fixture(scope="module")
def live(database_url, start_service):
    return start_service(DATABASE_URL=database_url)


def drift(admin):
    return admin.http.get("/api/v1/admin/drift").raise_for_status().json()


def histogram(answer, name):
    [found] = [h for h in answer["histograms"] if h["name"] == name]
    return found


def test_drift_before_the_first_scan_is_unknown(admin):
    answer = drift(admin)
    assert (answer["n_scans"], answer["n_sentences"]) == (0, 0)
    assert answer["n_reference"] > 1_000
    assert {h["status"] for h in answer["histograms"]} == {"too few"}
    assert [h["name"] for h in answer["histograms"]] == ["score", "category", "length"]


def test_scans_full_of_one_risk_drift_from_the_reference(user, admin):
    text = "".join(f"The budget {n} is tight.\n" for n in range(2_000))
    user.scan(text).raise_for_status()
    answer = drift(admin)
    category = histogram(answer, "category")
    assert answer["n_sentences"] == 2_000
    assert (category["status"], answer["model"].partition("/")[0]) == ("drifted", "riskscan-fast")
    assert category["psi"] > category["chance"] + 0.25
    shares = {b["label"]: b for b in category["bins"]}
    assert shares["budget"]["observed"] > 0.9
    assert shares["budget"]["reference"] < 0.1
    assert shares["none"]["reference"] > 0.5
    for h in answer["histograms"]:
        for side in ("reference", "observed"):
            assert sum(b[side] for b in h["bins"]) == pytest.approx(1)


def test_scans_at_another_sensitivity_or_with_hidden_findings_do_not_count(new_user, admin):
    before, user = drift(admin), new_user()
    body = {"text": FLOW_TEXT, "sensitivity": "recall"}
    user.http.post("/api/scan", json=body).raise_for_status()
    user.http.put("/api/v1/settings", json={"thresholds": {"budget": 1.0}}).raise_for_status()
    user.scan(FLOW_TEXT).raise_for_status()
    assert drift(admin) == before
