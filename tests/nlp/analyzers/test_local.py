from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest

from service.errors import ArtifactError
from service.nlp.analyzers.base import SentenceScorer
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.arrays import NO_ROWS
from service.nlp.inference.onnx_engine import OnnxEngine
from service.nlp.observer import Observer
from tests.nlp.conftest import MODEL_DIR
from tests.nlp.prose import HARMLESS, RISK, extracted


def test_open_shipped_artifact_names_model_and_version(local, artifact):
    assert local.source == "model"
    assert (local.model_name, local.model_version) == (
        artifact.manifest.name,
        artifact.manifest.version,
    )


def test_open_missing_folder_says_what_to_do(tmp_path):
    with pytest.raises(ArtifactError, match="MODEL_DIR"):
        LocalAnalyzer.open(tmp_path, device="cpu")


def test_open_scores_that_differ_from_the_golden_ones_refuses_to_serve(tmp_path):
    folder = shutil.copytree(MODEL_DIR, tmp_path / "artifact")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["temperature"] *= 3
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="golden"):
        LocalAnalyzer.open(folder, device="cpu", n_threads=1)


def test_score_golden_sentences_are_the_golden_scores(local, artifact):
    golden = artifact.golden()
    scores = local.score([row.text for row in golden])
    expected = np.array([row.scores for row in golden])
    assert np.abs(scores - expected).max() <= artifact.manifest.golden_tolerance


def test_score_sentence_among_others_is_its_score_alone(local):
    together = local.score([RISK, *HARMLESS, "word " * 700, "!" * 900])
    assert np.abs(local.score([RISK])[0] - together[0]).max() < 1e-4


def test_score_eight_callers_at_once_get_what_one_gets(local):
    alone = local.score([RISK, *HARMLESS])
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(local.score, [[RISK, *HARMLESS]] * 8))
    assert max(np.abs(t - alone).max() for t in together) < 1e-4


def test_score_onnx_and_torch_agree(local, request):
    pytest.importorskip("torch")
    other = request.getfixturevalue("local_torch")
    difference = np.abs(local.score([RISK, *HARMLESS]) - other.score([RISK, *HARMLESS]))
    assert difference.max() < 0.08  # the ONNX graph rounds activations to 8 bits


def test_variant_scores_are_those_of_the_document_with_the_variant_in_it(local):
    sentences, variants = [*HARMLESS, RISK, *HARMLESS], [RISK, "All is well.", "word " * 300]
    at = len(HARMLESS)
    for file_rows in (NO_ROWS, np.array([at - 1, at + 1])):
        expected = SentenceScorer.variant_scores(
            local, sentences, at, variants, file_rows=file_rows
        )
        scores = local.variant_scores(sentences, at, variants, file_rows=file_rows)
        assert np.abs(scores - expected).max() < 1e-4
    assert local.variant_scores(sentences, at, []).shape == (0, expected.shape[1])


class Counter(Observer):
    """Counts cache hits, and rows of forward passes."""

    def __init__(self):
        self.n_hits = self.n_rows = 0

    def cached(self, hits, misses):  # noqa: ARG002 - the observer's interface
        self.n_hits += hits

    def inferred(self, seconds, tokens, padded_tokens, rows):  # noqa: ARG002 - the observer's interface
        self.n_rows += rows


def test_analyze_edited_document_runs_the_network_on_new_sentences_only(local, artifact, segmenter):
    counter = Counter()
    engine = OnnxEngine(artifact, n_threads=1)
    before = [f"Milestone {k} slipped because the vendor was late." for k in range(20)]
    edited = segmenter.segment(extracted(*before[:7], "Nobody tested the restore.", *before[8:]))
    with closing(
        LocalAnalyzer(artifact, engine, cache_sentences=1000, observer=counter)
    ) as analyzer:
        analyzer.analyze(segmenter.segment(extracted(*before)))
        assert (counter.n_hits, counter.n_rows) == (0, 20)
        findings = analyzer.analyze(edited).findings
    assert (counter.n_hits, counter.n_rows) == (19, 21)
    expected = local.analyze(edited).findings
    assert [(f.start, f.risk_type) for f in findings] == [(f.start, f.risk_type) for f in expected]
