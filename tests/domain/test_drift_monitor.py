"""The drift monitor compares the newest sentences of all processes with the serving model's reference."""

import math
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from db.tables import DriftCounts
from service.config.settings import load
from service.domain.deployments.drift_monitor import KEPT, WINDOW_SENTENCES, DriftMonitor
from service.errors import DatabaseUnavailable
from service.nlp.artifacts.registry import Registry
from service.nlp.document import Analysis, Document, Finding, Sentence
from service.nlp.pipeline import ScanResult
from service.nlp.taxonomy import built_in
from tests.support.artifacts import NAME, SHIPPED, VERSION

RISK_TYPES = built_in().risk_types

CONTEXT = "The supplier may not deliver in time."


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 23, 9, 59, tzinfo=UTC)

    def __call__(self):
        return self.now

    def pass_hours(self, n):
        self.now += timedelta(hours=n)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def monitor(transactions, clock):
    """Make the drift monitor of another process on the same database."""

    def make(registry=None, serving=f"{NAME}/{VERSION}"):
        registry = registry or Registry(load({}).registry_dir, SHIPPED)
        return DriftMonitor(transactions, registry, lambda: serving, clock=clock)

    return make


def scan(*, n_sentences=100, risk_type=RISK_TYPES[0], score=0.9, sensitivity="balanced", **model):
    """A scan whose first sentence alone states a risk."""
    end = len(CONTEXT)
    finding = Finding(risk_type, built_in().category_of(risk_type), score, CONTEXT, 0, end, None)
    sentences = (Sentence(0, end),) * n_sentences
    origin = {"source": "model", "model_name": NAME, "model_version": VERSION, **model}
    return ScanResult(
        Document(CONTEXT, sentences),
        Analysis(built_in(), [finding], **origin),
        "0" * 64,
        sensitivity,
    )


def shifts(monitor):
    monitor.refresh()
    return monitor.shifts()


def n_rows(transactions):
    return transactions.read(lambda session: session.scalar(select(func.count(DriftCounts.id))))


def test_shifts_before_a_scan_are_empty(monitor):
    assert shifts(monitor()) == {}


def test_shifts_of_few_sentences_are_too_few_and_of_many_drifted(monitor):
    watch = monitor()
    watch.observe(scan(n_sentences=1))
    assert {shift.status for shift in shifts(watch).values()} == {"too few"}
    for _ in range(1_000):
        watch.observe(scan(n_sentences=2))
    assert set(shifts(watch)) == {"score", "category", "length"}
    assert {shift.status for shift in watch.shifts().values()} == {"drifted"}


@pytest.mark.parametrize(
    "other",
    [
        {"sensitivity": "recall"},
        {"source": "llm", "model_name": "llm", "score": None},
        {"model_name": "remote", "model_version": "", "score": None},
    ],
    ids=["recall", "llm", "remote"],
)
def test_observe_a_scan_that_is_not_comparable_is_ignored(monitor, other):
    watch = monitor()
    watch.observe(scan(**other))
    assert shifts(watch) == {}


def test_shifts_are_those_of_all_processes_together(monitor):
    one, other, alone = monitor(), monitor(), monitor()
    one.observe(scan(n_sentences=700))
    other.observe(scan(n_sentences=900, score=0.4))
    one.refresh()
    both = shifts(other)
    assert shifts(one) == both
    assert both == shifts(monitor())
    assert alone.shifts() == {}


def test_refresh_again_counts_nothing_twice(monitor, transactions):
    watch = monitor()
    watch.observe(scan(n_sentences=700))
    before = shifts(watch)
    assert shifts(watch) == before
    watch.observe(scan(n_sentences=700))
    watch.refresh()
    assert n_rows(transactions) == 1


def test_shifts_ignore_hours_older_than_the_window(monitor, transactions, clock):
    watch, fresh = monitor(), monitor()
    watch.observe(scan(risk_type=RISK_TYPES[-1], n_sentences=WINDOW_SENTENCES))
    watch.refresh()
    clock.pass_hours(1)
    watch.observe(scan(n_sentences=WINDOW_SENTENCES))
    recent = shifts(watch)
    assert n_rows(transactions) == 2
    clock.pass_hours(30 * 24 - 1)
    fresh.delete_old()
    assert n_rows(transactions) == 1
    assert shifts(fresh) == recent


def test_few_sentences_of_this_hour_are_compared_with_those_before(monitor, clock):
    watch = monitor()
    watch.observe(scan(n_sentences=WINDOW_SENTENCES))
    clock.pass_hours(1)
    watch.observe(scan(n_sentences=1))
    assert {shift.status for shift in shifts(watch).values()} != {"too few"}


def test_counts_of_a_database_outage_are_stored_later(monitor, transactions, clock, monkeypatch):
    def unavailable(*_, **__):
        raise DatabaseUnavailable("away")

    watch = monitor()
    watch.observe(scan(n_sentences=700))
    with monkeypatch.context() as outage:
        outage.setattr(transactions, "run", unavailable)
        with pytest.raises(DatabaseUnavailable):
            watch.refresh()
        watch.close()
        clock.pass_hours(2)
        watch.observe(scan(n_sentences=300))
    watch.close()
    sentences = func.sum(DriftCounts.n_sentences)
    assert transactions.read(lambda session: session.scalar(select(sentences))) == 1_000
    assert n_rows(transactions) == 2


def test_counts_are_deleted_after_a_month(monitor, transactions, clock):
    watch = monitor()
    watch.observe(scan())
    watch.refresh()
    clock.now += KEPT + timedelta(hours=1)
    assert watch.delete_old() == 1
    assert shifts(watch) == {}
    assert n_rows(transactions) == 0


def test_another_serving_model_is_compared_with_its_own_reference(monitor, tmp_path):
    shutil.copytree(SHIPPED, tmp_path / NAME / "9.0.0")
    (tmp_path / NAME / "9.0.0" / "reference.json").unlink()
    registry = Registry(tmp_path, SHIPPED)
    watch = monitor(registry)
    watch.observe(scan())
    watch.observe(scan(model_version="9.0.0"))
    before = shifts(watch)
    assert shifts(monitor(registry, f"{NAME}/9.0.0")) == {}
    assert shifts(watch) == before
    assert all(math.isfinite(shift.psi) for shift in before.values())
