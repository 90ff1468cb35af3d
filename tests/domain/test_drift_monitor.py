"""Drift is watched while scans go on: by the last sentences, and only where it can be compared."""

import math
import shutil

import pytest

from service.config.settings import load
from service.domain.deployments.drift_monitor import WINDOW_SENTENCES, DriftWatch
from service.nlp.artifacts.registry import Registry
from service.nlp.document import Analysis, Document, Finding, Sentence
from service.nlp.pipeline import ScanResult
from service.nlp.taxonomy import RISK_TYPES, risk_category
from tests.support.artifacts import NAME, SHIPPED, VERSION

CONTEXT = "The supplier may not deliver in time."


@pytest.fixture
def watch():
    return DriftWatch(Registry(load({}).registry_dir, SHIPPED))


def scan(*, n_sentences=100, risk_type=RISK_TYPES[0], score=0.9, sensitivity="balanced", **model):
    """A scan whose first sentence alone states a risk."""
    end = len(CONTEXT)
    finding = Finding(risk_type, risk_category(risk_type), score, CONTEXT, 0, end, None)
    sentences = (Sentence(0, end),) * n_sentences
    who = {"source": "model", "model_name": NAME, "model_version": VERSION, **model}
    return ScanResult(
        Document(CONTEXT, sentences), Analysis([finding], **who), "0" * 64, sensitivity
    )


def test_nothing_is_said_before_a_scan(watch):
    assert watch.shifts() == {}


def test_few_sentences_say_nothing_and_many_do(watch):
    watch.observe(scan(n_sentences=1))
    assert {shift.status for shift in watch.shifts().values()} == {"too few"}
    for _ in range(1_000):
        watch.observe(scan(n_sentences=2))
    found = watch.shifts()
    assert set(found) == {"score", "category", "length"}
    assert {shift.status for shift in found.values()} == {"drifted"}


@pytest.mark.parametrize(
    "other",
    [
        {"sensitivity": "recall"},
        {"source": "llm", "model_name": "llm", "score": None},
        {"model_name": "remote", "model_version": "", "score": None},
    ],
    ids=["recall", "llm", "remote"],
)
def test_scan_that_the_reference_does_not_speak_of_is_left_out(watch, other):
    watch.observe(scan(**other))
    assert watch.shifts() == {}


def test_sentences_older_than_the_window_are_forgotten(watch):
    fresh = DriftWatch(Registry(load({}).registry_dir, SHIPPED))
    for _ in range(3):
        watch.observe(scan(risk_type=RISK_TYPES[-1], n_sentences=WINDOW_SENTENCES))
    for _ in range(2):
        for one in (watch, fresh):
            one.observe(scan(n_sentences=WINDOW_SENTENCES))
    assert watch.shifts() == fresh.shifts()


def test_exchanged_model_starts_anew_with_its_own_reference(tmp_path):
    shutil.copytree(SHIPPED, tmp_path / NAME / "9.0.0")
    (tmp_path / NAME / "9.0.0" / "reference.json").unlink()
    watch = DriftWatch(Registry(tmp_path, SHIPPED))
    watch.observe(scan())
    before = watch.shifts()
    watch.observe(scan(model_version="9.0.0"))
    assert watch.shifts() == {}
    watch.observe(scan())
    assert watch.shifts() == before
    assert all(math.isfinite(shift.psi) for shift in before.values())
