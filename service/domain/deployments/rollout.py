"""Rollout: makes this process serve, and shadow with, the models that were deployed last.

It loads and verifies a candidate while the current model serves, then exchanges the two.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from db.queries import deployments
from db.tables import Deployment, DeploymentKind
from service.config.settings import Config
from service.domain.deployments.shadow import Shadow
from service.domain.transactions import Transactions
from service.errors import ArtifactError, DatabaseUnavailable, RiskscanError
from service.nlp.analyzers.base import Analyzer
from service.nlp.analyzers.factory import open_model
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.artifacts.registry import Registry, manifest_sha256
from service.nlp.inference.default_model import default_folder
from service.nlp.observer import NULL_OBSERVER, Observer
from service.observability.logging import fields

# Interval between attempts: the candidate's folder may still be on its way to this machine.
RETRY_S = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Target:
    """A model; `manifest_sha256` is None unless a deployment recorded it."""

    model: str
    manifest_sha256: str | None


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: str
    manifest_sha256: str
    analyzer: Analyzer

    def matches(self, target: _Target) -> bool:
        return self.model == target.model and target.manifest_sha256 in {None, self.manifest_sha256}


class Rollout:
    """Follows the deployments; the current model continues to serve while the database is unavailable."""

    def __init__(
        self,
        config: Config,
        transactions: Transactions,
        analyzers: Callable[[], AnalyzerPool],
        registry: Registry,
        shadow: Shadow,
        *,
        observer: Observer = NULL_OBSERVER,
    ) -> None:
        """`analyzers` returns the pool of this process; `start` is the first to call it.

        `observer` receives the events of every model that serves, not those of a shadow.
        """
        self.faults: dict[str, str] = {}  # by model: why this process could not load it
        self._config = config
        self._transactions = transactions
        self._analyzers = analyzers
        self._registry = registry
        self._shadow = shadow
        self._observer = observer
        self._activated: _Loaded | None = None
        self._previous: _Loaded | None = None
        self._shadowing: _Loaded | None = None
        self._seen_n: int | None = None
        self._retry_at_s: float | None = None
        self._follow_lock = threading.Lock()
        self._wake_up = threading.Event()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    @property
    def serving(self) -> str:
        """The name/version of the model that this process serves now, "" before `start`."""
        return "" if self._thread is None else self._serving.model

    @property
    def shadowing(self) -> str | None:
        """The name/version of the model that this process shadows with now."""
        return None if self._shadowing is None else self._shadowing.model

    def start(self) -> None:
        """Load the deployed models now, then poll every MODEL_POLL_S seconds."""
        self._follow_or_log()
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Poll at once: this process has just stored a deployment."""
        self._wake_up.set()

    def close(self) -> None:
        """End the thread, after it has loaded the current candidate."""
        self._is_closing = True
        self._wake_up.set()
        if self._thread is not None:
            self._thread.join()

    def follow(self) -> None:
        """Load the models of the newest deployments, unless they are in use already.

        If a candidate cannot be loaded, the current model continues to serve; `faults` has the reason.
        """
        with self._follow_lock:
            try:
                desired = self._changed_deployments()
            except DatabaseUnavailable:
                return
            if desired is None:
                return
            self.faults, self._retry_at_s = {}, None
            self._follow_serving(desired.serving)
            self._follow_shadow(desired.shadow)
            if self.faults:
                self._retry_at_s = time.monotonic() + RETRY_S
            self._seen_n = desired.n

    @cached_property
    def _default(self) -> _Loaded:
        """The default model, which serves until another one is activated."""
        analyzer = self._analyzers().default
        return _Loaded(
            _model_name(analyzer), manifest_sha256(default_folder(self._config)), analyzer
        )

    @property
    def _serving(self) -> _Loaded:
        return self._activated or self._default

    def _changed_deployments(self) -> deployments.DesiredState | None:
        n = self._transactions.read(deployments.newest_n)
        is_due = self._retry_at_s is not None and time.monotonic() >= self._retry_at_s
        if n == self._seen_n and not is_due:
            return None
        return self._transactions.read(deployments.desired_state)

    def _follow_serving(self, newest: Deployment | None) -> None:
        target = _Target(self._default.model, self._default.manifest_sha256)
        if newest is not None and newest.to_model is not None:
            target = _Target(newest.to_model, newest.manifest_sha256)
        if self._serving.matches(target):
            return
        candidate = self._attempt(
            target,
            lambda: self._previous_if(target) or self._load(target, observer=self._observer),
        )
        if candidate is None:
            return
        self._analyzers().exchange(candidate.analyzer)
        self._previous, self._activated = self._serving, candidate
        _log.warning(
            "model taken over",
            extra=fields(serving=candidate.model, previous=self._previous.model),
        )

    def _previous_if(self, target: _Target) -> _Loaded | None:
        """Return the previous model, which stays loaded, if it is the target."""
        return self._previous if self._previous and self._previous.matches(target) else None

    def _follow_shadow(self, newest: Deployment | None) -> None:
        target = None
        if (
            newest is not None
            and newest.kind == DeploymentKind.SHADOW
            and newest.to_model is not None
        ):
            target = _Target(newest.to_model, newest.manifest_sha256)
        if newest is None or target is None or self._serving.matches(target):
            self._shadowing = None
            self._shadow.use(None)
            return
        if self._shadowing is None or not self._shadowing.matches(target):
            self._shadowing = self._attempt(target, lambda: self._load(target, n_threads=1))
        analyzer = None if self._shadowing is None else self._shadowing.analyzer
        self._shadow.use(analyzer, share=newest.share or 0.0)

    def _load(
        self, target: _Target, *, n_threads: int | None = None, observer: Observer = NULL_OBSERVER
    ) -> _Loaded:
        folder = self._registry.verified(target.model).path
        sha256 = manifest_sha256(folder)
        if target.manifest_sha256 not in {None, sha256}:
            raise ArtifactError(
                f"{folder} holds another {target.model} than the one that was deployed; "
                "copy the deployed one here."
            )
        analyzer = open_model(self._config, folder, n_threads=n_threads, observer=observer)
        return _Loaded(target.model, sha256, analyzer)

    def _attempt(self, target: _Target, load: Callable[[], _Loaded]) -> _Loaded | None:
        try:
            return load()
        except RiskscanError as error:
            fault = error.message
        except Exception as error:  # noqa: BLE001 - a runtime may raise anything on a faulty file
            fault = f"The model cannot be opened on this machine ({type(error).__name__})."
        self.faults[target.model] = fault
        _log.error(
            "model NOT taken over; %s continues to serve",
            self._serving.model,
            extra=fields(model=target.model, serving=self._serving.model, fault=fault),
        )
        return None

    def _run(self) -> None:
        while not self._is_closing:
            self._wake_up.wait(self._config.model_poll_s)
            self._wake_up.clear()
            if not self._is_closing:
                self._follow_or_log()

    def _follow_or_log(self) -> None:
        try:
            self.follow()
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must survive any error
            _log.error("the deployments could not be followed", exc_info=error)


def _model_name(analyzer: Analyzer) -> str:
    return f"{analyzer.model_name}/{analyzer.model_version}"
