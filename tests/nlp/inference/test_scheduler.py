"""The scheduler against an engine of plain arithmetic, which a test can block."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest

from service.errors import AnalyzerTimeout, Overloaded, RiskscanError, ShuttingDown
from service.nlp.deadline import Deadline
from service.nlp.inference.engine import EngineOutOfMemory
from service.nlp.inference.scheduler import InferenceScheduler
from service.nlp.observer import Observer
from service.nlp.taxonomy import built_in
from tests.fakes.engine import LargestIdEngine
from tests.support.waiting import PATIENCE_S, wait_until

RISK_TYPES = built_in().risk_types

SENTENCES = [f"{'word ' * (i % 40)}budget number {i}" for i in range(120)]


class Recorder(Observer):
    """Records every report of the scheduler."""

    def __init__(self):
        self.passes, self.waits, self.rejections = [], [], []
        self.n_tokens = self.n_requests = self.max_requests = 0

    def waited(self, seconds):
        self.waits.append(seconds)

    def inferred(self, seconds, tokens, padded_tokens, rows):  # noqa: ARG002 - the observer's interface
        self.passes.append((tokens, padded_tokens, rows))

    def queued(self, tokens, requests):
        self.n_tokens += tokens
        self.n_requests += requests
        self.max_requests = max(self.max_requests, self.n_requests)

    def rejected(self, reason):
        self.rejections.append(reason)


@pytest.fixture(scope="module")
def tokenizer(artifact):
    return artifact.tokenizer()


@pytest.fixture
def engine():
    return LargestIdEngine()


@pytest.fixture
def reports():
    return Recorder()


@pytest.fixture
def open_scheduler(tokenizer, reports):
    """Open schedulers; they close with the test."""
    with ExitStack() as stack:

        def opened(engine, **options):
            scheduler = InferenceScheduler(
                engine,
                tokenizer,
                n_types=len(RISK_TYPES),
                max_length_tokens=512,
                observer=reports,
                **options,
            )
            stack.callback(scheduler.close)
            stack.callback(engine.gate.set)
            return scheduler

        yield opened


@pytest.fixture
def scheduler(request, engine, open_scheduler):
    return open_scheduler(engine, pace_tokens_s=getattr(request, "param", None))


@pytest.fixture
def busy(scheduler, engine):
    """Hold the engine inside a forward pass of a first caller's sentence."""
    engine.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        pool.first = pool.submit(scheduler.outputs, ["first"])
        assert engine.entered.wait(PATIENCE_S)
        yield pool
        engine.gate.set()


def until_waiting(reports, n):
    wait_until(lambda: reports.n_requests >= n)


def expected(tokenizer, sentences):
    return [max(tokenizer.encode(s).ids) for s in sentences]


def test_outputs_sentences_of_many_lengths_keep_their_order(scheduler, tokenizer):
    logits = scheduler.outputs(SENTENCES)
    assert logits.shape == (120, len(RISK_TYPES))
    assert logits[:, 0].tolist() == expected(tokenizer, SENTENCES)


def test_outputs_no_sentences_needs_no_pass(scheduler, engine):
    assert scheduler.outputs([]).shape == (0, len(RISK_TYPES))
    assert engine.passes == []


def test_outputs_passes_keep_to_the_token_budget(scheduler, engine):
    scheduler.outputs(SENTENCES)
    assert max(rows * tokens for rows, tokens in engine.passes) <= 512


def test_outputs_over_long_sentence_takes_the_maximum_over_its_windows(scheduler, tokenizer):
    sentence = "the " * 500 + "zurich" + " the" * 500
    assert scheduler.outputs([sentence])[0, 0] == expected(tokenizer, [sentence])[0]


def test_outputs_influence_of_an_over_long_sentence_is_the_mean_over_its_windows(open_scheduler):
    n_types = len(RISK_TYPES)
    scheduler = open_scheduler(LargestIdEngine(3 * n_types))
    (row,) = scheduler.outputs(["the " * 500 + "zurich" + " the" * 500])
    assert row[:n_types].min() == row[:n_types].max() > row[n_types:].max() > 0


def test_outputs_waiting_callers_share_one_pass(scheduler, engine, busy, reports):
    waiting = [busy.submit(scheduler.outputs, ["the same size"]) for _ in range(2)]
    until_waiting(reports, 3)
    engine.gate.set()
    assert [w.result(PATIENCE_S).shape[0] for w in waiting] == [1, 1]
    assert [rows for rows, _ in engine.passes] == [1, 2]


def test_outputs_queue_full_raises_overloaded_at_once(open_scheduler, engine, reports):
    scheduler = open_scheduler(engine, max_queued_tokens=40)
    engine.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        # the first request is taken whatever its size, or it would never be
        book = pool.submit(scheduler.outputs, ["one sentence of some length " * 9])
        assert engine.entered.wait(PATIENCE_S)
        with pytest.raises(Overloaded) as caught:
            scheduler.outputs(["one too many"])
        engine.gate.set()
        assert book.result(PATIENCE_S).shape[0] == 1
    assert caught.value.retry_after_s
    assert reports.rejections == ["overloaded"]


@pytest.mark.parametrize("scheduler", [10.0], indirect=True)
def test_outputs_that_would_miss_their_deadline_are_rejected_at_once(
    scheduler, engine, busy, reports
):
    waiting = busy.submit(scheduler.outputs, ["some words that wait here for their turn"])
    until_waiting(reports, 2)
    with pytest.raises(Overloaded, match="in time"):
        scheduler.outputs(["too late " * 4], deadline=Deadline.after(1))
    engine.gate.set()
    assert waiting.result(PATIENCE_S).shape[0] == 1
    assert reports.rejections == ["overloaded"]


def test_outputs_paragraph_beside_a_book_waits_for_one_pass(
    scheduler, engine, busy, tokenizer, reports
):
    book = busy.submit(scheduler.outputs, [f"sentence {i} " + "word " * 60 for i in range(60)])
    until_waiting(reports, 2)
    paragraph = busy.submit(scheduler.outputs, ["a short sentence"])
    n_tokens = len(tokenizer.encode("a short sentence").ids)
    until_waiting(reports, 3)
    engine.gate.set()
    assert paragraph.result(PATIENCE_S).shape[0] == 1
    assert book.result(PATIENCE_S).shape[0] == 60
    assert engine.passes.index((1, n_tokens)) <= 2
    assert len(engine.passes) > 6


def in_background():
    return Deadline.in_background(60, remedy="wait")


def test_outputs_book_of_a_caller_passes_a_background_book(scheduler, engine, busy, reports):
    book = [f"sentence {i} " + "word " * 60 for i in range(60)]
    background = busy.submit(scheduler.outputs, book, deadline=in_background())
    until_waiting(reports, 2)
    caller = busy.submit(scheduler.outputs, [f"{sentence} too" for sentence in book])
    until_waiting(reports, 3)
    engine.gate.set()
    assert caller.result(PATIENCE_S).shape == background.result(PATIENCE_S).shape
    longest = max(tokens for _, tokens in engine.passes)  # the caller's sentences
    ours = [tokens == longest for _, tokens in engine.passes[1:]]
    last = max(k for k, is_ours in enumerate(ours) if is_ours)
    assert ours[: last + 1].count(False) <= 2 < ours[last:].count(False)


def test_outputs_background_sentence_joins_no_pass_of_a_caller(scheduler, engine, busy, reports):
    background = busy.submit(scheduler.outputs, ["the same size"], deadline=in_background())
    until_waiting(reports, 2)
    caller = busy.submit(scheduler.outputs, ["the same size"], deadline=Deadline.after(60))
    until_waiting(reports, 3)
    engine.gate.set()
    assert background.result(PATIENCE_S).shape == caller.result(PATIENCE_S).shape
    assert sorted(rows for rows, _ in engine.passes) in ([1, 1, 1], [1, 2])


@pytest.mark.parametrize("scheduler", [0.5], indirect=True)
def test_outputs_background_book_does_not_reject_a_caller(scheduler, engine, busy, reports):
    book = ["word " * 60] * 20
    background = busy.submit(
        scheduler.outputs, book, deadline=Deadline.in_background(9999, remedy="wait")
    )
    until_waiting(reports, 2)
    caller = busy.submit(scheduler.outputs, ["in time"], deadline=Deadline.after(40))
    until_waiting(reports, 3)
    engine.gate.set()
    assert caller.result(PATIENCE_S).shape[0] == 1
    assert background.result(PATIENCE_S).shape[0] == 20
    assert reports.rejections == []


def test_deadline_that_has_ended_passes_at_once(scheduler):
    ended = threading.Event()
    ended.set()
    with pytest.raises(AnalyzerTimeout):
        scheduler.outputs(["x"], deadline=Deadline.in_background(60, remedy="wait", ended=ended))


def test_outputs_rows_are_padded_only_where_a_pass_costs_more(open_scheduler, tokenizer):
    engine = LargestIdEngine(overhead_tokens=8)
    logits = open_scheduler(engine).outputs(SENTENCES)
    assert logits[:, 0].tolist() == expected(tokenizer, SENTENCES)
    n_tokens = sum(len(tokenizer.encode(s).ids) for s in SENTENCES)
    n_padding = sum(rows * tokens for rows, tokens in engine.passes) - n_tokens
    assert 0 < n_padding <= 8 * len(engine.passes)
    assert len(engine.passes) < len(SENTENCES) / 2


def test_outputs_as_many_passes_run_at_once_as_the_engine_allows(open_scheduler, tokenizer):
    engine = LargestIdEngine(parallel_passes=3)
    engine.gate.clear()
    scheduler = open_scheduler(engine)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(scheduler.outputs, SENTENCES)
        wait_until(lambda: len(engine.passes) == 3)
        engine.gate.set()
        assert answer.result(PATIENCE_S)[:, 0].tolist() == expected(tokenizer, SENTENCES)
    assert engine.most_at_once == 3


def test_outputs_book_finishes_while_paragraphs_keep_arriving(scheduler):
    sentences = [f"sentence {i} " + "word " * 60 for i in range(200)]
    done = threading.Event()

    def paragraphs():
        while not done.is_set():
            scheduler.outputs(["a short sentence"])

    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            pool.submit(paragraphs)
        try:
            assert scheduler.outputs(sentences, deadline=Deadline.after(PATIENCE_S)).shape[0] == 200
        finally:
            done.set()


def test_outputs_out_of_memory_halves_this_and_later_batches(scheduler, engine, tokenizer):
    engine.errors = [EngineOutOfMemory("full"), EngineOutOfMemory("still full")]
    outputs = scheduler.outputs(["the same size"] * 8)
    assert outputs[:, 0].tolist() == expected(tokenizer, ["the same size"] * 8)
    assert [rows for rows, _ in engine.passes] == [8, 4, 2, 2, 4]
    engine.passes.clear()
    scheduler.outputs(["the same size"] * 8)
    assert [rows for rows, _ in engine.passes] == [2, 2, 2, 2]


def test_outputs_out_of_memory_for_one_sentence_fails_its_caller(scheduler, engine):
    engine.errors = [EngineOutOfMemory("full")]
    with pytest.raises(RiskscanError, match="model failed"):
        scheduler.outputs(["one"])
    assert scheduler.outputs(["works"]).shape[0] == 1


def test_observer_gets_passes_queue_and_waits(scheduler, reports, tokenizer):
    scheduler.outputs(SENTENCES)
    n_tokens = sum(len(tokenizer.encode(s).ids) for s in SENTENCES)
    assert sum(tokens for tokens, _, _ in reports.passes) == n_tokens
    assert sum(rows for _, _, rows in reports.passes) == len(SENTENCES)
    assert all(padded >= tokens for tokens, padded, _ in reports.passes)
    assert reports.max_requests == 1
    assert (reports.n_tokens, reports.n_requests) == (0, 0)
    assert len(reports.waits) == 1


@pytest.mark.usefixtures("busy")
def test_outputs_deadline_passed_raises_and_its_work_is_dropped(scheduler, engine):
    with pytest.raises(AnalyzerTimeout):
        scheduler.outputs(["late"], deadline=Deadline.after(0.05))
    engine.gate.set()
    scheduler.outputs(["a sentence of another length"])
    assert len(engine.passes) == 2  # the first caller's and the last one's


def test_outputs_engine_error_reaches_the_caller_and_the_thread_survives(scheduler, engine):
    engine.errors.append(RuntimeError("out of memory"))
    with pytest.raises(RiskscanError) as caught:
        scheduler.outputs(["fails"])
    assert (caught.value.code, caught.value.status) == ("internal_error", 500)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "out of memory" not in caught.value.message
    assert scheduler.outputs(["works"]).shape[0] == 1


@pytest.mark.parametrize("shape", [(3, 2), (2, len(RISK_TYPES)), (len(RISK_TYPES),)])
def test_outputs_engine_answers_wrong_shape_is_an_internal_error(
    scheduler, engine, monkeypatch, shape
):
    monkeypatch.setattr(engine, "outputs", lambda *_: np.zeros(shape, np.float32))
    with pytest.raises(RiskscanError, match="model failed") as caught:
        scheduler.outputs(["one"])
    assert caught.value.code == "internal_error"


def test_outputs_bad_window_fails_its_own_caller_alone(scheduler, engine, busy, tokenizer, reports):
    engine.refused_id = tokenizer.token_to_id("zurich")
    good, bad = (busy.submit(scheduler.outputs, [text]) for text in ("budget", "zurich"))
    until_waiting(reports, 3)
    engine.gate.set()
    assert good.result(PATIENCE_S)[0, 0] == expected(tokenizer, ["budget"])[0]
    with pytest.raises(RiskscanError, match="model failed"):
        bad.result(PATIENCE_S)
    assert [rows for rows, _ in engine.passes] == [1, 2, 1, 1]


def test_outputs_batch_that_fails_once_is_scored_again(scheduler, engine, busy, reports):
    waiting = [busy.submit(scheduler.outputs, ["the same size"]) for _ in range(2)]
    until_waiting(reports, 3)
    engine.errors = [None, RuntimeError("once")]  # None: the pass that holds the engine works
    engine.gate.set()
    assert [w.result(PATIENCE_S).shape[0] for w in waiting] == [1, 1]


def test_outputs_failure_logs_the_place_without_the_document(scheduler, engine, caplog):
    engine.errors.append(ValueError("cannot encode 'the secret clause'"))
    with pytest.raises(RiskscanError):
        scheduler.outputs(["the secret clause"])
    assert "ValueError at engine.py:" in caplog.text
    assert "secret" not in caplog.text


def test_close_fails_waiting_and_later_callers(scheduler, engine, busy, reports):
    waiting = busy.submit(scheduler.outputs, ["waits"])
    until_waiting(reports, 2)
    closing = busy.submit(scheduler.close)
    wait_until(lambda: not scheduler.is_alive())
    engine.gate.set()
    with pytest.raises(ShuttingDown):
        waiting.result(PATIENCE_S)
    closing.result(PATIENCE_S)
    with pytest.raises(ShuttingDown):
        scheduler.outputs(["too late"])


def test_outputs_eight_callers_at_once_get_what_one_gets(open_scheduler):
    scheduler = open_scheduler(LargestIdEngine(parallel_passes=4, overhead_tokens=8))
    alone = scheduler.outputs(SENTENCES)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(scheduler.outputs, [SENTENCES] * 8))
    assert all(np.array_equal(t, alone) for t in together)


class ExitEngine(LargestIdEngine):
    """Records the threshold of each row."""

    def early_outputs(self, input_ids, attention_mask, leave_below):
        self.thresholds = [*getattr(self, "thresholds", []), *leave_below.tolist()]
        return self.outputs(input_ids, attention_mask)


def test_only_whole_sentences_may_leave_early(open_scheduler):
    engine = ExitEngine()
    open_scheduler(engine).outputs(["All is well.", "word " * 300], leave_below=-1.5)
    assert engine.thresholds.count(-1.5) == 1
    assert set(engine.thresholds) == {-1.5, -np.inf}
