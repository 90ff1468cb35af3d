"""The pool of analyzers: lends one to each request, and can replace the default while requests run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from service.errors import NotConfigured
from service.nlp.analyzers.base import Analyzer
from service.nlp.taxonomy import Taxonomy

OpenLLM = Callable[[Taxonomy], Analyzer]
"""Opens the analyzer for `force_llm` with the taxonomy of the serving model."""


class _Entry:
    """An analyzer of the pool, and the number of requests that use it."""

    def __init__(self, analyzer: Analyzer) -> None:
        self.analyzer = analyzer
        self.n_users = 0
        self.is_retired = False  # closes after its last request


class AnalyzerPool:
    """The default analyzer and, if configured, the one for `force_llm`. Thread-safe.

    `exchange` replaces the default at any time; a request keeps the analyzer that it borrowed. The previous
    default stays open, so a rollback loads nothing. Any older one closes after its last request. If the
    taxonomy changes with the default, the LLM is opened again with the new one.
    """

    def __init__(self, default: Analyzer, open_llm: OpenLLM | None = None) -> None:
        self._serving = _Entry(default)
        self._previous: _Entry | None = None
        self._open_llm = open_llm
        self._llm = None if open_llm is None else _Entry(open_llm(default.taxonomy))
        self._lock = threading.Lock()

    @property
    def default(self) -> Analyzer:
        """The current default analyzer; to use it, borrow it with `lend`."""
        return self._serving.analyzer

    @property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy of the current default analyzer."""
        return self.default.taxonomy

    def require_llm(self) -> None:
        """Raise NotConfigured if no LLM is configured."""
        with self._lock:
            self._entry(force_llm=True)

    @contextlib.contextmanager
    def lend(self, *, force_llm: bool = False) -> Iterator[Analyzer]:
        """Yield the analyzer for one request; it stays open until the block ends.

        Raises:
            NotConfigured: `force_llm` is set and no LLM is configured.
        """
        with self._lock:
            entry = self._entry(force_llm=force_llm)
            entry.n_users += 1
        try:
            yield entry.analyzer
        finally:
            with self._lock:
                entry.n_users -= 1
                is_unused = entry.is_retired and entry.n_users == 0
            if is_unused:
                entry.analyzer.close()

    def exchange(self, analyzer: Analyzer) -> None:
        """Make `analyzer` the default; it may be a new one or the previous default."""
        llm = self._llm
        if self._open_llm is not None and analyzer.taxonomy != self.taxonomy:
            llm = _Entry(self._open_llm(analyzer.taxonomy))
        with self._lock:
            replaced = [None if llm is self._llm else self._llm]
            self._llm = llm
            before, older = self._serving, self._previous
            if older is not None and older.analyzer is analyzer:
                self._serving, self._previous = older, before
            else:
                self._serving, self._previous = _Entry(analyzer), before
                replaced.append(older)
            retired = [entry for entry in replaced if entry is not None]
            for entry in retired:
                entry.is_retired = True
            idle = [entry for entry in retired if entry.n_users == 0]
        for entry in idle:
            entry.analyzer.close()

    def close(self) -> None:
        """Close every analyzer; requests in progress get ShuttingDown."""
        for entry in (self._serving, self._previous, self._llm):
            if entry is not None:
                entry.analyzer.close()

    def _entry(self, *, force_llm: bool) -> _Entry:
        if not force_llm:
            return self._serving
        if self._llm is None:
            raise NotConfigured(
                "force_llm needs an LLM and none is configured, or LLM=off: the operator sets LLM_BASE_URL "
                "and LLM_MODEL. Without force_llm the model in this process answers."
            )
        return self._llm
