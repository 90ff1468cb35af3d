"""A model with risk types of its own serves: every route follows its taxonomy, and old findings stay."""

import json
from contextlib import closing

import pytest

from service.nlp.taxonomy import built_in
from tests.api.conftest import User
from tests.api.reviewing import finding, judge
from tests.support.calls import caller
from tests.support.own_taxonomy import MODEL, OWN, make_own_artifact
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

WHY = "Our own risk types."
SETTINGS = "/api/v1/settings"


@pytest.fixture(scope="module")
def service(start_service, tmp_path_factory, llm):
    registry_dir = tmp_path_factory.mktemp("models")
    make_own_artifact(registry_dir)
    settings = {"LLM_BASE_URL": llm.base_url, "LLM_MODEL": "rules", "INFERENCE_THREADS": "1"}
    return start_service(REGISTRY_DIR=str(registry_dir), **settings)


@pytest.fixture(scope="module")
def admin(service):
    with closing(caller(service.url)) as client:
        accounts = service.services.accounts
        admin = User(client, lambda email, word: accounts.register(email, word, role="admin"))
        with closing(admin.http):
            yield admin


@pytest.fixture(scope="module")
def user(service, admin):
    """A user with a scan by the shipped model, `old_scan`, after which the own model serves."""
    with closing(caller(service.url)) as client:
        user = User(client)
        user.old_scan = f"/api/v1/scans/{user.scan().json()['scan_id']}"
        user.http.put(SETTINGS, json={"thresholds": {"budget": 0.6}}).raise_for_status()
        body = {"kind": "activate", "model": MODEL, "force": True, "why": WHY}
        assert deploy(admin, **body).status_code == 201
        wait_until(lambda: service.services.rollout.serving == MODEL)
        with closing(user.http):
            yield user


def deploy(admin, **body):
    return admin.http.post("/api/v1/admin/deployments", json=body)


def keys(user):
    categories = user.http.get("/api/v1/taxonomy").raise_for_status().json()["categories"]
    return [risk["key"] for category in categories for risk in category["risk_types"]]


def test_taxonomy_and_document_list_the_types_of_the_serving_model(user):
    served = user.http.get("/api/v1/taxonomy").json()
    assert served["version"] == 7
    assert keys(user) == [*OWN.risk_types]
    schemas = user.http.get("/openapi.json").json()["components"]["schemas"]
    named = schemas["JudgementIn"]["properties"]["risk_types"]["items"]["enum"]
    assert set(named) == {*OWN.risk_titles, *OWN.risk_titles.values()}
    assert schemas["FindingOut"]["properties"]["category"]["anyOf"][0]["enum"] == ["money", "plant"]


def test_scan_has_the_types_and_titles_of_the_own_model(user):
    scan = user.scan().json()
    assert {(item["risk"], item["category"]) for item in scan["data"]} == {
        ("Too little money", "Money"),
        ("Rush", "Plant"),
    }
    items = user.http.get(f"/api/v1/scans/{scan['scan_id']}/findings").json()["items"]
    assert {(f["risk_type"], f["category"]) for f in items} == {
        ("money-short", "money"),
        ("rush", "plant"),
    }


def test_findings_of_the_former_model_are_listed_and_titled_by_key(user):
    items = user.http.get(f"{user.old_scan}/findings").raise_for_status().json()["items"]
    assert {(f["risk_type"], f["risk"], f["category_title"]) for f in items} == {
        ("tight-budget", "tight-budget", "budget"),
        ("aggressive-deadline", "aggressive-deadline", "schedule"),
    }


@pytest.mark.parametrize(
    ("query", "has_old", "has_new"),
    [
        ({"category": "budget"}, True, False),
        ({"risk_type": "tight-budget"}, True, False),
        ({"category": "MONEY"}, False, True),
        ({"risk_type": "Too little money"}, False, True),
    ],
)
def test_filters_take_names_of_the_own_model_and_keys_of_the_former(user, query, has_old, has_new):
    new = user.scan().json()["scan_id"]
    items = user.http.get("/api/v1/scans", params=query).raise_for_status().json()["items"]
    ids = {item["scan_id"] for item in items}
    assert (user.old_scan.rpartition("/")[2] in ids, new in ids) == (has_old, has_new)


@pytest.mark.parametrize("category", ["greed", "Schedule"])
def test_filter_by_an_unknown_category_names_the_own_ones(user, category):
    answer = user.http.get("/api/v1/scans", params={"category": category})
    assert answer.status_code == 400
    [fault] = answer.json()["errors"]
    assert fault["field"] == "category"
    assert "money, plant" in fault["message"]


def test_verdicts_need_a_type_of_the_serving_model(user):
    n = finding(user, user.old_scan)["id"]
    refused = judge(user, user.old_scan, n, "relabelled", risk_types=["cost-overrun"])
    assert refused.status_code == 400
    assert "money-short" in refused.json()["errors"][0]["message"]
    taken = judge(user, user.old_scan, n, "relabelled", risk_types=["Late money"])
    assert taken.json()["risk_types"] == ["money-late"]
    assert judge(user, user.old_scan, n).json()["risk_types"] == ["tight-budget"]


def test_llm_is_asked_for_the_types_of_the_serving_model(user, llm):
    llm.say(json.dumps({"findings": [{"sentence": 1, "risk_type": "rush"}]}))
    answer = user.http.post("/api/v1/scan", json={"text": FLOW_TEXT, "force_llm": True})
    assert [item["risk"] for item in answer.json()["data"]] == ["Rush"]
    _, request = llm.requests[-1]
    prompt = request["messages"][0]["content"]
    assert all(f"- {key}: {title}" in prompt for key, title in OWN.risk_titles.items())
    assert "tight-budget" not in prompt
    schema = request["response_format"]["json_schema"]["schema"]
    item = schema["properties"]["findings"]["items"]["properties"]
    assert item["risk_type"]["enum"] == [*OWN.risk_types]


def test_llm_that_names_a_former_type_is_refused(user, llm):
    llm.say(json.dumps({"findings": [{"sentence": 1, "risk_type": "tight-budget"}]}))
    answer = user.http.post("/api/v1/scan", json={"text": FLOW_TEXT, "force_llm": True})
    assert answer.json()["code"] == "analyzer_error"


def test_thresholds_of_the_former_model_stay_as_long_as_they_are_sent(user):
    assert user.http.get(SETTINGS).json()["thresholds"] == {"budget": 0.6}
    both = {"budget": 0.6, "money": 0.25}
    assert user.http.put(SETTINGS, json={"thresholds": both}).json()["thresholds"] == both
    refused = user.http.put(SETTINGS, json={"thresholds": {**both, "security": 0.5}})
    assert [e["field"] for e in refused.json()["errors"]] == ["thresholds.security"]
    assert user.http.put(SETTINGS, json={}).status_code == 200
    refused = user.http.put(SETTINGS, json={"thresholds": both})
    assert [e["field"] for e in refused.json()["errors"]] == ["thresholds.budget"]


def test_metrics_count_the_own_categories_from_zero(user):
    lines = user.http.get("/metrics").text.splitlines()
    assert any('riskscan_findings_total{category="plant",source="llm"}' in line for line in lines)


def test_rollback_brings_the_former_taxonomy_back(user, admin, service):
    assert user.http.get(user.old_scan).json()["data"][0]["category"] == "schedule"
    assert deploy(admin, kind="rollback").status_code == 201
    wait_until(lambda: service.services.rollout.serving != MODEL)
    assert keys(user) == [*built_in().risk_types]
    assert user.http.get(user.old_scan).json()["data"][0]["category"] == "Schedule"
    assert deploy(admin, kind="activate", model=MODEL).status_code == 409
