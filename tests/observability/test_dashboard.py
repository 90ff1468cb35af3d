"""The Grafana dashboard queries every metric and no unknown one; promql_parser parses its queries."""

import json

import promql_parser

from service.config.settings import ROOT
from service.nlp.observer import Call
from service.nlp.taxonomy import built_in
from service.observability.metrics import Metrics
from service.observability.supervisor_metrics import SupervisorMetrics

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
SCRAPE_LABELS = {"instance", "job"}


def series_by_metric():
    """Return the names of each metric's series."""
    families = [*Metrics().registry.collect(), *supervisor_metrics().registry.collect()]
    return {f.name: {f.name + suffix for suffix in SERIES[f.type]} for f in families}


def supervisor_metrics():
    return SupervisorMetrics(2, lambda: 2)


def parse(query):
    """Return the series that a query selects and the labels that it matches or groups by."""
    selectors, labels = [], set()

    def visit(node):
        if isinstance(node, promql_parser.VectorSelector):
            selectors.append(node)
            labels.update(matcher.name for matcher in node.matchers.matchers)
        modifier = getattr(node, "modifier", None)
        labels.update(getattr(modifier, "labels", None) or [])

    promql_parser.walk(promql_parser.parse(query.replace("$__rate_interval", "5m")), visit)
    return {selector.name for selector in selectors}, labels


def labels_by_series():
    """Return the labels of each series after each event has happened once."""
    metrics = Metrics()
    metrics.taxonomy_opened(list(built_in().categories))
    metrics.count_request("GET", "/health", 200, 0.1)
    metrics.called(Call("llm", "llm.corp.local", duration_s=0.1))
    metrics.models.set_function(lambda: {("serving", "riskscan-minilm", "1.0.0"): 1.0})
    for gauge in (metrics.drift, metrics.drift_by_chance):
        gauge.set_function(lambda: {("score",): 0.1})
    metrics.batch_items.set_function(lambda: {("waiting",): 1.0})
    registries = (metrics.registry, supervisor_metrics().registry)
    families = (family for registry in registries for family in registry.collect())
    samples = (sample for family in families for sample in family.samples)
    return {sample.name: set(sample.labels) for sample in samples}


def test_queries_select_series_that_exist():
    known = set().union(*series_by_metric().values())
    unknown = {query: parse(query)[0] - known for query in QUERIES}
    assert not {query: names for query, names in unknown.items() if names}
    assert all(parse(query)[0] for query in QUERIES)


def test_queries_cover_every_metric():
    queried = {name for query in QUERIES for name in parse(query)[0]}
    assert not [metric for metric, names in series_by_metric().items() if not names & queried]


def test_queries_use_labels_that_their_series_have():
    known_labels = labels_by_series()
    from_label_replace = {"riskscan"}
    for query in QUERIES:
        names, labels = parse(query)
        known = SCRAPE_LABELS.union(from_label_replace, *(known_labels[name] for name in names))
        assert labels <= known, query


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
