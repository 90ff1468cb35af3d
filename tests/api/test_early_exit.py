"""A model with an exit, served with EARLY_EXIT on and off."""

from contextlib import closing

import pytest

pytest.importorskip("torch")

from ml.corpus.dataset import read_examples
from service.config.settings import ROOT
from service.nlp.taxonomy import built_in
from tests.support.calls import caller

SENTENCES = [e.text for e in read_examples(ROOT / "ml/data/authored-b.jsonl", built_in())[:80]]


@pytest.fixture(scope="module")
def scan(start_service, model_with_exit):
    """Start a service and scan the sentences at each sensitivity in turn; return the findings of each."""

    def scan(*sensitivities, switch="on"):
        folder = str(model_with_exit)
        service = start_service(MODEL_DIR=folder, EARLY_EXIT=switch, AI_SERVICE_OPEN="true")
        findings = {}
        with closing(caller(service.url)) as http:
            for sensitivity in sensitivities:
                body = {"text": "\n\n".join(SENTENCES), "sensitivity": sensitivity}
                answer = http.post("/scan", json=body).raise_for_status()
                findings[sensitivity] = answer.json()["data"]
        return findings

    return scan


@pytest.fixture(scope="module")
def fresh(scan):
    """The findings of a service that scans at `balanced` first."""
    return scan("balanced", "recall", "precision")


@pytest.mark.system
def test_findings_are_those_without_an_exit_but_for_a_few(scan, fresh):
    answers = (fresh, scan("balanced", switch="off"))
    on, off = ({(f["context"], f["risk"]) for f in a["balanced"]} for a in answers)
    assert len(on) > 20
    assert len(on ^ off) <= 0.1 * len(off)


def test_findings_do_not_depend_on_earlier_scans(scan, fresh):
    assert scan("precision", "recall", "balanced") == fresh
