"""Cost by length: seconds and resident memory for documents of 1,000, 10,000 and 100,000 sentences."""

import time

import httpx

from tests.bench.plots import lines
from tests.bench.results import Result, Target, median, spread
from tests.bench.sentences import numbered
from tests.bench.servers import riskscan, running

_TIMES_BY_SIZE = {1_000: 5, 10_000: 3, 100_000: 1}
_PATIENCE_S = 1_800.0


def run(options):
    """Scan documents of each size over POST /scan, with a new service process for each size."""
    by_size = {}
    for size, times in _TIMES_BY_SIZE.items():
        n = options.size(size)
        texts = ["\n\n".join(numbered(n, start=i * n)) for i in range(times)]
        by_size[n] = _scan_all(options, texts)
    return _result(by_size)


def _scan_all(options, texts):
    folder = options.out / "linear-cost"
    longest = max(map(len, texts))
    server = riskscan(options, folder, MAX_TEXT_CHARS=str(max(2_500_000, longest + 1)))
    with running(server), httpx.Client(base_url=server.url, timeout=_PATIENCE_S) as client:
        _post(client, "A first scan loads everything.")
        took_s = [_post(client, text) for text in texts]
        return {
            "s_per_1000": [
                1000 * s / (text.count("\n\n") + 1) for s, text in zip(took_s, texts, strict=True)
            ],
            "peak_mb": server.peak_mb(),
            "resident_mb": server.resident_mb(),
        }


def _post(client, text):
    began_s = time.perf_counter()
    client.post("/scan", json={"text": text}).raise_for_status()
    return time.perf_counter() - began_s


def _result(by_size):
    cost = {n: median(f["s_per_1000"]) for n, f in by_size.items()}
    peak = {n: f["peak_mb"] for n, f in by_size.items()}
    ratio = max(cost.values()) / min(cost.values())
    growth_mb = max(peak.values()) - min(peak.values())
    rows = [
        (f"{n:,}", spread(f["s_per_1000"], 3), f"{f['peak_mb']:.0f}", f"{f['resident_mb']:.0f}")
        for n, f in by_size.items()
    ]
    return Result(
        name="linear-cost",
        title="Cost by length",
        head=("sentences", "s per 1,000", "peak memory, MB", "memory afterwards, MB"),
        rows=rows,
        figures={"by_size": by_size},
        panels=[
            lines({"": (list(cost), list(cost.values()))}, xlabel="sentences",
                  ylabel="s per 1,000 sentences", is_log=True),
            lines({"": (list(peak), list(peak.values()))}, xlabel="sentences",
                  ylabel="peak memory, MB", is_log=True),
        ],
        targets=[
            Target("slowest 1,000 sentences over the fastest", ratio, 1.15, is_limit=True),
            Target("difference of peak memory between sizes, MB,", growth_mb, 150, is_limit=True),
        ],
    )  # fmt: skip
