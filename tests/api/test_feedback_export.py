"""The export turns feedback into labelled sentences with a status."""

import io
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete

from db.queries import feedback as queries
from db.tables import Finding
from ml.corpus.dataset import read_examples
from service.domain.adjudication import Status
from service.domain.audit import Actor
from service.domain.reviews.export import FeedbackExport
from service.errors import DatabaseUnavailable
from service.nlp.taxonomy import built_in
from tests.api.reviewing import BLUE, BUDGET, SCHEDULE, TEXT, finding, judge, missed, verified
from tests.support.sentences import FLOW_TEXT

TEST = Actor(operator="test")


@pytest.fixture
def scan(user):
    """Path of a scan of `user`: two findings of its first sentence, none of its second."""
    return f"/api/v1/scans/{user.scan(TEXT).json()['scan_id']}"


@pytest.fixture
def export(live):
    """The export from the service's database."""
    return FeedbackExport(
        live.services.transactions, live.services.report_logs, secret_key="k" * 32
    )


@pytest.fixture
def lines(export):
    """Export, and return the lines of one scan."""

    def read(path, **options):
        file = io.StringIO()
        export.write(file, actor=TEST, **options)
        rows = [json.loads(line) for line in file.getvalue().splitlines()]
        return [r for r in rows if r["provenance"]["scan_id"] == path.rsplit("/", 1)[-1]]

    return read


def judge_both(user, scan, budget="confirmed", schedule="confirmed"):
    for risk_type, verdict in ((BUDGET, budget), (SCHEDULE, schedule)):
        judge(user, scan, finding(user, scan, risk_type)["id"], verdict)


def test_export_line_has_sentence_labels_and_origin(user, scan, lines):
    stored = user.http.get(scan).json()
    judge_both(user, scan, "confirmed", "rejected")
    [line] = lines(scan)
    provenance = line.pop("provenance")
    verdicts = provenance.pop("verdicts")
    pseudonym = line.pop("user")
    assert line == {
        "text": f"{FLOW_TEXT}.",
        "labels": [BUDGET],
        "doc": stored["document_sha256"],
        "license": "feedback",
        "status": "single",
    }
    assert provenance == {
        "scan_id": stored["scan_id"],
        "findings": [1, 2],
        "model_name": stored["model_name"],
        "model_version": stored["model_version"],
        "source": "model",
        "sensitivity": stored["sensitivity"],
    }
    assert sorted((v["verdict"], *v["risk_types"]) for v in verdicts) == [
        ("confirmed", BUDGET),
        ("rejected",),
    ]
    assert {v["user"] for v in verdicts} == {pseudonym}
    assert len(pseudonym) == 16
    assert user.id.replace("-", "")[:16] != pseudonym


def test_export_of_a_sentence_with_an_unjudged_finding_is_partial(user, scan, lines):
    judge(user, scan, finding(user, scan)["id"], "rejected")
    [line] = lines(scan)
    assert (line["status"], line["labels"]) == ("partial", [SCHEDULE])


def test_export_status_changes_from_single_to_adjudicated(user, admin, reviewer, scan, lines):
    judge_both(user, scan, "confirmed", "rejected")
    assert [(r["status"], r["labels"]) for r in lines(scan)] == [("single", [BUDGET])]
    judge_both(reviewer, scan, "rejected", "confirmed")
    assert [(r["status"], r["labels"]) for r in lines(scan)] == [("adjudicated", [SCHEDULE])]
    judge(admin, scan, finding(admin, scan)["id"], "relabelled", risk_types=["outage"])
    [line] = lines(scan)
    assert (line["status"], line["labels"]) == ("adjudicated", [SCHEDULE, "outage"])
    by_verdict = {v["verdict"]: v["user"] for v in line["provenance"]["verdicts"]}
    assert line["user"] == by_verdict["relabelled"]


def test_export_of_a_missed_risk_has_its_sentence(user, scan, lines):
    verified(user, scan, risk_types=["outage", SCHEDULE])
    [line] = lines(scan)
    assert (line["text"], line["labels"], line["status"]) == (BLUE, [SCHEDULE, "outage"], "single")
    assert line["provenance"]["findings"] == []
    assert [v["finding"] for v in line["provenance"]["verdicts"]] == [None]


def test_export_merges_a_missed_risk_with_findings_of_its_sentence(user, reviewer, scan, lines):
    judge_both(reviewer, scan)
    target = finding(user, scan)
    at = {"start": target["start"], "end": target["end"]}
    missed(user, scan, target["context"], ["outage"], **at)
    [line] = lines(scan)
    assert (line["status"], line["labels"]) == ("single", [SCHEDULE, "outage", BUDGET])


def test_export_omits_an_unverified_sentence(reviewer, scan, export, lines):
    before = export.write(io.StringIO(), actor=TEST)[Status.UNVERIFIED]
    missed(reviewer, scan, BLUE.upper(), ["key-person"])
    assert lines(scan) == []
    assert export.write(io.StringIO(), actor=TEST)[Status.UNVERIFIED] == before + 1


def test_export_of_a_verified_sentence_has_every_report(user, reviewer, scan, lines):
    missed(user, scan)
    verified(reviewer, scan, risk_types=["key-person"])
    [line] = lines(scan)
    assert (line["status"], line["labels"]) == ("adjudicated", ["key-person"])
    assert len(line["provenance"]["verdicts"]) == 2


def test_export_omits_withdrawn_feedback(user, reviewer, scan, lines):
    judge_both(user, scan)
    judge_both(reviewer, scan, "rejected", "rejected")
    assert [r["labels"] for r in lines(scan)] == [[]]
    for n in (1, 2):
        reviewer.http.delete(f"{scan}/findings/{n}/feedback")
    assert [r["labels"] for r in lines(scan)] == [[SCHEDULE, BUDGET]]
    for n in (1, 2):
        user.http.delete(f"{scan}/findings/{n}/feedback")
    assert lines(scan) == []


def test_export_since_a_time_has_only_changed_sentences(user, scan, lines):
    judge_both(user, scan)
    feedback = verified(user, scan).json()
    moment = datetime.fromisoformat(feedback["timestamp"])
    assert [r["text"] for r in lines(scan, since=moment)] == [BLUE]
    assert lines(scan, since=moment + timedelta(microseconds=1)) == []
    user.http.delete(f"{scan}/findings/1/feedback")
    changed = lines(scan, since=moment + timedelta(microseconds=1))
    assert [(r["status"], len(r["provenance"]["verdicts"])) for r in changed] == [("partial", 1)]


def test_export_of_many_scans_is_complete_and_repeatable(user, export, monkeypatch):
    monkeypatch.setattr("service.domain.reviews.export.SCANS_AT_ONCE", 2)
    ids = [user.scan(TEXT).json()["scan_id"] for _ in range(5)]
    for scan_id in ids:
        verified(user, f"/api/v1/scans/{scan_id}")
    first, again = io.StringIO(), io.StringIO()
    counts = export.write(first, actor=TEST)
    assert export.write(again, actor=TEST) == counts
    assert first.getvalue() == again.getvalue()
    n_written = sum(counts.values()) - counts[Status.UNVERIFIED]
    assert n_written == len(first.getvalue().splitlines())
    scan_ids = [json.loads(line)["provenance"]["scan_id"] for line in first.getvalue().splitlines()]
    assert [scan_id for scan_id in scan_ids if scan_id in ids] == ids


def test_export_omits_and_reports_a_verdict_without_finding(live, user, scan, lines, caplog):
    verified(user, scan)
    judge(user, scan, finding(user, scan)["id"])
    scan_id = UUID(scan.rsplit("/", 1)[-1])
    transactions = live.services.transactions
    transactions.run(lambda s: s.execute(delete(Finding).where(Finding.scan_id == scan_id)))
    assert [line["text"] for line in lines(scan)] == [BLUE]
    [message] = [r.message for r in caplog.records if str(scan_id) in r.message]
    assert "left out" in message


def test_export_file_is_private_and_readable_by_ml(user, export, tmp_path):
    separators = "A\u2028b\u0085c\x1cd \U0001f535"
    scan = f"/api/v1/scans/{user.scan(separators).json()['scan_id']}"
    span = {"start": 0, "end": len(separators)}
    verified(user, scan, separators, text=separators, **span).raise_for_status()
    out = tmp_path / "feedback.jsonl"
    out.write_text("older")
    counts = export.write_file(out, actor=TEST)
    assert counts[Status.SINGLE] >= 1
    assert out.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [out]
    doc = user.http.get(scan).json()["document_sha256"]
    read = {(e.text, e.labels, e.license) for e in read_examples(out, built_in()) if e.doc == doc}
    assert (separators, ("outage",), "feedback") in read


def test_export_failure_keeps_the_older_file(user, scan, export, tmp_path, monkeypatch):
    missed(user, scan)
    out = tmp_path / "feedback.jsonl"
    out.write_text("older")

    def lost(*_, **__):
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(queries, "newest_by_target", lost)
    with pytest.raises(DatabaseUnavailable):
        export.write_file(out, actor=TEST)
    assert (out.read_text(), [*tmp_path.iterdir()]) == ("older", [out])


def test_export_records_an_audit_event_with_counts(admin, user, scan, export):
    missed(user, scan)
    since = datetime.now(UTC) - timedelta(minutes=5)
    counts = export.write(io.StringIO(), actor=TEST, since=since)
    [event] = admin.http.get("/api/admin/audit-events?per_page=1").json()["items"]
    assert (event["action"], event["user_id"]) == ("feedback.exported", None)
    sentences = {status.name.lower(): n for status, n in counts.items()}
    detail = {"operator": "test", "sentences": sentences, "since": since.isoformat()}
    assert event["detail"] == detail
