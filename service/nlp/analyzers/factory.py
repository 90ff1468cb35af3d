"""Opens the analyzers that the settings ask for."""

from __future__ import annotations

from pathlib import Path

from service.config.settings import Config
from service.nlp.analyzers.base import Analyzer
from service.nlp.analyzers.llm import LLMAnalyzer
from service.nlp.analyzers.llm_budget import UNLIMITED, LlmBudget
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.analyzers.pool import AnalyzerPool, OpenLLM
from service.nlp.analyzers.remote import RemoteAnalyzer
from service.nlp.inference.default_model import default_folder
from service.nlp.observer import NULL_OBSERVER, CallObservers, Observer
from service.nlp.taxonomy import Taxonomy, built_in


def open_analyzers(
    config: Config,
    observer: Observer = NULL_OBSERVER,
    *,
    egress: Observer = NULL_OBSERVER,
    budget: LlmBudget = UNLIMITED,
) -> AnalyzerPool:
    """Open the analyzers that the settings ask for; this loads the local model and checks its golden scores.

    `egress` receives the requests to other servers, as `observer` does; `budget` admits those to the LLM.

    Raises:
        ArtifactError: the model is missing or altered, or does not reproduce its golden scores.
    """
    calls = CallObservers(observer, egress)
    opener = _llm_opener(config, calls, budget)
    return AnalyzerPool(_open_default(config, observer, calls), opener)


def open_model(
    config: Config,
    folder: Path,
    *,
    n_threads: int | None = None,
    observer: Observer = NULL_OBSERVER,
) -> LocalAnalyzer:
    """Load the artifact in `folder` and check its golden scores, which also warms the model up.

    `n_threads` CPU threads run it; the default is INFERENCE_THREADS.

    Raises:
        ArtifactError: the artifact is missing or altered, or does not reproduce its golden scores.
    """
    threads = config.inference_threads if n_threads is None else n_threads
    analyzer = LocalAnalyzer.open(
        folder,
        device=config.device,
        n_threads=threads,
        cache_sentences=config.cache_sentences,
        early_exit=config.early_exit == "on",
        observer=observer,
    )
    observer.taxonomy_opened(analyzer.taxonomy.category_keys)
    return analyzer


def open_llm(
    config: Config,
    taxonomy: Taxonomy,
    *,
    budget: LlmBudget = UNLIMITED,
    observer: Observer = NULL_OBSERVER,
) -> LLMAnalyzer:
    """Return the analyzer that asks the LLM at LLM_BASE_URL, and masks what it sends if LLM_MASK says so."""
    return LLMAnalyzer(
        config.llm_base_url,
        taxonomy=taxonomy,
        model=config.llm_model,
        api_key=config.llm_api_key,
        request_mode=config.llm_request_mode,
        masks=config.llm_mask == "on",
        budget=budget,
        observer=observer,
    )


def _open_default(config: Config, observer: Observer, calls: Observer) -> Analyzer:
    if config.ai_service_url:
        taxonomy = built_in()
        observer.taxonomy_opened(taxonomy.category_keys)
        return RemoteAnalyzer(
            config.ai_service_url,
            taxonomy=taxonomy,
            token=config.ai_service_token,
            observer=calls,
        )
    return open_model(config, default_folder(config), observer=observer)


def _llm_opener(config: Config, observer: Observer, budget: LlmBudget) -> OpenLLM | None:
    """Return the function that opens the analyzer for `force_llm`; None if none is configured."""
    if config.llm == "off":
        return None
    if config.llm_base_url:
        return lambda taxonomy: open_llm(config, taxonomy, budget=budget, observer=observer)
    if config.ai_service_url:
        return lambda taxonomy: RemoteAnalyzer(
            config.ai_service_url,
            taxonomy=taxonomy,
            token=config.ai_service_token,
            force_llm=True,
            budget=budget,
            observer=observer,
        )
    return None
