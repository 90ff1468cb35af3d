"""Shadowing: the comparison of two analyses, the chosen share of scans, and the bounded queue."""

import hashlib
import threading

import pytest

from db.queries.deployments import shadow_totals
from service.domain.deployments.shadow import MAX_WAITING_SCANS, Shadow, compare, is_sampled
from service.errors import AnalyzerError, DatabaseUnavailable
from service.nlp.analyzers.base import Analyzer
from service.nlp.document import Analysis, Document, Finding, Sentence
from service.nlp.pipeline import ScanResult
from service.nlp.taxonomy import built_in
from tests.support.own_taxonomy import OWN
from tests.support.waiting import wait_until


def finding(start, risk_type="tight-budget", score=0.5, category="budget"):
    return Finding(risk_type, category, score, "x", start, start + 1, None)


def analysis(*findings, version="1", taxonomy=None):
    return Analysis(taxonomy or built_in(), list(findings), "model", "m", version)


def test_compare_two_analyses_counts_by_span_and_type():
    serving = analysis(finding(0), finding(5), finding(9, "defects", category="quality"))
    shadow = analysis(finding(0, score=0.8), finding(5, "cost-overrun"), finding(7))
    comparison = compare(serving, shadow)
    assert (comparison.n_agreeing, comparison.n_only_serving, comparison.n_only_shadow) == (1, 2, 2)
    assert comparison.by_category == {"budget": (1, 1, 2), "quality": (0, 1, 0)}
    assert comparison.mean_abs_score_difference() == pytest.approx(0.3)


def test_compare_models_with_other_taxonomies_counts_the_shared_types_alone():
    own = [finding(0, "rush", category="plant"), finding(5, "outage", category="plant")]
    comparison = compare(analysis(finding(0), finding(5, "outage")), analysis(*own, taxonomy=OWN))
    assert (comparison.n_agreeing, comparison.n_only_serving, comparison.n_only_shadow) == (1, 0, 0)


def test_compare_nothing_with_nothing_has_no_difference():
    assert compare(analysis(), analysis()).mean_abs_score_difference() is None


def test_is_chosen_takes_about_the_share_and_always_the_same_documents():
    documents = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(2000)]
    chosen = [is_sampled(d, 0.1) for d in documents]
    assert chosen == [is_sampled(d, 0.1) for d in documents]
    assert 150 < sum(chosen) < 250
    assert all(is_sampled(d, 1) for d in documents)
    assert not any(is_sampled(d, 0) for d in documents)


class GatedAnalyzer(Analyzer):
    """Finds nothing; each analysis waits for `gate`."""

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


class FaultyAnalyzer(GatedAnalyzer):
    """Raises each of its errors once, newest first, then finds nothing."""

    def __init__(self):
        super().__init__()
        self.errors = []

    def analyze(self, _document, **_):
        if self.errors:
            raise self.errors.pop()
        return analysis(version="2")


class TransactionsDownOnce:
    """Transactions whose database is down at the first."""

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
    """Return the totals of the only pair once they include `n_scans` scans."""
    wait_until(lambda: [t.n_scans for t in transactions.run(shadow_totals)] == [n_scans])
    return transactions.run(shadow_totals)[0]


def test_offer_beyond_the_queue_is_dropped_and_counted(transactions):
    shadow, analyzer = Shadow(transactions), GatedAnalyzer()
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


def test_offer_a_document_larger_than_the_queue_is_dropped(transactions):
    shadow, analyzer = Shadow(transactions), GatedAnalyzer()
    shadow.use(analyzer, share=1)
    shadow.offer(result("x" * 2_500_001))
    analyzer.gate.set()
    shadow.offer(result())
    assert total_after(transactions, 1).n_dropped == 1
    shadow.close()


def test_use_another_shadow_closes_the_previous_one_after_its_scan(transactions):
    shadow, before, after = Shadow(transactions), GatedAnalyzer(), GatedAnalyzer()
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


def test_offer_a_scan_by_an_llm_is_ignored(transactions):
    shadow, analyzer = Shadow(transactions), GatedAnalyzer()
    shadow.use(analyzer, share=1)
    by_model = result()
    shadow.offer(
        ScanResult(by_model.document, Analysis(built_in(), [], "llm", "llm", ""), "0" * 64)
    )
    analyzer.gate.set()
    shadow.offer(by_model)  # once this one is counted, the first was ignored
    assert total_after(transactions, 1).n_sentences == 1
    shadow.close()


def test_offer_that_the_shadow_fails_on_is_logged_and_the_next_is_counted(transactions, caplog):
    shadow, analyzer = Shadow(transactions), FaultyAnalyzer()
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


def test_offer_with_the_database_down_is_stored_with_the_next(transactions):
    down_once = TransactionsDownOnce(transactions)
    shadow, analyzer = Shadow(down_once), FaultyAnalyzer()
    shadow.use(analyzer, share=1)
    for _ in range(2):
        shadow.offer(result())
    assert total_after(transactions, 2).n_sentences == 2
    shadow.close()
