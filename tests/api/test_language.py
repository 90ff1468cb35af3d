"""Text in a language that the model does not support: coverage names it, and every output warns."""

import logging

import pytest

from tests.support.sentences import FLOW_TEXT, GERMAN

ENGLISH = "Two of the four developers leave. The vendor has not confirmed the delivery date."


def test_scan_of_another_language_warns_in_a_header_only(user):
    answer = user.scan(GERMAN)
    assert set(answer.json()) == {"scan_id", "data", "source", "timestamp"}
    assert answer.headers["X-Riskscan-Warning"].startswith("language_not_read: About 100%")


def test_service_scan_of_another_language_warns_in_a_header(user):
    answer = user.http.post("/scan", json={"text": GERMAN})
    assert set(answer.json()) == {"data", "source"}
    assert "'de'" in answer.headers["X-Riskscan-Warning"]


def test_stored_scan_of_another_language_has_language_and_warning(user):
    scan_id = user.scan(GERMAN).json()["scan_id"]
    scan = user.http.get(f"/api/v1/scans/{scan_id}").json()
    assert (scan["coverage"]["language"], scan["coverage"]["language_share"]) == ("de", 1.0)
    assert [w["code"] for w in scan["warnings"]] == ["language_not_read"]
    findings = user.http.get(f"/api/v1/scans/{scan_id}/findings").json()
    assert findings["warnings"] == scan["warnings"]


def test_scan_repeated_with_its_key_warns_again(user):
    headers = {"Idempotency-Key": "once"}
    first, second = (user.scan(GERMAN, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["X-Riskscan-Warning"] == first.headers["X-Riskscan-Warning"]


def test_scan_of_english_has_no_warning(user):
    answer = user.scan(f"{FLOW_TEXT}. {ENGLISH}")
    assert "X-Riskscan-Warning" not in answer.headers
    scan = user.http.get(answer.headers["Location"]).json()
    assert (scan["coverage"]["language"], scan["warnings"]) == ("en", [])


def test_scan_without_words_has_no_language(user):
    scan = user.http.get(user.scan("12.5 %").headers["Location"]).json()
    assert (scan["coverage"]["language"], scan["coverage"]["language_share"]) == (None, None)
    assert scan["warnings"] == []


def test_scan_of_a_mixed_document_has_the_share_of_its_main_language(user):
    text = "\n\n".join([ENGLISH] * 7 + [GERMAN] * 3)
    scan = user.http.get(user.scan(text).headers["Location"]).json()
    assert scan["coverage"]["language"] == "en"
    assert scan["coverage"]["language_share"] == pytest.approx(0.7, abs=0.15)
    assert "'de'" in scan["warnings"][0]["message"]


def test_log_of_a_scan_names_the_language_without_the_text(user, caplog):
    caplog.set_level(logging.INFO, logger="service.domain.scan_reporter")
    user.scan(GERMAN)
    [line] = [record.fields for record in caplog.records if record.message == "scan"]
    assert (line["language"], line["warnings"]) == ("de", ["language_not_read"])
    assert "Entwickler" not in str(line)
