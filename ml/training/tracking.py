"""Progress and measurements of a training: JSON, curves as SVG and PNG, and optionally MLflow."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ml.json_file import write_json


class Progress:
    """A progress line on stderr: seed, steps done, mean of the last 50 losses, minutes left."""

    def __init__(self, seed: int, n_steps: int, *, begin: int = 0) -> None:
        self._seed = seed
        self._n_steps = n_steps
        self._begin = begin
        self._began_s = time.monotonic()

    def show(self, step: int, losses: list[float]) -> None:
        """Redraw the line at every tenth step and the last; `step` counts from 1."""
        if step % 10 and step != self._n_steps:
            return
        passed_s = time.monotonic() - self._began_s
        left_s = passed_s / max(1, step - self._begin) * (self._n_steps - step)
        bar = "#" * (30 * step // self._n_steps)
        sys.stderr.write(
            f"\rseed {self._seed} [{bar:<30}] {step}/{self._n_steps} "
            f"loss {np.mean(losses[-50:]):.3f} {left_s / 60:.1f} min left "
        )
        sys.stderr.flush()


class Tracker:
    """The measurements of one seed's training, in <run>/seed-<s>.json, curves beside it.

    If MLFLOW_TRACKING_URI is set, the same numbers go to a run of MLflow's experiment `riskscan`.
    """

    def __init__(self, run: Path, seed: int, settings: Mapping[str, Any]) -> None:
        self._run = run
        self._seed = seed
        self._values: dict[str, Any] = {"settings": settings, "steps": [], "checkpoints": []}
        path = run / f"seed-{seed}.json"
        if path.is_file():  # a resumed training
            earlier = json.loads(path.read_text(encoding="utf-8"))
            self._values |= {k: earlier[k] for k in ("steps", "checkpoints")}
        self._mlflow = _mlflow_run(run.name, seed, settings)

    def step(self, n: int, **figures: float) -> None:
        """Record figures at step `n`; figures recorded at or after `n` before a kill are dropped."""
        self._record("steps", n, figures)

    def checkpoint(self, n: int, **figures: float) -> None:
        """Record figures of a checkpoint after step `n`, and write file and curves."""
        self._record("checkpoints", n, figures)
        write_json(self._run / f"seed-{self._seed}.json", self._values)
        draw_curves(self._run, self._seed, self._values)

    def close(self) -> None:
        """End the MLflow run, if there is one."""
        if self._mlflow is not None:
            self._mlflow.end_run()

    def _record(self, kind: str, n: int, figures: Mapping[str, float]) -> None:
        earlier = [row for row in self._values[kind] if row["step"] < n]
        self._values[kind] = [*earlier, {"step": n, **figures}]
        if self._mlflow is not None:
            self._mlflow.log_metrics(dict(figures), step=n)


def draw_curves(run: Path, seed: int, values: Mapping[str, Any]) -> None:
    """Write <run>/seed-<s>.svg and .png: losses of training and dev over the steps."""
    import matplotlib as mpl  # noqa: PLC0415 - takes a second

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after choosing the backend

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for kind, key, style in (("steps", "loss", "-"), ("checkpoints", "dev_loss", "o-")):
        rows = [row for row in values[kind] if key in row]
        axes.plot([r["step"] for r in rows], [r[key] for r in rows], style, label=key)
    axes.set(xlabel="step", ylabel="binary cross-entropy, summed over types")
    axes.legend()
    for kind in ("svg", "png"):
        figure.savefig(run / f"seed-{seed}.{kind}")
    plt.close(figure)


def _mlflow_run(name: str, seed: int, settings: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an optional library
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return None
    import mlflow  # noqa: PLC0415 - optional, and slow to import

    mlflow.set_experiment("riskscan")
    mlflow.start_run(run_name=f"{name}-seed-{seed}")
    mlflow.log_params(dict(settings))
    return mlflow
