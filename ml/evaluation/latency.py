"""Latency and throughput of an analyzer on this machine, with the machine's name."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml.evaluation.scoring import document_from
from service.nlp.analyzers.base import Analyzer
from service.nlp.cpu_quota import cpu_quota

N_SINGLES = 100
_LIMIT_S = 60.0


def latency(analyzer: Analyzer, texts: Sequence[str], *, bulk_s: float) -> dict[str, Any]:
    """Return the milliseconds of single sentences, and sentences per second.

    Times up to N_SINGLES single sentences, spread evenly, for at most about a minute.

    `bulk_s` is the time that all `texts` took together. `load` is the machine's load average of the last
    minute: other processes slow an analyzer down.
    """
    step = max(1, len(texts) // N_SINGLES)
    singles_ms = []
    for text in texts[::step][:N_SINGLES]:
        began_s = time.perf_counter()
        analyzer.analyze(document_from([text]))
        singles_ms.append(1000 * (time.perf_counter() - began_s))
        if sum(singles_ms) > 1000 * _LIMIT_S:
            break
    p50, p95 = np.percentile(singles_ms, [50, 95])
    return {
        "single_p50_ms": round(float(p50), 2),
        "single_p95_ms": round(float(p95), 2),
        "sentences_per_s": round(len(texts) / max(bulk_s, 1e-9), 1),
        "machine": machine(),
        "load": round(os.getloadavg()[0], 1),
    }


def machine() -> str:
    """Return the processor's name and how many of them this process may use."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {cpu_quota()} processors"
