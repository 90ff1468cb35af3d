"""The Grafana dashboard asks for metrics that exist, and for all of them; PromQL's own grammar reads it."""

import json

import promql_parser
import pytest

from service.config.settings import ROOT
from service.observability.metrics import Metrics

DASHBOARD = json.loads(
    (ROOT / "service/observability/dashboards/riskscan.json").read_text(encoding="utf-8")
)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
SERIES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
}
OF_THE_SCRAPE = {"instance", "job"}


def families():
    """The metrics that /metrics shows, by name without suffix, with the names of their series."""
    collected = list(Metrics().registry.collect())
    return {f.name: {f.name + suffix for suffix in SERIES[f.type]} for f in collected}


def parsed(query):
    """The selectors and the groupings of a query."""
    selectors, labels = [], set()

    def visit(node):
        if isinstance(node, promql_parser.VectorSelector):
            selectors.append(node)
            labels.update(matcher.name for matcher in node.matchers.matchers)
        modifier = getattr(node, "modifier", None)
        labels.update(getattr(modifier, "labels", None) or [])

    promql_parser.walk(promql_parser.parse(query.replace("$__rate_interval", "5m")), visit)
    return {selector.name for selector in selectors}, labels


@pytest.mark.parametrize("query", QUERIES)
def test_query_asks_for_series_that_exist(query):
    known = {name for names in families().values() for name in names}
    names, _ = parsed(query)
    assert names
    assert names <= known


def test_every_metric_is_shown():
    shown = {name for query in QUERIES for name in parsed(query)[0]}
    assert not [family for family, names in families().items() if not names & shown]


def labels_of_series():
    """The labels of each series, once everything has happened once."""
    metrics = Metrics()
    metrics.answered("GET", "/health", 200, 0.1)
    metrics.observer().called("llm", "answered", 0.1)
    metrics.models.ask = lambda: {("serving", "riskscan-minilm", "1.0.0"): 1.0}
    metrics.drift.ask = metrics.drift_by_chance.ask = lambda: {("score",): 0.1}
    metrics.ready.ask = metrics.waiting.ask = metrics.database_age.ask = lambda: {(): 1.0}
    samples = (sample for family in metrics.registry.collect() for sample in family.samples)
    return {sample.name: set(sample.labels) for sample in samples}


@pytest.mark.parametrize("query", QUERIES)
def test_query_uses_labels_that_its_metrics_have(query):
    names, labels = parsed(query)
    series = labels_of_series()
    made_by_label_replace = {"riskscan"}
    assert labels <= OF_THE_SCRAPE.union(made_by_label_replace, *(series[name] for name in names))


def test_panels_have_a_place_of_their_own_and_an_id():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells = [
        (place["x"] + dx, place["y"] + dy)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for dx in range(place["w"])
        for dy in range(place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
