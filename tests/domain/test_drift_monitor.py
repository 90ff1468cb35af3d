"""The drift monitor compares the last sentences with the reference, for comparable scans only."""

import math
import shutil

import pytest

from service.config.settings import load
from service.domain.deployments.drift_monitor import WINDOW_SENTENCES, DriftMonitor
from service.nlp.artifacts.registry import Registry
from service.nlp.document import Analysis, Document, Finding, Sentence
from service.nlp.pipeline import ScanResult
from service.nlp.taxonomy import built_in
from tests.support.artifacts import NAME, SHIPPED, VERSION

RISK_TYPES = built_in().risk_types

CONTEXT = "The supplier may not deliver in time."


@pytest.fixture
def watch():
    return DriftMonitor(Registry(load({}).registry_dir, SHIPPED))


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


def test_shifts_before_a_scan_are_empty(watch):
    assert watch.shifts() == {}


def test_shifts_of_few_sentences_are_too_few_and_of_many_drifted(watch):
    watch.observe(scan(n_sentences=1))
    assert {shift.status for shift in watch.shifts().values()} == {"too few"}
    for _ in range(1_000):
        watch.observe(scan(n_sentences=2))
    shifts = watch.shifts()
    assert set(shifts) == {"score", "category", "length"}
    assert {shift.status for shift in shifts.values()} == {"drifted"}


@pytest.mark.parametrize(
    "other",
    [
        {"sensitivity": "recall"},
        {"source": "llm", "model_name": "llm", "score": None},
        {"model_name": "remote", "model_version": "", "score": None},
    ],
    ids=["recall", "llm", "remote"],
)
def test_observe_a_scan_that_is_not_comparable_is_ignored(watch, other):
    watch.observe(scan(**other))
    assert watch.shifts() == {}


def test_shifts_ignore_sentences_older_than_the_window(watch):
    fresh = DriftMonitor(Registry(load({}).registry_dir, SHIPPED))
    for _ in range(3):
        watch.observe(scan(risk_type=RISK_TYPES[-1], n_sentences=WINDOW_SENTENCES))
    for _ in range(2):
        for one in (watch, fresh):
            one.observe(scan(n_sentences=WINDOW_SENTENCES))
    assert watch.shifts() == fresh.shifts()


def test_observe_another_model_restarts_with_its_reference(tmp_path):
    shutil.copytree(SHIPPED, tmp_path / NAME / "9.0.0")
    (tmp_path / NAME / "9.0.0" / "reference.json").unlink()
    watch = DriftMonitor(Registry(tmp_path, SHIPPED))
    watch.observe(scan())
    before = watch.shifts()
    watch.observe(scan(model_version="9.0.0"))
    assert watch.shifts() == {}
    watch.observe(scan())
    assert watch.shifts() == before
    assert all(math.isfinite(shift.psi) for shift in before.values())
