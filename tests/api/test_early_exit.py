"""A model with an exit, served with EARLY_EXIT on and off."""

from contextlib import closing

import pytest

pytest.importorskip("torch")

from ml.corpus.dataset import read_examples
from service.config.settings import ROOT
from service.nlp.taxonomy import built_in
from tests.support.calls import caller
from tests.support.early_exits import model_with_exit

SENTENCES = [e.text for e in read_examples(ROOT / "ml/data/authored-b.jsonl", built_in())[:80]]


@pytest.fixture(scope="module")
def found(start_service):
    """What the service finds with the exit on and off: pairs of sentence and risk."""
    folder, found = str(model_with_exit()), {}
    for switch in ("on", "off"):
        service = start_service(MODEL_DIR=folder, EARLY_EXIT=switch, AI_SERVICE_OPEN="true")
        with closing(caller(service.url)) as http:
            answer = http.post("/scan", json={"text": "\n\n".join(SENTENCES)}).raise_for_status()
        found[switch] = {(item["context"], item["risk"]) for item in answer.json()["data"]}
    return found


def test_findings_are_those_without_an_exit_but_for_a_few(found):
    assert len(found["on"]) > 20
    assert len(found["on"] ^ found["off"]) <= 0.1 * len(found["off"])
