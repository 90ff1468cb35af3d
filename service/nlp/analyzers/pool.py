"""The pool of analyzers: lends one to each request, and exchanges the default while requests run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from service.errors import NotConfigured
from service.nlp.analyzers.base import Analyzer


class _Loan:
    """An analyzer, how many requests use it, and whether it closes with the last of them."""

    def __init__(self, analyzer: Analyzer) -> None:
        self.analyzer = analyzer
        self.n_users = 0
        self.is_retired = False


class AnalyzerPool:
    """The default analyzer and, where configured, the one that `force_llm` asks for.

    The default can be exchanged at any time. Who has borrowed one keeps it to the end; the one that
    served before stays open, so that a rollback needs no loading; any older one closes when its last
    request has ended.
    """

    def __init__(self, default: Analyzer, llm: Analyzer | None = None) -> None:
        self._serving = _Loan(default)
        self._previous: _Loan | None = None
        self._llm = None if llm is None else _Loan(llm)
        self._lock = threading.Lock()

    @property
    def default(self) -> Analyzer:
        """The analyzer that serves now; borrow it with `lend` to use it."""
        return self._serving.analyzer

    @contextlib.contextmanager
    def lend(self, *, force_llm: bool = False) -> Iterator[Analyzer]:
        """Yield the analyzer for a request; it is neither closed nor replaced before the block ends.

        Raises:
            NotConfigured: `force_llm`, and no LLM is configured.
        """
        with self._lock:
            loan = self._chosen(force_llm=force_llm)
            loan.n_users += 1
        try:
            yield loan.analyzer
        finally:
            with self._lock:
                loan.n_users -= 1
                is_over = loan.is_retired and loan.n_users == 0
            if is_over:
                loan.analyzer.close()

    def exchange(self, analyzer: Analyzer) -> None:
        """Serve requests from now on with `analyzer`: a new one, or the previous one again."""
        with self._lock:
            before, older = self._serving, self._previous
            if older is not None and older.analyzer is analyzer:
                self._serving, self._previous = older, before
                return
            self._serving, self._previous = _Loan(analyzer), before
            if older is None:
                return
            older.is_retired = True
            is_idle = older.n_users == 0
        if is_idle:
            older.analyzer.close()

    def close(self) -> None:
        """Close all; who still waits for one gets ShuttingDown."""
        for loan in (self._serving, self._previous, self._llm):
            if loan is not None:
                loan.analyzer.close()

    def _chosen(self, *, force_llm: bool) -> _Loan:
        if not force_llm:
            return self._serving
        if self._llm is None:
            raise NotConfigured(
                "force_llm needs an LLM and none is configured: the operator sets LLM_BASE_URL and "
                "LLM_MODEL. Without force_llm the model in this process answers."
            )
        return self._llm
