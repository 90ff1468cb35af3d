"""The bare engine: prepared token ids in, logits out, one sentence at a time and in batches.

Sentences are tokenized, sorted by length and padded before the clock starts. Single sentences come from one
caller; batches run on as many threads as the engine runs passes in parallel. No service can be faster.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

from service.config import settings
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.engine import CPU_LIMITS
from service.nlp.inference.engine_factory import open_engine
from service.nlp.inference.requests import pad
from service.nlp.inference.tokenization import Windower
from tests.bench.own_process import run_module
from tests.bench.plots import bars
from tests.bench.results import Result, spread
from tests.bench.sentences import endless

N_SENTENCES = 1_000
ONE_BY_ONE = "one by one"
AS_SERVED = f"batches of {CPU_LIMITS.tokens} tokens"
"""The size of the service's own batches."""
SORTED = ("batches of 8", "batches of 32", AS_SERVED, "batches of 1,024 tokens")
"""The batch sizes for documents; the fastest of them is the reference for services."""
_SIZES = {"batches of 1": 1, "batches of 8": 8, "batches of 32": 32, "batches of 100": 100}
_TOKENS = {AS_SERVED: CPU_LIMITS.tokens, "batches of 1,024 tokens": 1_024}
WAYS = (ONE_BY_ONE, *_SIZES, *_TOKENS)


def run(options):
    """Measure every batch size in rounds, each on sentences of its own."""
    stream, n = endless(), options.size(N_SENTENCES)
    rounds = [bare_engine(options, list(islice(stream, n)), WAYS) for _ in range(options.rounds)]
    speeds = {way: [r[way]["sentences_per_s"] for r in rounds] for way in WAYS}
    p50 = [r[ONE_BY_ONE]["p50_ms"] for r in rounds]
    tokenizing = [r["tokenize_ms_per_1000"] for r in rounds]
    return Result(
        name="engine",
        title="The bare engine",
        head=("batches", "sentences/s"),
        rows=[(way, spread(speeds[way])) for way in WAYS],
        figures={"rounds": rounds},
        panels=[bars(speeds, "sentences/s")],
        targets=[],
        notes=(
            f"one sentence takes {spread(p50, 2)} ms (p50)",
            f"tokenizing 1,000 sentences takes {spread(tokenizing, 1)} ms",
        ),
    )


def bare_engine(options, sentences, ways=(ONE_BY_ONE, *SORTED)):
    """Return the figures of the bare engine on `sentences`, from a process of its own."""
    return run_module(options, "tests.bench.engine", {"sentences": sentences, "ways": ways})


def best_sorted(figures):
    """Return the sentences per second of the fastest sorted batches."""
    return max(figures[way]["sentences_per_s"] for way in SORTED)


def measure(sentences, ways):
    """Measure the batch sizes `ways` on the shipped model, with the service's settings for this machine."""
    artifact = artifacts.load(settings.load().model_dir)
    engine = open_engine(artifact, device="cpu", n_threads=0)
    windower = Windower(artifact.tokenizer(), artifact.manifest.max_length_tokens)
    began_s = time.perf_counter()
    windows = [ids for parts in windower.windows(sentences) for ids in parts]
    took_ms = 1000 * (time.perf_counter() - began_s)
    figures = {"tokenize_ms_per_1000": 1000 * took_ms / len(sentences)}
    for way in ways:
        feeds = [pad(rows) for rows in _batches(windows, way)]
        engine.outputs(*feeds[0])  # the first pass allocates memory
        n_threads = 1 if way == ONE_BY_ONE else engine.limits.parallel_passes
        began_s = time.perf_counter()
        with ThreadPoolExecutor(n_threads) as pool:
            took_s = list(pool.map(lambda feed: _timed(engine, feed), feeds))
        figures[way] = {
            "sentences_per_s": len(sentences) / (time.perf_counter() - began_s),
            "p50_ms": 1000 * float(np.median(took_s)),
        }
    return figures


def _batches(windows, way):
    if way == ONE_BY_ONE:
        return [[ids] for ids in windows]
    longest_first = sorted(windows, key=len, reverse=True)
    if way in _SIZES:
        size = _SIZES[way]
        return [longest_first[i : i + size] for i in range(0, len(longest_first), size)]
    return _by_tokens(longest_first, _TOKENS[way])


def _by_tokens(longest_first, n_tokens):
    batches = []
    while longest_first:
        size = max(1, n_tokens // len(longest_first[0]))
        batches.append(longest_first[:size])
        longest_first = longest_first[size:]
    return batches


def _timed(engine, feed):
    began_s = time.perf_counter()
    engine.outputs(*feed)
    return time.perf_counter() - began_s


if __name__ == "__main__":
    inputs = json.load(sys.stdin)
    json.dump(measure(inputs["sentences"], inputs["ways"]), sys.stdout)
