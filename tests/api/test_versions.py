"""An edited document is the next version of the same document; changes name their cause."""

import pytest

from db.queries import documents as queries
from db.queries.documents import newest_scans
from tests.api.reviewing import judge, listed
from tests.api.test_documents import document_of, get, scanned
from tests.api.test_scan_again import changes, scan_again
from tests.db.conftest import servers

pytestmark = pytest.mark.every_database

BUDGET = "The project has a tight budget."
DEADLINE = "The deadline is very aggressive."
SUPPLIER = "Our only supplier may go bankrupt."
DOUBTFUL = "The team is small."
"""A finding at `balanced`, none at `precision`."""
FIRST = f"{BUDGET}\n{DEADLINE}"


def scan_version(user, document, text, **rest):
    body = {"text": text, "document": document.rsplit("/", 1)[-1], **rest}
    return user.http.post("/api/v1/scan", json=body)


def edited(user, document, text, **rest):
    """Scan a text as the next version of a document; return the version's path and its scan's id."""
    scan_id = scan_version(user, document, text, **rest).raise_for_status().json()["scan_id"]
    return document_of(user, scan_id), scan_id


def numbers(user, document):
    versions = get(user, document)["versions"]
    return [(v["version"], f"/api/v1/documents/{v['id']}") for v in versions]


def test_edited_text_is_the_next_version_of_its_document(user):
    first = scanned(user, FIRST)
    second, _ = edited(user, first, f"{FIRST} More.")
    third, scan_id = edited(user, first, f"{FIRST} And more.")
    expected = [(3, third), (2, second), (1, first)]
    assert [numbers(user, path) for path in (first, second, third)] == [expected] * 3
    document = get(user, third)
    assert (document["version"], document["n_scans"]) == (3, 1)
    assert [scan["id"] for scan in document["scans"]] == [scan_id]
    assert get(user, f"{first}/text")["text"] == FIRST


def test_versions_name_their_newest_scans(user):
    first = scanned(user, FIRST)
    _, of_second = edited(user, first, f"{FIRST} More.")
    again = scan_again(user, first).json()["scan_id"]
    newest = [version["newest_scan"] for version in get(user, first)["versions"]]
    assert [scan["id"] for scan in newest] == [of_second, again]
    assert newest[1] == get(user, first)["scans"][0]


def test_version_of_an_uploaded_file_and_of_a_file_in_a_session(user):
    first = scanned(user, FIRST)
    form = {"document": first.rsplit("/", 1)[-1]}
    files = {"file": ("v2.md", f"# Plan\n\n{FIRST}".encode())}
    session = user.http.post("/api/v1/sessions", json={"name": "s"}).json()["id"]
    uploads = (({}, files), ({"session": session}, {"file": ("v3.md", b"# Nothing")}))
    for more, sent in uploads:
        user.http.post("/api/v1/scan", data={**form, **more}, files=sent).raise_for_status()
    versions = get(user, first)["versions"]
    assert [(v["version"], v["name"]) for v in versions] == [(3, "v3.md"), (2, "v2.md"), (1, None)]


def test_version_with_known_bytes_is_another_scan_of_that_version(user):
    first = scanned(user, FIRST)
    second, _ = edited(user, first, f"{FIRST} More.")
    assert edited(user, second, FIRST)[0] == first
    assert [n for n, _ in numbers(user, first)] == [2, 1]
    assert get(user, first)["n_scans"] == 2


def test_document_scanned_on_its_own_before_becomes_a_version(user):
    first, alone = scanned(user, FIRST), scanned(user, f"{FIRST} More.")
    assert edited(user, first, f"{FIRST} More.")[0] == alone
    assert numbers(user, alone) == [(2, alone), (1, first)]


def test_version_of_another_document_conflicts(user):
    first, other = scanned(user, FIRST), scanned(user, "Another text.")
    edited(user, other, "Another text, edited.")
    answer = scan_version(user, first, "Another text, edited.")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert [n for n, _ in numbers(user, first)] == [1]


def test_version_of_a_missing_or_foreign_document_is_not_found(user, new_user):
    first = scanned(user, FIRST)
    stranger = new_user()
    assert scan_version(stranger, first, "Mine.").status_code == 404
    user.http.delete(first).raise_for_status()
    assert scan_version(user, first, "Mine.").status_code == 404
    assert get(user, "/api/v1/scans")["items"] == []


def test_list_has_the_newest_version_of_each_document_unless_all_are_asked_for(user):
    first, alone = scanned(user, FIRST), scanned(user, "Alone.")
    second, _ = edited(user, first, f"{FIRST} More.")

    def paths(**query):
        items = get(user, "/api/v1/documents", **query)["items"]
        return [f"/api/v1/documents/{item['id']}" for item in items]

    assert paths() == [second, alone]
    assert paths(versions="all") == [second, alone, first]


def test_versions_are_deleted_one_by_one_or_together(user):
    first = scanned(user, FIRST)
    second, _ = edited(user, first, f"{FIRST} More.")
    third, _ = edited(user, second, f"{FIRST} And more.")
    assert user.http.delete(first).status_code == 204
    assert numbers(user, third) == [(3, third), (2, second)]
    assert user.http.delete(third, params={"versions": "all"}).status_code == 204
    assert get(user, "/api/v1/documents", versions="all")["items"] == []


@servers
def test_version_that_is_deleted_while_its_document_is_read_is_left_out(user, monkeypatch):
    first = scanned(user, FIRST)
    second, _ = edited(user, first, f"{FIRST} More.")

    def delete_first(session, document_ids):
        user.http.delete(first).raise_for_status()
        return newest_scans(session, document_ids)

    monkeypatch.setattr(queries, "newest_scans", delete_first)
    assert numbers(user, second) == [(2, second)]


def test_deleted_document_that_is_scanned_again_is_no_version_of_those_left(user):
    first = scanned(user, FIRST)
    second, _ = edited(user, first, f"{FIRST} More.")
    user.http.delete(first).raise_for_status()
    assert scanned(user, FIRST) == first
    items = get(user, "/api/v1/documents")["items"]
    assert [f"/api/v1/documents/{item['id']}" for item in items] == [first, second]
    assert numbers(user, first) == [(1, first)]
    [again] = get(user, first)["scans"]
    assert get(user, f"/api/v1/scans/{again['id']}/changes")["since"] is None
    assert user.http.delete(first, params={"versions": "all"}).status_code == 204
    assert numbers(user, second) == [(2, second)]


def test_key_with_another_document_conflicts(user):
    first, other = scanned(user, FIRST), scanned(user, "Another text.")
    key = {"headers": {"Idempotency-Key": "k"}}
    url, text = "/api/v1/scan", {"text": f"{FIRST} More."}
    answers = [
        user.http.post(url, json={**text, "document": path.rsplit("/", 1)[-1]}, **key)
        for path in (first, first, other)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert answers[0].json() == answers[1].json()


def test_verdict_and_missed_risk_carry_over_to_an_edited_version(user):
    first = scanned(user, f"{FIRST}\nIt is blue.\nAll is well.\nIt is blue.")
    [scan] = get(user, first)["scans"]
    path = f"/api/v1/scans/{scan['id']}"
    [budget, *_] = get(user, f"{path}/findings")["items"]
    judge(user, path, budget["id"], "rejected")
    text = get(user, f"{first}/text")["text"]
    at = text.rindex("It is blue.")
    report = {"start": at, "end": at + 11, "context": "It is blue.", "risk_types": ["outage"]}
    user.http.post(f"{path}/feedback", json=report).raise_for_status()
    text = f"A new first line.\nIt is blue.\nAll is well.\nIt is\nblue.\n{FIRST}"
    _, scan_id = edited(user, first, text)
    newer = f"/api/v1/scans/{scan_id}"
    verdicts = [
        f["feedback"] and f["feedback"]["verdict"] for f in get(user, f"{newer}/findings")["items"]
    ]
    assert verdicts[0] == "rejected"
    assert set(verdicts[1:]) <= {None}
    [missed] = [row for row in listed(user, newer) if row["verdict"] == "missed"]
    at = text.index("It is\nblue.")
    assert (missed["start"], missed["end"], missed["context"]) == (at, at + 11, "It is\nblue.")
    assert (missed["carried_from"], missed["verified"]) == (scan["id"], True)


@pytest.mark.timeout(60)  # a search for each word at each place takes minutes
def test_missed_risk_of_thousands_of_words_does_not_delay_the_next_version(user):
    first = scanned(user, "a " * 10_000)
    path = f"/api/v1/scans/{get(user, first)['scans'][0]['id']}"
    context = "a " * 9_998 + "bb"
    report = {"start": 0, "end": len(context), "context": context, "risk_types": ["outage"]}
    user.http.post(f"{path}/feedback", json=report).raise_for_status()
    _, scan_id = edited(user, first, "a " * 1_249_999 + "b")
    assert listed(user, f"/api/v1/scans/{scan_id}") == []


def causes(user, newer, older):
    items = changes(user, newer, older)["items"]
    return {(i["change"], i["cause"]) for i in items}


def test_changes_between_versions_have_the_document_as_cause(user):
    first = scanned(user, FIRST)
    [scan] = get(user, first)["scans"]
    extended = DEADLINE.replace(".", " and cannot move.")
    second, scan_id = edited(user, first, f"{BUDGET}\n{extended}\n{SUPPLIER}")
    answer = get(user, f"/api/v1/scans/{scan_id}/changes")
    assert (answer["since"], answer["document_changed"]) == (scan["id"], True)
    found = {(i["change"], i["cause"]) for i in answer["items"]}
    assert found == {("same", None), ("new", "document"), ("gone", "document")}
    again = scan_again(user, second).json()["scan_id"]
    assert get(user, f"/api/v1/scans/{again}/changes")["since"] == scan_id


def test_changes_of_the_same_text_have_the_sensitivity_or_settings_as_cause(user):
    first = scanned(user, f"{SUPPLIER} {FIRST} {DOUBTFUL}")
    [older] = get(user, first)["scans"]
    strict = scan_again(user, first, sensitivity="precision").json()["scan_id"]
    assert causes(user, strict, older["id"]) - {("same", None)} == {("gone", "sensitivity")}
    user.http.put("/api/settings", json={"thresholds": {"budget": 1.0}}).raise_for_status()
    newest = scan_again(user, first).json()["scan_id"]
    assert causes(user, newest, older["id"]) - {("same", None)} == {("gone", "other")}


def test_changes_between_versions_tell_the_sensitivity_from_the_document(user):
    first = scanned(user, f"{DOUBTFUL} {BUDGET}")
    [older] = get(user, first)["scans"]
    _, newer = edited(user, first, DOUBTFUL, sensitivity="precision")
    expected = {("gone", "sensitivity"), ("gone", "document")}
    assert causes(user, newer, older["id"]) - {("same", None)} == expected


def test_changes_are_read_page_by_page(user):
    first = scanned(user, "\n".join([BUDGET] * 5 + [SUPPLIER] * 3))
    [older] = get(user, first)["scans"]
    _, newer = edited(user, first, "\n".join([BUDGET] * 7))
    whole = changes(user, newer, older["id"])
    url, items = f"/api/v1/scans/{newer}/changes", []
    after = 0
    while after is not None:
        page = get(user, url, per_page=2, after=after)
        assert (page["n_new"], page["n_same"], page["n_gone"]) == (
            whole["n_new"],
            whole["n_same"],
            whole["n_gone"],
        )
        items += page["items"]
        after = page["next_after"]
    assert items == whole["items"]
    kinds = [item["change"] for item in items]
    counts = [kinds.count(kind) for kind in ("new", "same", "gone")]
    assert counts == [whole["n_new"], whole["n_same"], whole["n_gone"]]
    assert min(counts) > 0
    link = user.http.get(url, params={"per_page": 2}).headers["Link"]
    assert f'after={items[1]["n"]}>; rel="next"' in link
