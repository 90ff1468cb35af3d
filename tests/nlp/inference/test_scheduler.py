from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.errors import AnalyzerTimeout, Overloaded, RiskscanError, ShuttingDown
from service.nlp.deadline import Deadline
from service.nlp.inference.engine import EngineOutOfMemory
from service.nlp.inference.scheduler import InferenceScheduler
from service.nlp.observer import NullObserver
from service.nlp.taxonomy import RISK_TYPES
from tests.fakes.engine import LargestIdEngine
from tests.support.waiting import wait_until

SENTENCES = [f"{'word ' * (i % 40)}budget number {i}" for i in range(120)]


class Told(NullObserver):
    """Keeps what it is told."""

    def __init__(self):
        self.passes, self.queues, self.waits, self.rejections = [], [], [], []

    def waited(self, seconds):
        self.waits.append(seconds)

    def inferred(self, seconds, tokens, padded_tokens, rows):  # noqa: ARG002 - the observer's form
        self.passes.append((tokens, padded_tokens, rows))

    def queue(self, tokens, requests):
        self.queues.append((tokens, requests))

    def rejected(self, reason):
        self.rejections.append(reason)


@pytest.fixture
def engine():
    return LargestIdEngine()


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def inference(request, engine, artifact, told):
    thread = InferenceScheduler(
        engine,
        artifact.tokenizer(),
        max_length_tokens=512,
        pace_tokens_s=getattr(request, "param", None),
        observer=told,
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


def until_waiting(told, n):
    wait_until(lambda: told.queues[-1][1] >= n)


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
    inference = InferenceScheduler(
        LargestIdEngine(3 * n_types), artifact.tokenizer(), max_length_tokens=512
    )
    (row,) = inference.outputs(["the " * 500 + "zurich" + " the" * 500])
    inference.close()
    assert row[:n_types].min() == row[:n_types].max() > row[n_types:].max() > 0


def test_outputs_callers_that_wait_together_share_one_pass(inference, engine, busy, told):
    waiting = [busy.submit(inference.outputs, ["the same size"]) for _ in range(2)]
    until_waiting(told, 3)
    engine.gate.set()
    assert [w.result(5).shape[0] for w in waiting] == [1, 1]
    assert [rows for rows, _ in engine.passes] == [1, 2]


def test_outputs_queue_full_raises_overloaded_at_once(artifact, engine, told):
    inference = InferenceScheduler(
        engine, artifact.tokenizer(), max_length_tokens=512, max_queued_tokens=40, observer=told
    )
    engine.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        # a first one is taken whatever its size: nothing would ever let it pass
        book = pool.submit(inference.outputs, ["one sentence of some length " * 9])
        engine.entered.wait(5)
        with pytest.raises(Overloaded) as caught:
            inference.outputs(["one too many"])
        engine.gate.set()
        assert book.result(5).shape[0] == 1
    inference.close()
    assert caught.value.retry_after_s
    assert told.rejections == ["overloaded"]


@pytest.mark.parametrize("inference", [10.0], indirect=True)
def test_outputs_that_cannot_be_in_time_are_refused_at_once(inference, engine, busy, told):
    waiting = busy.submit(inference.outputs, ["some words that wait here for their turn"])
    until_waiting(told, 2)
    with pytest.raises(Overloaded, match="in time"):
        inference.outputs(["too late " * 4], deadline=Deadline.after(1))
    engine.gate.set()
    assert waiting.result(5).shape[0] == 1
    assert told.rejections == ["overloaded"]


def test_outputs_paragraph_does_not_wait_for_the_book(inference, engine, busy, artifact, told):
    book = busy.submit(inference.outputs, [f"sentence {i} " + "word " * 60 for i in range(60)])
    until_waiting(told, 2)
    paragraph = busy.submit(inference.outputs, ["a short sentence"])
    n_tokens = len(artifact.tokenizer().encode("a short sentence").ids)
    until_waiting(told, 3)
    engine.gate.set()
    assert paragraph.result(5).shape[0] == 1
    assert book.result(5).shape[0] == 60
    assert engine.passes.index((1, n_tokens)) <= 2
    assert len(engine.passes) > 6


def test_outputs_rows_are_padded_only_where_a_pass_costs_more(artifact):
    engine = LargestIdEngine(overhead_tokens=8)
    inference = InferenceScheduler(engine, artifact.tokenizer(), max_length_tokens=512)
    logits = inference.outputs(SENTENCES)
    inference.close()
    assert logits[:, 0].tolist() == expected(artifact, SENTENCES)
    n_tokens = sum(len(artifact.tokenizer().encode(s).ids) for s in SENTENCES)
    n_padding = sum(rows * tokens for rows, tokens in engine.passes) - n_tokens
    assert 0 < n_padding <= 8 * len(engine.passes)
    assert len(engine.passes) < len(SENTENCES) / 2


def test_outputs_as_many_passes_run_at_once_as_the_engine_takes(artifact):
    engine = LargestIdEngine(at_once=3)
    engine.gate.clear()
    inference = InferenceScheduler(engine, artifact.tokenizer(), max_length_tokens=512)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(inference.outputs, SENTENCES)
        while len(engine.passes) < 3:
            threading.Event().wait(0.002)
        threading.Event().wait(0.05)
        n_at_once = len(engine.passes)
        engine.gate.set()
        assert answer.result(5)[:, 0].tolist() == expected(artifact, SENTENCES)
    inference.close()
    assert n_at_once == 3


def test_outputs_book_goes_on_while_paragraphs_keep_coming(artifact, engine):
    inference = InferenceScheduler(engine, artifact.tokenizer(), max_length_tokens=512)
    sentences = [f"sentence {i} " + "word " * 60 for i in range(200)]
    done = threading.Event()

    def paragraphs():
        while not done.is_set():
            inference.outputs(["a short sentence"])

    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            pool.submit(paragraphs)
        try:
            assert inference.outputs(sentences, deadline=Deadline.after(20)).shape[0] == 200
        finally:
            done.set()
    inference.close()


def test_outputs_without_memory_are_read_in_halves_from_then_on(inference, engine, artifact):
    engine.errors = [EngineOutOfMemory("full"), EngineOutOfMemory("still full")]
    outputs = inference.outputs(["the same size"] * 8)
    assert outputs[:, 0].tolist() == expected(artifact, ["the same size"] * 8)
    assert [rows for rows, _ in engine.passes] == [8, 4, 2, 2, 4]
    engine.passes.clear()
    inference.outputs(["the same size"] * 8)
    assert [rows for rows, _ in engine.passes] == [2, 2, 2, 2]


def test_outputs_without_memory_for_one_sentence_fail(inference, engine):
    engine.errors = [EngineOutOfMemory("full")]
    with pytest.raises(RiskscanError, match="model failed"):
        inference.outputs(["one"])
    assert inference.outputs(["works"]).shape[0] == 1


def test_observer_is_told_of_passes_queue_and_waits(inference, told, artifact):
    inference.outputs(SENTENCES)
    n_tokens = sum(len(artifact.tokenizer().encode(s).ids) for s in SENTENCES)
    assert sum(tokens for tokens, _, _ in told.passes) == n_tokens
    assert sum(rows for _, _, rows in told.passes) == len(SENTENCES)
    assert all(padded >= tokens for tokens, padded, _ in told.passes)
    assert told.queues[0][1] == 1
    assert told.queues[-1] == (0, 0)
    assert len(told.waits) == 1


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


def test_outputs_bad_window_fails_its_own_caller_alone(inference, engine, busy, artifact, told):
    engine.refused_id = artifact.tokenizer().token_to_id("zurich")
    good, bad = (busy.submit(inference.outputs, [text]) for text in ("budget", "zurich"))
    until_waiting(told, 3)
    engine.gate.set()
    assert good.result(5)[0, 0] == expected(artifact, ["budget"])[0]
    with pytest.raises(RiskscanError, match="model failed"):
        bad.result(5)
    assert [rows for rows, _ in engine.passes] == [1, 2, 1, 1]


def test_outputs_failure_of_a_moment_is_nobodys_failure(inference, engine, busy, told):
    waiting = [busy.submit(inference.outputs, ["the same size"]) for _ in range(2)]
    until_waiting(told, 3)
    engine.errors = [None, RuntimeError("once")]  # None: the pass that holds the engine works
    engine.gate.set()
    assert [w.result(5).shape[0] for w in waiting] == [1, 1]


def test_outputs_failure_is_logged_by_place_without_the_document(inference, engine, caplog):
    engine.errors.append(ValueError("cannot encode 'the secret clause'"))
    with pytest.raises(RiskscanError):
        inference.outputs(["the secret clause"])
    assert "ValueError at engine.py:" in caplog.text
    assert "secret" not in caplog.text


def test_close_fails_those_who_wait_and_those_who_come(inference, engine, busy, told):
    waiting = busy.submit(inference.outputs, ["waits"])
    until_waiting(told, 2)
    closing = busy.submit(inference.close)
    engine.gate.set()
    with pytest.raises(ShuttingDown):
        waiting.result(5)
    closing.result(5)
    with pytest.raises(ShuttingDown):
        inference.outputs(["too late"])


def test_outputs_eight_callers_at_once_get_what_one_gets(artifact):
    engine = LargestIdEngine(at_once=4, overhead_tokens=8)
    inference = InferenceScheduler(engine, artifact.tokenizer(), max_length_tokens=512)
    alone = inference.outputs(SENTENCES)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(inference.outputs, [SENTENCES] * 8))
    inference.close()
    assert all(np.array_equal(t, alone) for t in together)
