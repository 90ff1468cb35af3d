"""Comparing two analyses, choosing a share of the scans, and falling behind."""

import hashlib
import threading

import pytest

from db.queries.deployments import shadow_totals
from service.domain.deployments.shadow import MAX_WAITING_SCANS, Shadow, compare, is_chosen
from service.errors import AnalyzerError, DatabaseUnavailable
from service.nlp.analyzers.base import Analyzer
from service.nlp.document import Analysis, Document, Finding, Sentence
from service.nlp.pipeline import ScanResult
from tests.support.waiting import wait_until


def finding(start, risk_type="tight-budget", score=0.5, category="budget"):
    return Finding(risk_type, category, score, "x", start, start + 1, None)


def analysis(*findings, version="1"):
    return Analysis(list(findings), "model", "m", version)


def test_compare_counts_by_span_and_type():
    serving = analysis(finding(0), finding(5), finding(9, "defects", category="quality"))
    shadow = analysis(finding(0, score=0.8), finding(5, "cost-overrun"), finding(7))
    found = compare(serving, shadow)
    assert (found.n_agreeing, found.n_only_serving, found.n_only_shadow) == (1, 2, 2)
    assert found.by_category == {"budget": (1, 1, 2), "quality": (0, 1, 0)}
    assert found.mean_abs_score_difference() == pytest.approx(0.3)


def test_compare_nothing_with_nothing_has_no_difference():
    assert compare(analysis(), analysis()).mean_abs_score_difference() is None


def test_share_chooses_about_so_many_documents_and_always_the_same():
    documents = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(2000)]
    chosen = [is_chosen(d, 0.1) for d in documents]
    assert chosen == [is_chosen(d, 0.1) for d in documents]
    assert 150 < sum(chosen) < 250
    assert all(is_chosen(d, 1) for d in documents)
    assert not any(is_chosen(d, 0) for d in documents)


class Waiting(Analyzer):
    """Finds nothing, and only once it is let."""

    source = "model"
    model_name, model_version = "m", "2"

    def __init__(self):
        self.began, self.gate, self.is_closed = threading.Event(), threading.Event(), False

    def analyze(self, _document, **_):
        self.began.set()
        self.gate.wait(60)
        return analysis(version="2")

    def close(self):
        self.is_closed = True


class Faulty(Waiting):
    """Raises each of its errors once, newest first, then finds nothing."""

    def __init__(self):
        super().__init__()
        self.errors = []

    def analyze(self, _document, **_):
        if self.errors:
            raise self.errors.pop()
        return analysis(version="2")


class AwayOnce:
    """Transactions whose database is away at the first."""

    def __init__(self, transactions):
        self.transactions = transactions
        self.errors = [DatabaseUnavailable("The database does not answer.")]

    def run(self, *arguments, **options):
        if self.errors:
            raise self.errors.pop()
        return self.transactions.run(*arguments, **options)


def result(text="A risk."):
    return ScanResult(Document(text, (Sentence(0, len(text)),)), analysis(finding(0)), "0" * 64)


def total_after(transactions, n_scans):
    """The totals of the only pair, once so many scans are in them."""
    wait_until(lambda: [t.n_scans for t in transactions.run(shadow_totals)] == [n_scans])
    return transactions.run(shadow_totals)[0]


def test_scans_beyond_the_queue_are_dropped_and_counted(transactions):
    shadow, analyzer = Shadow(transactions), Waiting()
    shadow.use(analyzer, share=1)
    shadow.offer(result())
    assert analyzer.began.wait(60)
    for _ in range(MAX_WAITING_SCANS + 3):
        shadow.offer(result())
    analyzer.gate.set()
    total = total_after(transactions, MAX_WAITING_SCANS + 1)
    shadow.close()
    assert total.n_dropped == 3
    assert (total.n_only_serving, total.n_agreeing) == (MAX_WAITING_SCANS + 1, 0)
    assert analyzer.is_closed


def test_document_larger_than_the_queue_may_hold_is_dropped(transactions):
    shadow, analyzer = Shadow(transactions), Waiting()
    shadow.use(analyzer, share=1)
    shadow.offer(result("x" * 2_500_001))
    analyzer.gate.set()
    shadow.offer(result())
    assert total_after(transactions, 1).n_dropped == 1
    shadow.close()


def test_another_shadow_closes_the_one_before_when_its_scan_is_over(transactions):
    shadow, before, after = Shadow(transactions), Waiting(), Waiting()
    shadow.use(before, share=1)
    shadow.offer(result())
    assert before.began.wait(60)
    shadow.use(after, share=1)
    assert not before.is_closed
    before.gate.set()
    wait_until(lambda: before.is_closed)
    assert not after.is_closed
    shadow.close()
    assert after.is_closed


def test_scan_of_an_llm_is_not_shadowed(transactions):
    shadow, analyzer = Shadow(transactions), Waiting()
    shadow.use(analyzer, share=1)
    answered = result()
    shadow.offer(ScanResult(answered.document, Analysis([], "llm", "llm", ""), "0" * 64))
    analyzer.gate.set()
    shadow.offer(answered)  # the one that is waited for comes after it
    assert total_after(transactions, 1).n_sentences == 1
    shadow.close()


def test_document_that_the_shadow_cannot_read_counts_nothing_and_the_next_goes_on(
    transactions, caplog
):
    shadow, analyzer = Shadow(transactions), Faulty()
    shadow.use(analyzer, share=1)
    for error in (AnalyzerError("It gave no scores."), ValueError()):
        analyzer.errors.append(error)
        shadow.offer(result())
        wait_until(lambda: not analyzer.errors)
    shadow.offer(result())
    assert total_after(transactions, 1).n_dropped == 0
    shadow.close()
    assert "It gave no scores." in caplog.text
    assert "ValueError" in caplog.text


def test_totals_that_the_database_refuses_are_stored_with_the_next(transactions):
    away = AwayOnce(transactions)
    shadow, analyzer = Shadow(away), Faulty()
    shadow.use(analyzer, share=1)
    for _ in range(2):
        shadow.offer(result())
    assert total_after(transactions, 2).n_sentences == 2
    shadow.close()
