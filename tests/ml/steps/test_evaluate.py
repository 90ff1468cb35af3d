"""The command over every kind of analyzer: what it writes, and what it refuses."""

import json

import numpy as np
import pytest

pytest.importorskip("sklearn")

from ml.corpus.dataset import Example
from ml.evaluation import paired_comparison
from ml.evaluation.predictions import read_predictions
from ml.evaluation.scoring import document_of, judge
from ml.steps import evaluate
from service.config.settings import ROOT
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.analyzers.remote import RemoteAnalyzer
from service.nlp.taxonomy import RISK_TYPES
from tests.fakes.chat_server import ChatServer
from tests.fakes.scan_server import ScanServer
from tests.nlp.conftest import MODEL_DIR
from tests.support.artifacts import VERSION

LINES = (ROOT / "ml/data/authored-a.jsonl").read_text(encoding="utf-8").splitlines()
REPORT = ["confusion.svg", "evaluation.json", "evaluation.md", "predictions.npz", "slices.svg"]
EXAMPLES = [
    Example("Project has tight budget and aggressive deadline.", ("tight-budget",), "plan"),
    Example("Lunch is served at noon.", (), "plan"),
    Example("The switch is a single point of failure.", ("outage",), "memo"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """60 composed sentences in 12 documents and two domains."""
    path = tmp_path_factory.mktemp("data") / "labelled.jsonl"
    rows = [
        {**json.loads(line), "doc": f"doc {n // 5}", "domain": "office" if n < 30 else "site"}
        for n, line in enumerate(LINES[:60])
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def of_model(data, tmp_path_factory):
    """The report on the shipped artifact."""
    out = tmp_path_factory.mktemp("model")
    evaluate.command(["--analyzer", str(MODEL_DIR), "--data", str(data), "--out", str(out)])
    return out


@pytest.fixture
def of_keywords(data, tmp_path):
    out = tmp_path / "keywords"
    evaluate.command(["--analyzer", "keywords", "--data", str(data), "--out", str(out)])
    return out


def test_artifact_report_has_every_figure(of_model):
    found = json.loads((of_model / "evaluation.json").read_text())
    assert set(found["sensitivities"]) == {"balanced", "recall", "precision"}
    at = found["sensitivities"]
    assert at["recall"]["risk_recall"]["value"] >= at["precision"]["risk_recall"]["value"]
    assert list(found["slices"]["domain"]) == ["office", "site"]
    assert np.sum(found["confusion"]["counts"]) == found["data"]["sentences"] == 60
    assert 0.5 < found["ranking"]["risk_average_precision"]["value"] <= 1
    assert found["ranking"]["risk_precision_at_recall_90"]["value"] > 0.5
    assert found["latency"]["single_p50_ms"] <= found["latency"]["single_p95_ms"]
    assert found["invariance"]["lower case"]["score_change"] < 1e-6
    assert found["nested"]["mean_f1"]["low"] <= found["nested"]["mean_f1"]["value"]


def test_artifact_report_files_hold_no_sentence(of_model, data):
    assert sorted(p.name for p in of_model.iterdir()) == sorted(
        [*REPORT, "precision-recall.svg", "reliability.svg"]
    )
    first = json.loads(data.read_text().splitlines()[0])["text"]
    for path in of_model.iterdir():
        assert first.encode() not in path.read_bytes()


def test_report_in_words_names_points_and_slices(of_model):
    text = (of_model / "evaluation.md").read_text()
    for words in (
        f"riskscan-minilm {VERSION}",
        "| recall |",
        "| office |",
        "40 or more words",
        "nested",
    ):
        assert words in text


def test_drawings_of_the_same_figures_are_the_same_bytes(of_model, tmp_path):
    from ml.evaluation.plots import write_plots  # noqa: PLC0415 - after the skip above

    found = json.loads((of_model / "evaluation.json").read_text())
    paths = write_plots(tmp_path, found, read_predictions(of_model / "predictions.npz"))
    assert len(paths) == 4
    for path in paths:
        assert path.read_bytes() == (of_model / path.name).read_bytes()
        assert b"<svg" in path.read_bytes()


def test_keywords_report_leaves_out_what_needs_probabilities(of_keywords):
    found = json.loads((of_keywords / "evaluation.json").read_text())
    assert found["nested"] is None
    assert found["ranking"] is None
    assert sorted(p.name for p in of_keywords.iterdir()) == REPORT


def test_two_reports_can_be_compared(of_model, of_keywords, capsys):
    paired_comparison.main(
        [str(of_model / "evaluation.json"), str(of_keywords / "evaluation.json")]
    )
    assert f"a (riskscan-minilm {VERSION}) is better than b (keywords)" in capsys.readouterr().out


def test_service_is_asked_document_by_document(data, tmp_path):
    server = ScanServer()
    try:
        out = tmp_path / "remote"
        evaluate.command(["--analyzer", server.url, "--data", str(data), "--out", str(out)])
        found = json.loads((out / "evaluation.json").read_text())
    finally:
        server.close()
    texts = [request["text"] for _, request in server.requests]
    assert sum(text.count("\n\n") == 4 for text in texts) >= 12
    assert found["analyzer"] == "remote"
    assert "invariance" not in found


def test_llm_of_the_settings_is_asked(data, tmp_path, monkeypatch):
    server = ChatServer()
    monkeypatch.setenv("LLM_BASE_URL", server.base_url)
    monkeypatch.setenv("LLM_MODEL", "rules")
    try:
        out = tmp_path / "llm"
        evaluate.command(["--analyzer", "llm", "--data", str(data), "--out", str(out)])
    finally:
        server.close()
    assert json.loads((out / "evaluation.json").read_text())["analyzer"] == "rules"


def test_judge_findings_of_a_service_land_on_their_sentences():
    server = ScanServer()
    analyzer = RemoteAnalyzer(server.url)
    judged = judge(analyzer, EXAMPLES)
    analyzer.close()
    server.close()
    found = [{RISK_TYPES[k] for k in np.flatnonzero(row)} for row in judged.hits["balanced"]]
    assert found == [{"tight-budget", "aggressive-deadline"}, set(), {"outage"}]


def test_judge_decides_as_the_service_does():
    analyzer = LocalAnalyzer.open(MODEL_DIR, device="cpu", n_threads=1)
    texts = [e.text for e in EXAMPLES]
    judged = judge(analyzer, EXAMPLES)
    for sensitivity, hits in judged.hits.items():
        served = analyzer.analyze(document_of(texts), sensitivity=sensitivity).findings
        of_rows = {(texts[r], RISK_TYPES[k]) for r, k in np.argwhere(hits)}
        assert {(f.context, f.risk_type) for f in served} == of_rows
    analyzer.close()


@pytest.mark.parametrize(
    ("spec", "message"),
    [("nowhere", "none of llm, tfidf, knn, keywords"), ("llm", "LLM_BASE_URL")],
)
def test_analyzer_that_is_not_there_is_refused(data, spec, message, monkeypatch):
    monkeypatch.delenv("LLM_BASE_URL", raising=False)
    with pytest.raises(SystemExit, match=message):
        evaluate.command(["--analyzer", spec, "--data", str(data)])


def test_analyzer_without_data_is_a_usage_error(capsys):
    with pytest.raises(SystemExit):
        evaluate.command(["--analyzer", "keywords"])
    assert "--data" in capsys.readouterr().err
