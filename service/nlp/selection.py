"""Which analyzer answers: opened once per process from the settings, chosen per request."""

from __future__ import annotations

from service.config import Config
from service.errors import AnalyzerUnavailable
from service.nlp.analyzer import Analyzer
from service.nlp.llm import LLMAnalyzer
from service.nlp.local import LocalAnalyzer
from service.nlp.remote import RemoteAnalyzer


class Analyzers:
    """The default analyzer and, where configured, the one that `force_llm` asks for."""

    def __init__(self, default: Analyzer, llm: Analyzer | None = None) -> None:
        self.default = default
        self._llm = llm

    def choose(self, *, force_llm: bool) -> Analyzer:
        """Return the analyzer for a request.

        Raises:
            AnalyzerUnavailable: `force_llm`, and no LLM is configured.
        """
        if not force_llm:
            return self.default
        if self._llm is None:
            raise AnalyzerUnavailable(
                "force_llm needs an LLM and none is configured: the operator sets LLM_BASE_URL and "
                "LLM_MODEL. Without force_llm the model in this process answers.",
                retry_after_s=3600,
            )
        return self._llm

    def close(self) -> None:
        """Close both."""
        self.default.close()
        if self._llm is not None:
            self._llm.close()


def open_analyzers(config: Config) -> Analyzers:
    """Open the analyzers that the settings name; the local model is loaded and proved here.

    Raises:
        ArtifactError: the model is missing, altered, or does not reproduce its golden scores.
    """
    return Analyzers(_open_default(config), _open_llm(config))


def _open_default(config: Config) -> Analyzer:
    if config.ai_service_url:
        return RemoteAnalyzer(config.ai_service_url, token=config.ai_service_token)
    return LocalAnalyzer.open(
        config.model_dir, device=config.device, n_threads=config.inference_threads
    )


def _open_llm(config: Config) -> Analyzer | None:
    if config.llm_base_url:
        return LLMAnalyzer(
            config.llm_base_url,
            model=config.llm_model,
            api_key=config.llm_api_key,
            request_mode=config.llm_request_mode,
        )
    if config.ai_service_url:
        return RemoteAnalyzer(config.ai_service_url, token=config.ai_service_token, force_llm=True)
    return None
