"""The export writes one line per reviewed sentence, with its settled risk types and without names."""

import io
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from db.queries.audit import list_events
from db.tables import Feedback, Role, Verdict
from service.domain.adjudication import Status
from service.domain.audit import Actor
from service.domain.report_logs import ReportLogs
from service.domain.reviews.export import FeedbackExport
from service.domain.reviews.missed import Missed
from service.domain.reviews.reviews import Judgement, judge
from service.domain.scans.scans import delete_scan
from service.nlp.pipeline import Submission
from tests.domain.conftest import END, SENTENCE, START, TEXT

OPERATOR = Actor(operator="cli:root")
WELL = "All is well."
MISSED = Missed(TEXT.index(WELL), TEXT.index(WELL) + len(WELL), WELL, ("key-person",))


@pytest.fixture
def export(transactions, config):
    return FeedbackExport(transactions, ReportLogs(transactions), secret_key=config.secret_key)


@pytest.fixture
def lines(export):
    """Export; return the parsed lines and the counts."""

    def write(**options):
        file = io.StringIO()
        counts = export.write(file, actor=OPERATOR, **options)
        return [json.loads(line) for line in file.getvalue().splitlines()], counts

    return write


@pytest.fixture
def confirm(transactions, scan):
    """Confirm finding 1 as a user."""
    return lambda user: transactions.run(judge, user, scan.id, 1, Judgement(Verdict.CONFIRMED))


def test_write_without_verdicts_gives_no_line_but_an_event(lines, transactions):
    assert lines() == ([], {})
    [event] = transactions.read(list_events, limit=9)
    assert (event.action, event.detail["operator"]) == ("feedback.exported", "cli:root")


def test_write_a_partly_judged_sentence_keeps_the_other_findings(lines, confirm, user):
    confirm(user)
    [line], counts = lines()
    assert counts == {Status.PARTIAL: 1}
    assert (line["text"], line["labels"]) == (SENTENCE, ["aggressive-deadline", "tight-budget"])


def test_write_replaces_users_by_stable_pseudonyms(lines, confirm, add_user, user):
    confirm(user)
    confirm(add_user(Role.REVIEWER))
    [line], _ = lines()
    pseudonyms = {v["user"] for v in line["provenance"]["verdicts"]}
    assert len(pseudonyms) == 2
    assert not pseudonyms & {user.email, str(user.id)}
    assert lines()[0] == [line]


def test_write_omits_and_counts_an_unverified_sentence(lines, reviews, scan, user):
    reviews.report_missed(user, scan.id, replace(MISSED, context=WELL[::-1]))
    assert lines() == ([], {Status.UNVERIFIED: 1})
    reviews.report_missed(user, scan.id, MISSED, document=Submission(text=TEXT))
    [line], counts = lines()
    assert (line["text"], line["labels"], counts) == (WELL, ["key-person"], {Status.SINGLE: 1})


def test_write_a_missed_risk_on_a_finding_merges_both_into_one_line(
    lines, reviews, scan, user, confirm
):
    confirm(user)
    missed = Missed(START, END, SENTENCE, ("outage",))
    reviews.report_missed(user, scan.id, missed)
    [line], _ = lines()
    assert line["labels"] == ["aggressive-deadline", "outage", "tight-budget"]


def test_write_since_omits_older_feedback(lines, transactions, confirm, user):
    confirm(user)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    transactions.run(lambda s: s.execute(update(Feedback).values(created_at=yesterday)).close())
    assert lines(since=yesterday + timedelta(hours=1))[0] == []
    assert len(lines(since=yesterday)[0]) == 1


def test_write_omits_a_deleted_scan(lines, transactions, confirm, user, scan):
    confirm(user)
    transactions.run(delete_scan, user.id, scan.id)
    assert lines()[0] == []


def test_write_file_is_readable_by_its_owner_alone(export, confirm, user, tmp_path):
    confirm(user)
    path = tmp_path / "feedback.jsonl"
    export.write_file(path, actor=OPERATOR)
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["text"] == SENTENCE


def test_write_file_through_a_link_keeps_the_link(export, confirm, user, tmp_path):
    confirm(user)
    link, target = tmp_path / "link", tmp_path / "target"
    target.write_text("older\n")
    link.symlink_to(target)
    export.write_file(link, actor=OPERATOR)
    assert link.is_symlink()
    assert json.loads(target.read_text())["text"] == SENTENCE


def test_write_file_to_a_pipe_keeps_the_pipe(export, confirm, user, tmp_path):
    confirm(user)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    export.write_file(pipe, actor=OPERATOR)
    with os.fdopen(reader, encoding="ascii") as lines:
        assert json.loads(lines.readline())["text"] == SENTENCE
    assert pipe.is_fifo()


def test_write_file_that_fails_keeps_the_earlier_file(
    config, transactions, confirm, user, tmp_path
):
    confirm(user)
    path = tmp_path / "feedback.jsonl"
    path.write_text("earlier\n")
    transactions.run(lambda s: s.connection().exec_driver_sql("DROP TABLE audit_events").close())
    with pytest.raises(Exception, match="audit_events"):
        FeedbackExport(
            transactions, ReportLogs(transactions), secret_key=config.secret_key
        ).write_file(path, actor=OPERATOR)
    assert path.read_text() == "earlier\n"
    assert list(tmp_path.glob(".feedback*")) == []
