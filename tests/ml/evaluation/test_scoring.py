"""Any analyzer's decisions, sentence by sentence."""

from dataclasses import replace

import numpy as np

from ml.corpus.dataset import Example
from ml.evaluation.scoring import analyze_examples, document_from
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.analyzers.remote import RemoteAnalyzer
from service.nlp.taxonomy import built_in
from tests.fakes.scan_server import ScanServer
from tests.nlp.conftest import MODEL_DIR

RISK_TYPES = built_in().risk_types

EXAMPLES = [
    Example("Project has tight budget and aggressive deadline.", ("tight-budget",), "plan"),
    Example("Lunch is served at noon.", (), "plan"),
    Example("The switch is a single point of failure.", ("outage",), "memo"),
]


def test_analyze_examples_maps_findings_of_a_service_to_sentences():
    server = ScanServer()
    analyzer = RemoteAnalyzer(server.url, taxonomy=built_in())
    results = analyze_examples(analyzer, EXAMPLES)
    analyzer.close()
    server.close()
    found = [{RISK_TYPES[k] for k in np.flatnonzero(row)} for row in results.hits["balanced"]]
    assert found == [{"tight-budget", "aggressive-deadline"}, set(), {"outage"}]


def test_analyze_examples_decides_as_the_service_does():
    analyzer = LocalAnalyzer.open(MODEL_DIR, device="cpu", n_threads=1, early_exit=False)
    examples = [replace(e, doc="plan") for e in EXAMPLES]
    texts = [e.text for e in examples]
    results = analyze_examples(analyzer, examples)
    for sensitivity, hits in results.hits.items():
        served = analyzer.analyze(document_from(texts), sensitivity=sensitivity).findings
        of_rows = {(texts[r], RISK_TYPES[k]) for r, k in np.argwhere(hits)}
        assert {(f.context, f.risk_type) for f in served} == of_rows
    analyzer.close()
