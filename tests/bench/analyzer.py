"""The analyzer in process: sentences found in text, then scored and judged; no HTTP and no database."""

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
from tests.bench.engine import alone, best_sorted
from tests.bench.own_process import measured
from tests.bench.plots import bars
from tests.bench.results import Result, median, shown
from tests.bench.sentences import SENTENCES_PER_DOCUMENT, Documents, endless

_N_DOCUMENTS = 20
_N_SINGLES = 200
_N_CALLERS = 8
_WAYS = ("segmenting", "analyzing, 1 caller", f"analyzing, {_N_CALLERS} callers")


def run(options):
    """Measure in rounds, each on documents of its own, beside the bare engine on the same sentences."""
    documents, rounds = Documents(endless()), []
    for _ in range(options.rounds):
        some = [documents.next() for _ in range(2 * options.size(_N_DOCUMENTS))]
        singles = documents.next(options.size(_N_SINGLES))[1]
        given = {"documents": [text for text, _ in some], "singles": singles}
        found = measured(options, "tests.bench.analyzer", given)
        found["engine"] = alone(options, [s for _, sentences in some for s in sentences][:1000])
        rounds.append(found)
    speeds = {way: [r[way] for r in rounds] for way in _WAYS}
    speeds["the bare engine, sorted batches"] = [best_sorted(r["engine"]) for r in rounds]
    share = [r[_WAYS[2]] / best_sorted(r["engine"]) for r in rounds]
    return Result(
        name="analyzer",
        title="The analyzer in process, documents of 100 sentences",
        head=("what", "sentences/s"),
        rows=[(name, shown(values)) for name, values in speeds.items()],
        figures={"rounds": rounds},
        panels=[bars({k: v for k, v in speeds.items() if k != _WAYS[0]}, "sentences/s")],
        targets=[],
        notes=(
            f"{_N_CALLERS} callers reach {median(share):.2f} of the bare engine",
            f"one sentence takes {shown([r['single_p50_ms'] for r in rounds], 2)} ms (p50)",
        ),
    )


def figures_of(documents, singles):
    """Measure on the shipped model: half of `documents` from one thread, half from several."""
    segmenter, analyzer = Segmenter(), LocalAnalyzer.open(settings.load().model_dir)
    took_s, cut = _timed(lambda: [_segmented(segmenter, text) for text in documents])
    half, n = len(cut) // 2, SENTENCES_PER_DOCUMENT * (len(cut) // 2)
    found = {_WAYS[0]: SENTENCES_PER_DOCUMENT * len(cut) / took_s}
    took_s, _ = _timed(lambda: [analyzer.analyze(d) for d in cut[:half]])
    found[_WAYS[1]] = n / took_s
    with ThreadPoolExecutor(_N_CALLERS) as pool:
        took_s, _ = _timed(lambda: list(pool.map(analyzer.analyze, cut[half:])))
    found[_WAYS[2]] = SENTENCES_PER_DOCUMENT * len(cut[half:]) / took_s
    alone_s = [_timed(partial(analyzer.analyze, _segmented(segmenter, s)))[0] for s in singles]
    found["single_p50_ms"] = 1000 * float(np.median(alone_s))
    analyzer.close()
    return found


def _segmented(segmenter, text):
    return segmenter.segment(extract_text(text, max_chars=len(text)))


def _timed(work):
    began_s = time.perf_counter()
    done = work()
    return time.perf_counter() - began_s, done


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(figures_of(asked["documents"], asked["singles"]), sys.stdout)
