from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.errors import AnalyzerTimeout, Overloaded, RiskscanError, ShuttingDown
from service.nlp.analyzer import Deadline
from service.nlp.batching import InferenceThread
from service.nlp.taxonomy import RISK_TYPES
from tests.fakes.engine import LargestIdEngine

SENTENCES = [f"{'word ' * (i % 40)}budget number {i}" for i in range(120)]


@pytest.fixture
def engine():
    return LargestIdEngine()


@pytest.fixture
def inference(engine, artifact):
    thread = InferenceThread(
        engine, artifact.tokenizer(), max_length_tokens=512, tokens_per_pass=512, max_waiting=3
    )
    yield thread
    engine.gate.set()
    thread.close()


@pytest.fixture
def busy(inference, engine):
    """Hold the engine inside a forward pass of a first caller's sentence."""
    engine.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        pool.first = pool.submit(inference.outputs, ["first"])
        engine.entered.wait(5)
        yield pool
        engine.gate.set()


def until_waiting(inference, n):
    while inference._n_open < n:
        threading.Event().wait(0.002)


def expected(artifact, sentences):
    tokenizer = artifact.tokenizer()
    return [max(tokenizer.encode(s).ids) for s in sentences]


def test_outputs_many_lengths_come_back_in_the_order_given(inference, artifact):
    logits = inference.outputs(SENTENCES)
    assert logits.shape == (120, len(RISK_TYPES))
    assert logits[:, 0].tolist() == expected(artifact, SENTENCES)


def test_outputs_no_sentences_answers_without_a_pass(inference, engine):
    assert inference.outputs([]).shape == (0, len(RISK_TYPES))
    assert engine.passes == []


def test_outputs_passes_keep_to_the_token_budget(inference, engine):
    inference.outputs(SENTENCES)
    assert max(rows * tokens for rows, tokens in engine.passes) <= 512


def test_outputs_over_long_sentence_takes_the_maximum_over_its_windows(inference, artifact):
    sentence = "the " * 500 + "zurich" + " the" * 500
    assert inference.outputs([sentence])[0, 0] == expected(artifact, [sentence])[0]


def test_outputs_over_long_sentence_says_of_others_the_mean_of_its_windows(artifact):
    n_types = len(RISK_TYPES)
    inference = InferenceThread(
        LargestIdEngine(3 * n_types), artifact.tokenizer(), max_length_tokens=512
    )
    (row,) = inference.outputs(["the " * 500 + "zurich" + " the" * 500])
    inference.close()
    assert row[:n_types].min() == row[:n_types].max() > row[n_types:].max() > 0


def test_outputs_callers_that_wait_together_share_one_pass(inference, engine, busy):
    waiting = [busy.submit(inference.outputs, ["the same size"]) for _ in range(2)]
    until_waiting(inference, 3)
    engine.gate.set()
    assert [w.result(5).shape[0] for w in waiting] == [1, 1]
    assert [rows for rows, _ in engine.passes] == [1, 2]


def test_outputs_queue_full_raises_overloaded_at_once(inference, busy):
    for _ in range(2):
        busy.submit(inference.outputs, ["waits"])
    until_waiting(inference, 3)
    with pytest.raises(Overloaded) as caught:
        inference.outputs(["one too many"])
    assert caught.value.retry_after_s


@pytest.mark.usefixtures("busy")
def test_outputs_deadline_passed_raises_and_its_work_is_dropped(inference, engine):
    with pytest.raises(AnalyzerTimeout):
        inference.outputs(["late"], deadline=Deadline.after(0.05))
    engine.gate.set()
    inference.outputs(["a sentence of another length"])
    assert len(engine.passes) == 2  # the first caller's and the last one's


def test_outputs_engine_error_reaches_the_caller_and_the_thread_lives(inference, engine):
    engine.errors.append(RuntimeError("out of memory"))
    with pytest.raises(RiskscanError) as caught:
        inference.outputs(["fails"])
    assert (caught.value.code, caught.value.status) == ("internal_error", 500)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "out of memory" not in caught.value.message
    assert inference.outputs(["works"]).shape[0] == 1


@pytest.mark.parametrize("shape", [(3, 2), (2, len(RISK_TYPES)), (len(RISK_TYPES),)])
def test_outputs_engine_answers_wrong_shape_is_an_internal_error(
    inference, engine, monkeypatch, shape
):
    monkeypatch.setattr(engine, "outputs", lambda *_: np.zeros(shape, np.float32))
    with pytest.raises(RiskscanError, match="model failed") as caught:
        inference.outputs(["one"])
    assert caught.value.code == "internal_error"


def test_outputs_bad_window_fails_its_own_caller_alone(inference, engine, busy, artifact):
    engine.refused_id = artifact.tokenizer().token_to_id("zurich")
    good, bad = (busy.submit(inference.outputs, [text]) for text in ("budget", "zurich"))
    until_waiting(inference, 3)
    engine.gate.set()
    assert good.result(5)[0, 0] == expected(artifact, ["budget"])[0]
    with pytest.raises(RiskscanError, match="model failed"):
        bad.result(5)
    assert [rows for rows, _ in engine.passes] == [1, 2, 1, 1]


def test_outputs_failure_of_a_moment_is_nobodys_failure(inference, engine, busy):
    waiting = [busy.submit(inference.outputs, ["the same size"]) for _ in range(2)]
    until_waiting(inference, 3)
    engine.errors = [None, RuntimeError("once")]  # None: the pass that holds the engine works
    engine.gate.set()
    assert [w.result(5).shape[0] for w in waiting] == [1, 1]


def test_outputs_failure_is_logged_by_place_without_the_document(inference, engine, caplog):
    engine.errors.append(ValueError("cannot encode 'the secret clause'"))
    with pytest.raises(RiskscanError):
        inference.outputs(["the secret clause"])
    assert "ValueError at engine.py:" in caplog.text
    assert "secret" not in caplog.text


def test_close_fails_those_who_wait_and_those_who_come(inference, engine, busy):
    waiting = busy.submit(inference.outputs, ["waits"])
    until_waiting(inference, 2)
    closing = busy.submit(inference.close)
    engine.gate.set()
    with pytest.raises(ShuttingDown):
        waiting.result(5)
    closing.result(5)
    with pytest.raises(ShuttingDown):
        inference.outputs(["too late"])


def test_outputs_eight_callers_at_once_get_what_one_gets(engine, artifact):
    inference = InferenceThread(engine, artifact.tokenizer(), max_length_tokens=512)
    alone = inference.outputs(SENTENCES)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(inference.outputs, [SENTENCES] * 8))
    inference.close()
    assert all(np.array_equal(t, alone) for t in together)
