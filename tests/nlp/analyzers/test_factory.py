"""Which analyzers the settings open; those of other services connect at their first use."""

from contextlib import closing

import pytest

from service.config.settings import load
from service.errors import ArtifactError, NotConfigured
from service.nlp.analyzers.factory import open_analyzers, open_model
from service.nlp.analyzers.llm import LLMAnalyzer
from service.nlp.analyzers.remote import RemoteAnalyzer

REMOTE = {"AI_SERVICE_URL": "http://127.0.0.1:9"}
LLM = {"LLM_BASE_URL": "http://127.0.0.1:9/v1", "LLM_MODEL": "small"}


def test_open_analyzers_with_an_ai_service_uses_it_for_everything():
    with closing(open_analyzers(load(REMOTE))) as pool:
        assert isinstance(pool.default, RemoteAnalyzer)
        with pool.lend(force_llm=True) as analyzer:
            assert isinstance(analyzer, RemoteAnalyzer)
            assert analyzer is not pool.default


def test_open_analyzers_with_an_llm_uses_it_for_force_llm():
    with (
        closing(open_analyzers(load(REMOTE | LLM))) as pool,
        pool.lend(force_llm=True) as analyzer,
    ):
        assert isinstance(analyzer, LLMAnalyzer)
        assert analyzer.model_name == "small"


def test_open_analyzers_by_default_has_the_local_model_and_no_llm():
    with closing(open_analyzers(load({"DEVICE": "cpu"}))) as pool:
        assert pool.default.source == "model"
        assert pool.default.is_ready()
        with pytest.raises(NotConfigured), pool.lend(force_llm=True):
            pass


def test_open_model_missing_folder_raises_artifact_error(tmp_path):
    with pytest.raises(ArtifactError, match="MODEL_DIR"):
        open_model(load({}), tmp_path)
