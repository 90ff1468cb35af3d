"""Joins the metrics of several processes: counters and histograms are added, a gauge follows its rule.

Each process sends its metrics as plain values. Those of an ended process keep counting, so that no counter
falls when a process is restarted.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
Rule = Literal["sum", "max", "min"]
"""How the values of a series in several processes become one."""

RULES: Mapping[str, Rule] = {
    "process_virtual_memory_bytes": "sum",
    "process_resident_memory_bytes": "sum",
    "process_start_time_seconds": "min",
    "process_open_fds": "sum",
    "process_max_fds": "min",
    "riskscan_http_requests_in_progress": "sum",
    "riskscan_http_requests_waiting": "sum",
    "riskscan_queue_tokens": "sum",
    "riskscan_queue_requests": "sum",
    "riskscan_batch_items": "max",
    "riskscan_batch_oldest_waiting_seconds": "max",
    "riskscan_circuit_open": "max",
    "riskscan_build": "max",
    "riskscan_model_info": "max",
    "riskscan_drift_index": "max",
    "riskscan_drift_chance_index": "max",
    "riskscan_ready": "max",
    "riskscan_database_answer_age_seconds": "max",
    "riskscan_web_processes": "max",
    "riskscan_web_processes_ready": "max",
}
"""How the values of each gauge in several processes become one."""

_CUMULATIVE = frozenset({"counter", "histogram"})
_COMBINE: Mapping[Rule, Callable[[float, float], float]] = {
    "sum": operator.add,
    "max": max,
    "min": min,
}
_Series = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a sample, and its labels."""


@dataclass(slots=True)
class _Family:
    kind: str
    help_text: str
    rule: Rule
    values: dict[_Series, float] = field(default_factory=dict)

    def add(self, series: _Series, value: float) -> None:
        old = self.values.get(series)
        self.values[series] = value if old is None else _COMBINE[self.rule](old, value)


Families = dict[str, _Family]


def plain_values(registry: CollectorRegistry) -> list[list[Any]]:
    """Return each metric for JSON: name, kind, help, rule, and [name, labels, value] of its samples.

    RULES has the rule of each gauge and info metric; counters and histograms are added.
    """
    return [
        [
            family.name,
            family.type,
            family.documentation,
            "sum" if family.type in _CUMULATIVE else RULES[family.name],
            [[sample.name, sample.labels, sample.value] for sample in family.samples],
        ]
        for family in registry.collect()
    ]


class MetricSums(Collector):
    """The metrics of a changing set of processes as those of one. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, Families] = {}
        self._ended: Families = {}

    def update(self, process: Hashable, values: Iterable[Iterable[Any]]) -> None:
        """Replace the metrics of `process` by its newest, as `plain_values` returned them."""
        families = {name: _family(*rest) for name, *rest in values}
        with self._lock:
            self._running[process] = families

    def end(self, process: Hashable) -> None:
        """Forget the gauges of `process`, and keep its counters and histograms."""
        with self._lock:
            families = self._running.pop(process, {})
            kept = {n: family for n, family in families.items() if family.kind in _CUMULATIVE}
            self._ended = _joined([self._ended, kept])

    def collect(self) -> Iterable[Metric]:
        """Yield each metric once, with each series once."""
        with self._lock:
            joined = _joined([*self._running.values(), self._ended])
        for name, family in joined.items():
            metric = Metric(name, family.help_text, family.kind)
            for (sample, labels), value in family.values.items():
                metric.add_sample(sample, dict(labels), value)
            yield metric


def _family(kind: str, help_text: str, rule: str, samples: Iterable[Iterable[Any]]) -> _Family:
    if rule not in get_args(Rule):
        raise ValueError(f"{rule} is no rule for the metrics of several processes")
    family = _Family(kind, help_text, rule)  # type: ignore[arg-type]  # checked above
    for name, labels, value in samples:
        family.add((name, tuple(labels.items())), value)
    return family


def _joined(processes: Iterable[Families]) -> Families:
    joined: Families = {}
    for families in processes:
        for name, family in families.items():
            total = joined.setdefault(name, _Family(family.kind, family.help_text, family.rule))
            for series, value in family.values.items():
                total.add(series, value)
    return joined
