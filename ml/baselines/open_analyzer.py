"""Open the analyzer that the command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ml.baselines.open_baseline import BASELINES, open_baseline
from ml.corpus.dataset import Example, load_taxonomy
from ml.settings import load as load_settings
from service.config.settings import Config
from service.errors import ConfigError
from service.nlp.analyzers.base import Analyzer
from service.nlp.analyzers.factory import open_llm
from service.nlp.analyzers.llm import LLMAnalyzer
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.analyzers.remote import RemoteAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.taxonomy import Taxonomy


def open_analyzer(spec: str, *, config: Config, train: Path, unseen: Sequence[Example]) -> Analyzer:
    """Open what `spec` names: an artifact's folder, a URL, `llm`, or a baseline by its name.

    A baseline learns from the training split of the configuration file `train`, without its overlap with
    `unseen`.

    Raises:
        ConfigError: `spec` names nothing that exists, or the settings it needs are missing.
        ArtifactError: the folder's model is damaged.
    """
    if spec.startswith(("http://", "https://")):
        return RemoteAnalyzer(
            spec, taxonomy=taxonomy_of(spec, train), token=config.ai_service_token
        )
    if spec == "llm":
        return _llm(config, taxonomy_of(spec, train))
    if spec in BASELINES:
        return open_baseline(spec, load_settings(train), unseen=unseen)
    if not Path(spec).is_dir():
        raise ConfigError(
            f"--analyzer {spec} is neither an artifact's folder, nor an http:// address, nor one of "
            f"{', '.join(['llm', *BASELINES])}."
        )
    return LocalAnalyzer.open(Path(spec), device=config.device, n_threads=config.inference_threads)


def taxonomy_of(spec: str, train: Path) -> Taxonomy:
    """Return the taxonomy of an artifact's folder; for anything else that of the configuration `train`.

    Raises:
        ConfigError: `train` cannot be read.
        ArtifactError: the folder's model is damaged, or the taxonomy that `train` names is.
    """
    if Path(spec).is_dir():
        return artifacts.load(Path(spec)).taxonomy
    return load_taxonomy(load_settings(train).data)


def _llm(config: Config, taxonomy: Taxonomy) -> LLMAnalyzer:
    if not config.llm_base_url:
        raise ConfigError("--analyzer llm needs LLM_BASE_URL and LLM_MODEL in the environment.")
    if config.llm == "off":
        raise ConfigError("--analyzer llm sends sentences to an LLM, which LLM=off forbids.")
    return open_llm(config, taxonomy)
