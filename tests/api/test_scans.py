"""Stored scans: listing, filters, deletion, idempotency, and other people's scans."""

import concurrent.futures
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from db.tables import Scan
from service.domain.limits import COUNTED_SCANS
from service.nlp.taxonomy import built_in
from tests.db.conftest import scan_values
from tests.support.sentences import FLOW_TEXT

pytestmark = pytest.mark.every_database


@pytest.fixture
def five(user):
    """Five scans, oldest first; the second and the fourth state no risk."""
    texts = [FLOW_TEXT, "It is blue.", "The vendor may go bankrupt.", "It is red.", FLOW_TEXT]
    return [user.scan(text).json()["scan_id"] for text in texts]


def listed(user, **params):
    answer = user.http.get("/api/scans", params=params)
    assert answer.status_code == 200, answer.text
    return [item["scan_id"] for item in answer.json()["items"]]


def test_scans_are_listed_newest_first_with_total(user, five):
    answer = user.http.get("/api/scans").json()
    assert [i["scan_id"] for i in answer["items"]] == five[::-1]
    assert (answer["page"], answer["per_page"]) == (1, 20)
    assert (answer["total"], answer["total_relation"]) == (5, "eq")


def test_scans_numbered_pages_cover_the_list(user, five):
    pages = [listed(user, page=n, per_page=2) for n in (1, 2, 3, 4)]
    assert pages == [five[:2:-1], five[2:0:-1], five[:1], []]


@pytest.fixture
def many(live, user):
    """Three scans more than the total counts; the oldest thirty are from the LLM."""
    begin, owner = datetime(2026, 1, 1, tzinfo=UTC), uuid.UUID(user.id)
    rows = [
        scan_values(
            owner,
            created_at=begin + timedelta(minutes=n),
            source="llm" if n < 30 else "model",
        )
        for n in range(COUNTED_SCANS + 3)
    ]
    live.services.transactions.run(lambda s: s.execute(insert(Scan), rows))
    return rows


def total_of(user, **params):
    answer = user.http.get("/api/scans", params=params).raise_for_status().json()
    return answer["total"], answer["total_relation"]


def test_scans_total_beyond_the_count_limit_says_gte(user, many):
    assert total_of(user) == (COUNTED_SCANS, "gte")
    assert total_of(user, created_from=many[3]["created_at"].isoformat()) == (COUNTED_SCANS, "eq")
    assert total_of(user, page=51) == (COUNTED_SCANS + 3, "eq")
    assert total_of(user, page=52) == (COUNTED_SCANS, "gte")


@pytest.mark.usefixtures("many")
def test_scans_total_of_a_filter_is_at_least_the_items_shown(user):
    assert total_of(user, source="llm", per_page=10) == (28, "gte")
    assert total_of(user, source="llm", per_page=28) == (29, "gte")
    assert total_of(user, source="llm") == (28, "gte")
    assert total_of(user, source="llm", page=2) == (30, "eq")


@pytest.mark.usefixtures("five")
def test_scans_by_cursor_have_no_total(user):
    cursor = user.http.get("/api/scans?per_page=2").json()["next_cursor"]
    assert total_of(user, cursor=cursor) == (None, None)


def test_scans_numbered_pages_end_at_the_limit(user):
    assert listed(user, page=500) == []
    assert listed(user, page=100, per_page=100) == []
    message = user.http.get("/api/scans?page=501").json()["detail"]
    assert "next_cursor" in message


def test_scans_link_header_reaches_every_page(user, five):
    seen, url = [], "/api/scans?per_page=2"
    while url:
        answer = user.http.get(url)
        seen += [i["scan_id"] for i in answer.json()["items"]]
        url = answer.links.get("next", {}).get("url")
    assert seen == five[::-1]


def test_scans_cursor_ignores_newer_scans(user, five):
    first = user.http.get("/api/scans?per_page=2").json()
    user.scan("Another one.")
    assert listed(user, per_page=2, cursor=first["next_cursor"]) == five[2:0:-1]


def test_scans_filters_select_matches(user, five):
    for category in ("budget", "Budget", "BUDGET"):
        assert listed(user, category=category) == [five[4], five[0]]
    for risk_type in ("aggressive-deadline", "Aggressive or unrealistic Deadline"):
        assert listed(user, risk_type=risk_type) == [five[4], five[0]]
    assert listed(user, source="llm") == []
    assert listed(user, q="VENDOR may") == [five[2]]
    assert listed(user, q="100%") == []


def test_scans_created_range_is_half_open(user, five):
    stamps = [i["timestamp"] for i in user.http.get("/api/scans").json()["items"]][::-1]
    assert listed(user, created_from=stamps[1], created_before=stamps[3]) == [five[2], five[1]]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"category": "money"}, "category"),
        ({"risk_type": "x"}, "risk_type"),
        ({"source": "human"}, "source"),
        ({"colour": "red"}, "colour"),
        ({"created_from": "yesterday"}, "created_from"),
        ({"created_from": "0001-01-01T00:00:00+14:00"}, "created_from"),
        ({"created_before": "9999-12-31T23:59:59-14:00"}, "created_before"),
        ({"q": "\x00"}, "q"),
        ({"page": 10**30}, "page"),
        ({"page": 0}, "page"),
        ({"page": 501}, "page"),
        ({"page": 101, "per_page": 100}, "page"),
        ({"per_page": 101}, "per_page"),
        ({"cursor": "bm9uZQ=="}, "cursor"),
        ({"cursor": "\u00e9"}, "cursor"),
        ({"category": ["budget", "schedule"]}, "category"),
    ],
)
def test_scans_with_unknown_filter_or_value_names_it(user, params, field):
    answer = user.http.get("/api/scans", params=params)
    assert answer.status_code == 400
    assert [e["field"] for e in answer.json()["errors"]] == [field]


def test_scans_with_several_faults_lists_all(user):
    query = {"page": 1, "cursor": "bm9uZQ==", "per_page": 101, "source": "human"}
    errors = user.http.get("/api/scans", params=query).json()["errors"]
    assert sorted(e["field"] for e in errors) == ["cursor", "page", "per_page", "source"]


def test_scans_by_an_unknown_label_names_the_labels(user):
    answer = user.http.get("/api/scans", params={"category": "money", "risk_type": "Greed"})
    assert answer.status_code == 400
    messages = {e["field"]: e["message"] for e in answer.json()["errors"]}
    assert all(key in messages["category"] for key in built_in().category_keys)
    assert all(key in messages["risk_type"] for key in built_in().risk_types)


def test_scan_of_another_user_is_not_found(new_user):
    owner, other = new_user(), new_user()
    path = f"/api/scans/{owner.scan().json()['scan_id']}"
    answers = [
        other.http.get(path),
        other.http.delete(path),
        other.http.get(f"{path}/findings"),
        other.http.get(f"/api/scans/{uuid.uuid4()}"),
    ]
    assert [a.status_code for a in answers] == [404] * 4
    assert owner.http.get(path).status_code == 200


def test_scan_deleted_deletes_its_findings(user):
    path = f"/api/scans/{user.scan().json()['scan_id']}"
    assert user.http.delete(path).status_code == 204
    assert user.http.get(path).status_code == 404
    assert user.http.get(f"{path}/findings").status_code == 404
    assert user.http.delete(path).status_code == 404


def test_get_scan_answers_the_data_of_its_creation(user):
    created = user.scan(f"{FLOW_TEXT}. The vendor may go bankrupt.").json()
    assert len(created["data"]) > 1
    answer = user.http.get(f"/api/scans/{created['scan_id']}").json()
    assert {name: answer[name] for name in created} == created


def test_findings_are_paged_in_document_order(user):
    scan_id = user.scan(f"{FLOW_TEXT}. The vendor may go bankrupt.").json()["scan_id"]
    first = user.http.get(f"/api/v1/scans/{scan_id}/findings?per_page=1")
    assert [f["id"] for f in first.json()["items"]] == [1]
    rest = user.http.get(first.links["next"]["url"].replace("per_page=1", "per_page=50")).json()
    assert [f["id"] for f in rest["items"]] == list(range(2, 2 + len(rest["items"])))
    starts = [f["start"] for f in rest["items"]]
    assert starts == sorted(starts)


def test_idempotency_key_repeated_returns_the_stored_scan(user):
    key = {"Idempotency-Key": "order-1"}
    first, again = user.scan(headers=key), user.scan(headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert user.http.get("/api/scans").json()["total"] == 1


def test_idempotency_key_with_other_content_conflicts(user):
    key = {"Idempotency-Key": "order-1"}
    user.scan(headers=key)
    answer = user.scan("Something else.", headers=key)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_idempotency_key_of_another_user_is_independent(new_user):
    key = {"Idempotency-Key": "order-1"}
    one, two = (new_user().scan(headers=key).json()["scan_id"] for _ in range(2))
    assert one != two


def test_idempotency_key_sent_concurrently_stores_one_scan(user):
    key = {"Idempotency-Key": "race"}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: user.scan(headers=key), range(4)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["scan_id"] for a in answers}) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a b"])
def test_idempotency_key_malformed_is_rejected(user, key):
    answer = user.scan(headers={"Idempotency-Key": key})
    assert [e["field"] for e in answer.json()["errors"]] == ["Idempotency-Key"]


def test_scan_records_an_audit_event(user, admin):
    scan_id = user.scan().json()["scan_id"]
    events = admin.http.get("/api/admin/audit-events").json()["items"]
    created = [e for e in events if e["object_id"] == scan_id]
    assert [(e["action"], e["user_id"]) for e in created] == [("scan.created", user.id)]
