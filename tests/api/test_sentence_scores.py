"""Scores of any sentence of a stored text, and the words that carry a score."""

import pytest

from tests.api.test_documents import get, scanned
from tests.support.sentences import FLOW_TEXT

pytestmark = pytest.mark.every_database

PLAIN = "The canteen serves lunch from noon until two in room 14."
TEXT = f"{PLAIN}\n{FLOW_TEXT}.\n{PLAIN[:-1]}, too.\n"
AT = TEXT.index(FLOW_TEXT)
NEIGHBOURS = 0.01
"""How much sentences that leave the network early may move the scores of their neighbours in a scan."""


def scores(user, document, start, end, **query):
    return user.http.get(f"{document}/scores", params={"start": start, "end": end, **query})


def words(user, document, risk_type, start=AT, end=AT + 1):
    query = {"start": start, "end": end, "risk_type": risk_type}
    return user.http.get(f"{document}/words", params=query)


def test_scores_of_a_reported_sentence_are_those_of_its_findings(user):
    scan_id = user.scan(TEXT).json()["scan_id"]
    found = get(user, f"/api/v1/scans/{scan_id}/findings")["items"]
    document = f"/api/v1/documents/{get(user, f'/api/v1/scans/{scan_id}')['document_id']}"
    answer = scores(user, document, AT, AT + 1).raise_for_status().json()
    [sentence] = answer["sentences"]
    assert sentence["context"] == TEXT[sentence["start"] : sentence["end"]] == f"{FLOW_TEXT}."
    reported = {s["risk_type"]: s for s in sentence["scores"] if s["is_reported"]}
    assert {f["risk_type"]: f["score"] for f in found} == pytest.approx(
        {key: s["score"] for key, s in reported.items()}, abs=NEIGHBOURS
    )
    assert {f["risk_type"]: f["threshold"] for f in found} == {
        key: s["threshold"] for key, s in reported.items()
    }
    assert sentence["risk_score"] >= answer["risk_threshold"]


def test_scores_of_a_sentence_that_no_scan_reports_are_below_the_threshold(user):
    document = scanned(user, TEXT)
    answer = scores(user, document, 3, 4).json()
    [sentence] = answer["sentences"]
    assert (sentence["start"], sentence["context"]) == (0, PLAIN)
    assert len(sentence["scores"]) == 37
    assert sentence["risk_score"] < answer["risk_threshold"]
    assert not any(score["is_reported"] for score in sentence["scores"])


def test_scores_of_a_range_are_those_of_its_sentences_and_at_most_twenty(user):
    document = scanned(user, TEXT * 20)
    assert len(scores(user, document, AT, AT + len(FLOW_TEXT) + 2 + 10).json()["sentences"]) == 2
    assert len(scores(user, document, 0, 20 * len(TEXT)).json()["sentences"]) == 20


@pytest.mark.system
def test_scores_deep_in_a_long_text_are_those_of_the_scan(user):
    text = f"All is well here.\n{FLOW_TEXT}.\n" * 4_000  # several stored pieces
    scan_id = user.scan(text).json()["scan_id"]
    [finding] = get(user, f"/api/v1/scans/{scan_id}/findings", after=5000, per_page=1)["items"]
    document = f"/api/v1/documents/{get(user, f'/api/v1/scans/{scan_id}')['document_id']}"
    [sentence] = scores(user, document, finding["start"], finding["end"]).json()["sentences"]
    assert (sentence["start"], sentence["end"]) == (finding["start"], finding["end"])
    score = next(s for s in sentence["scores"] if s["risk_type"] == finding["risk_type"])
    assert score["score"] == pytest.approx(finding["score"], abs=NEIGHBOURS)


def test_scores_in_a_block_longer_than_a_piece_are_found(user):
    text = " ".join([PLAIN] * 2_500)
    [sentence] = scores(user, scanned(user, text), 120_000, 120_001).json()["sentences"]
    assert sentence["context"] == PLAIN


def test_sensitivity_changes_the_thresholds_and_not_the_scores(user):
    document = scanned(user, TEXT)
    [balanced] = scores(user, document, 3, 4).json()["sentences"]
    [recall] = scores(user, document, 3, 4, sensitivity="recall").json()["sentences"]
    assert recall["risk_score"] == balanced["risk_score"]
    assert recall["scores"][0]["threshold"] <= balanced["scores"][0]["threshold"]


def test_word_that_carries_a_score_has_the_largest_effect(user):
    document = scanned(user, TEXT)
    answer = words(user, document, "tight-budget").raise_for_status().json()
    effects = {word["text"]: word["effect"] for word in answer["words"]}
    assert max(effects, key=effects.get) == "budget"
    assert effects["budget"] > 0.2
    for word in answer["words"]:
        assert answer["context"][word["start"] : word["end"]] == word["text"]
    [sentence] = scores(user, document, AT, AT + 1).json()["sentences"]
    score = next(s for s in sentence["scores"] if s["risk_type"] == "tight-budget")
    assert answer["score"] == pytest.approx(score["score"], abs=1e-4)


def test_words_of_a_very_long_sentence_are_refused(user):
    document = scanned(user, " ".join(["word"] * 129))
    answer = words(user, document, "tight-budget", 0, 4)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "129 words" in answer.json()["detail"]


@pytest.mark.parametrize("query", [{"start": 5, "end": 5}, {"start": 10**6, "end": 10**6 + 1}])
def test_range_without_a_sentence_is_invalid(user, query):
    answer = scores(user, scanned(user, TEXT), **query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_scores_are_for_owners_and_reviewers(user, new_user, reviewer):
    document = scanned(user, TEXT)
    assert scores(new_user(), document, 0, 9).status_code == 404
    assert words(new_user(), document, "tight-budget").status_code == 404
    assert scores(reviewer, document, 0, 9).status_code == 200


@pytest.mark.system
def test_text_that_is_not_stored_has_no_scores(user):
    user.http.put("/api/v1/settings", json={"store_text": "hash"}).raise_for_status()
    answer = scores(user, scanned(user, TEXT), 0, 9)
    assert answer.status_code == 404
    assert "store_text=hash" in answer.json()["detail"]
