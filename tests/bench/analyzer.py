"""The analyzer in process: segment text, then score sentences and decide; no HTTP and no database."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from service.config import settings
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.extraction.extractor import extract_text
from service.nlp.segmentation.segmenter import Segmenter
from tests.bench.engine import bare_engine, best_sorted
from tests.bench.own_process import run_module
from tests.bench.plots import bars
from tests.bench.results import Result, median, spread
from tests.bench.sentences import SENTENCES_PER_DOCUMENT, Documents, endless

_N_DOCUMENTS = 20
_N_SINGLES = 200
_N_CALLERS = 8
_WAYS = ("segmenting", "analyzing, 1 caller", f"analyzing, {_N_CALLERS} callers")


def run(options):
    """Measure in rounds, each on new documents, and the bare engine on the same sentences."""
    documents, rounds = Documents(endless()), []
    for _ in range(options.rounds):
        some = [documents.next() for _ in range(2 * options.size(_N_DOCUMENTS))]
        singles = documents.next(options.size(_N_SINGLES))[1]
        inputs = {"documents": [text for text, _ in some], "singles": singles}
        figures = run_module(options, "tests.bench.analyzer", inputs)
        figures["engine"] = bare_engine(
            options, [s for _, sentences in some for s in sentences][:1000]
        )
        rounds.append(figures)
    speeds = {way: [r[way] for r in rounds] for way in _WAYS}
    speeds["the bare engine, sorted batches"] = [best_sorted(r["engine"]) for r in rounds]
    share = [r[_WAYS[2]] / best_sorted(r["engine"]) for r in rounds]
    return Result(
        name="analyzer",
        title="The analyzer in process, documents of 100 sentences",
        head=("what", "sentences/s"),
        rows=[(name, spread(values)) for name, values in speeds.items()],
        figures={"rounds": rounds},
        panels=[bars({k: v for k, v in speeds.items() if k != _WAYS[0]}, "sentences/s")],
        targets=[],
        notes=(
            f"{_N_CALLERS} callers reach {median(share):.2f} of the bare engine",
            f"one sentence takes {spread([r['single_p50_ms'] for r in rounds], 2)} ms (p50)",
        ),
    )


def measure(documents, singles):
    """Measure the shipped model: one thread analyzes half of `documents`, several the other half."""
    segmenter, analyzer = Segmenter(), LocalAnalyzer.open(settings.load().model_dir)
    took_s, segmented = _timed(lambda: [_segment(segmenter, text) for text in documents])
    half, n = len(segmented) // 2, SENTENCES_PER_DOCUMENT * (len(segmented) // 2)
    figures = {_WAYS[0]: SENTENCES_PER_DOCUMENT * len(segmented) / took_s}
    took_s, _ = _timed(lambda: [analyzer.analyze(d) for d in segmented[:half]])
    figures[_WAYS[1]] = n / took_s
    with ThreadPoolExecutor(_N_CALLERS) as pool:
        took_s, _ = _timed(lambda: list(pool.map(analyzer.analyze, segmented[half:])))
    figures[_WAYS[2]] = SENTENCES_PER_DOCUMENT * len(segmented[half:]) / took_s
    alone_s = [_timed(partial(analyzer.analyze, _segment(segmenter, s)))[0] for s in singles]
    figures["single_p50_ms"] = 1000 * float(np.median(alone_s))
    analyzer.close()
    return figures


def _segment(segmenter, text):
    return segmenter.segment(extract_text(text, max_chars=len(text)))


def _timed(work):
    began_s = time.perf_counter()
    result = work()
    return time.perf_counter() - began_s, result


if __name__ == "__main__":
    inputs = json.load(sys.stdin)
    json.dump(measure(inputs["documents"], inputs["singles"]), sys.stdout)
