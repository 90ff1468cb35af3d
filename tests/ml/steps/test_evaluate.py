"""The evaluate command with every kind of analyzer: its reports and errors."""

import json

import numpy as np
import pytest

pytest.importorskip("sklearn")

from ml.evaluation.predictions import read_predictions
from service.config.settings import ROOT
from tests.fakes.chat_server import ChatServer
from tests.fakes.scan_server import ScanServer
from tests.ml.step import run_step
from tests.nlp.conftest import MODEL_DIR
from tests.support.artifacts import VERSION

LINES = (ROOT / "ml/data/authored-a.jsonl").read_text(encoding="utf-8").splitlines()
REPORT = ["confusion.svg", "evaluation.json", "evaluation.md", "predictions.npz", "slices.svg"]


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
def model_report(data, tmp_path_factory):
    """The report on the shipped artifact."""
    out = tmp_path_factory.mktemp("model")
    run_step("evaluate", "--analyzer", MODEL_DIR, "--data", data, "--out", out)
    return out


@pytest.fixture
def keywords_report(data, tmp_path):
    out = tmp_path / "keywords"
    run_step("evaluate", "--analyzer", "keywords", "--data", data, "--out", out)
    return out


def test_artifact_report_has_every_figure(model_report):
    found = json.loads((model_report / "evaluation.json").read_text())
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


def test_artifact_report_files_hold_no_sentence(model_report, data):
    assert sorted(p.name for p in model_report.iterdir()) == sorted(
        [*REPORT, "precision-recall.svg", "reliability.svg"]
    )
    first = json.loads(data.read_text().splitlines()[0])["text"]
    for path in model_report.iterdir():
        assert first.encode() not in path.read_bytes()


def test_markdown_report_names_points_and_slices(model_report):
    text = (model_report / "evaluation.md").read_text()
    for words in (
        f"riskscan-fast {VERSION}",
        "| recall |",
        "| office |",
        "40 or more words",
        "nested",
    ):
        assert words in text


def test_drawings_are_reproducible(model_report, tmp_path):
    from ml.evaluation.plots import write_plots  # noqa: PLC0415 - after the skip above

    found = json.loads((model_report / "evaluation.json").read_text())
    paths = write_plots(tmp_path, found, read_predictions(model_report / "predictions.npz"))
    assert len(paths) == 4
    for path in paths:
        assert path.read_bytes() == (model_report / path.name).read_bytes()
        assert b"<svg" in path.read_bytes()


def test_keywords_report_leaves_out_what_needs_probabilities(keywords_report):
    found = json.loads((keywords_report / "evaluation.json").read_text())
    assert found["nested"] is None
    assert found["ranking"] is None
    assert sorted(p.name for p in keywords_report.iterdir()) == REPORT


def test_two_reports_can_be_compared(model_report, keywords_report):
    done = run_step(
        "compare", model_report / "evaluation.json", keywords_report / "evaluation.json"
    )
    assert f"a (riskscan-fast {VERSION}) is better than b (keywords)" in done.stdout


def test_service_receives_one_request_per_document(data, tmp_path):
    server = ScanServer()
    try:
        out = tmp_path / "remote"
        run_step("evaluate", "--analyzer", server.url, "--data", data, "--out", out)
        found = json.loads((out / "evaluation.json").read_text())
    finally:
        server.close()
    texts = [request["text"] for _, request in server.requests]
    assert sum(text.count("\n\n") == 4 for text in texts) >= 12
    assert found["analyzer"] == "remote"
    assert "invariance" not in found


def test_llm_of_the_settings_is_evaluated(data, tmp_path, monkeypatch):
    server = ChatServer()
    monkeypatch.setenv("LLM_BASE_URL", server.base_url)
    monkeypatch.setenv("LLM_MODEL", "rules")
    try:
        out = tmp_path / "llm"
        run_step("evaluate", "--analyzer", "llm", "--data", data, "--out", out)
    finally:
        server.close()
    assert json.loads((out / "evaluation.json").read_text())["analyzer"] == "rules"


def test_llm_that_is_switched_off_is_not_evaluated(data, monkeypatch):
    for name, value in (
        ("LLM", "off"),
        ("LLM_BASE_URL", "http://127.0.0.1:9/v1"),
        ("LLM_MODEL", "m"),
    ):
        monkeypatch.setenv(name, value)
    done = run_step("evaluate", "--analyzer", "llm", "--data", data)
    assert (done.exit_code, "LLM=off forbids" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("spec", "message"),
    [("nowhere", "nor one of llm, tfidf, knn, keywords"), ("llm", "LLM_BASE_URL")],
)
def test_unknown_analyzer_is_refused(data, spec, message, monkeypatch):
    monkeypatch.delenv("LLM_BASE_URL", raising=False)
    done = run_step("evaluate", "--analyzer", spec, "--data", data)
    assert (done.exit_code, message in done.stderr) == (1, True)


def test_each_data_file_is_a_set(data, tmp_path):
    other = tmp_path / "other.jsonl"
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    other.write_text("".join(json.dumps({**row, "doc": f"x {row['doc']}"}) + "\n" for row in rows))
    run_step("evaluate", "--analyzer", MODEL_DIR, "--data", data, other, "--out", tmp_path)
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert list(found["sets"]) == ["all", "labelled", "other"]
    assert found["sets"]["other"]["data"]["sentences"] == 60
    assert "## By set, nested" in (tmp_path / "evaluation.md").read_text()


def test_single_document_has_no_nested_figures(data, tmp_path):
    one = tmp_path / "one.jsonl"
    one.write_text("".join(line + "\n" for line in data.read_text().splitlines()[:5]))
    out = tmp_path / "out"
    done = run_step("evaluate", "--analyzer", MODEL_DIR, "--data", one, "--out", out)
    assert done.exit_code == 0, done.output
    assert json.loads((out / "evaluation.json").read_text())["nested"] is None


def test_analyzer_without_data_is_a_usage_error():
    done = run_step("evaluate", "--analyzer", "keywords")
    assert (done.exit_code, "--data" in done.stderr) == (2, True)
