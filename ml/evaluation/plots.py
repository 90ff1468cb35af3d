"""Drawings of an evaluation as SVG; the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.evaluation.metrics import (
    LEVELS,
    at_level,
    level_scores,
    precision_recall_curve,
)
from ml.evaluation.predictions import Predictions
from service.nlp.taxonomy import Taxonomy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SETTINGS: dict[Any, Any] = {  # matplotlib types the keys one by one
    "svg.hashsalt": "riskscan",  # ids of the drawing's parts are random without it
    "svg.fonttype": "none",  # text stays text
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def write_plots(folder: Path, figures: Mapping[str, Any], predictions: Predictions) -> list[Path]:
    """Write reliability, precision-recall, confusion and slices as .svg; return their paths.

    The first two are skipped without probabilities.
    """
    drawings: dict[str, Callable[[], Figure]] = {
        "confusion.svg": lambda: _confusion(figures["confusion"], predictions.taxonomy),
        "slices.svg": lambda: _slices(figures["slices"]),
    }
    if predictions.scores is not None:
        drawings["reliability.svg"] = lambda: _reliability(figures["calibration"])
        drawings["precision-recall.svg"] = lambda: _precision_recall(predictions, figures)
    return [_save(folder / name, draw) for name, draw in sorted(drawings.items())]


def _save(path: Path, draw: Callable[[], Figure]) -> Path:
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only drawing needs it

    with mpl.rc_context(_SETTINGS):
        draw().savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return path


def _figure(columns: int, *, width: float, height: float) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - as in _save
    from matplotlib.figure import Figure  # noqa: PLC0415 - pyplot would keep every figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(np.atleast_1d(figure.subplots(1, columns)))


def _reliability(calibration: Mapping[str, Any]) -> Figure:
    figure, axes = _figure(2, width=8, height=4)
    kinds = (("risk", "sentence states a risk"), ("pair", "sentence states the type, from 0.05"))
    for axis, (kind, title) in zip(axes, kinds, strict=True):
        bins = calibration[f"{kind}_bins"]
        x, share = [b["score"] for b in bins], [b["share"] for b in bins]
        axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
        axis.plot(x, share, marker="o")
        for b in bins:
            axis.annotate(str(b["pairs"]), (b["score"], b["share"]), fontsize=7, xytext=(4, -8),
                          textcoords="offset points")  # fmt: skip
        axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean score", ylabel="share that is true")
        axis.set_title(f"{title}: error {calibration[f'{kind}_error']:.3f}")
    return figure


def _precision_recall(predictions: Predictions, figures: Mapping[str, Any]) -> Figure:
    figure, (axis,) = _figure(1, width=5, height=4)
    if predictions.scores is None:
        raise TypeError("a curve needs scores")
    taxonomy = predictions.taxonomy
    for level in LEVELS:
        score = level_scores(predictions.scores, level, taxonomy=taxonomy)
        true = at_level(predictions.y > 0, level, taxonomy=taxonomy)
        precision, recall = precision_recall_curve(score.ravel(), true.ravel())
        area = figures["ranking"][f"{level}_average_precision"]["value"]
        axis.step(recall, precision, where="pre", label=f"{level}, area {area:.3f}")
    for name, m in figures["sensitivities"].items():
        at = (m["risk_recall"]["value"], m["risk_precision"]["value"])
        axis.plot(*at, marker="o", color="black", markersize=4)
        axis.annotate(name, at, xytext=(5, 3), textcoords="offset points")
    axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axis.legend(loc="lower left")
    return figure


def _confusion(confusion: Mapping[str, Any], taxonomy: Taxonomy) -> Figure:
    counts = np.array(confusion["counts"], np.float64)
    titles = [taxonomy.category_titles.get(key, key) for key in confusion["labels"]]
    figure, (axis,) = _figure(1, width=7, height=6)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(titles)), titles, rotation=60, ha="right")
    axis.set_yticks(range(len(titles)), titles)
    axis.set(xlabel="predicted", ylabel="true")
    for (row, column), n in np.ndenumerate(counts):
        if n:
            dark = shares[row, column] > 0.5
            axis.text(column, row, f"{n:.0f}", ha="center", va="center", fontsize=7,
                      color="white" if dark else "black")  # fmt: skip
    return figure


def _slices(slices: Mapping[str, Mapping[str, Any]]) -> Figure:
    height = 1.2 + 0.28 * max(len(parts) for parts in slices.values())
    figure, axes = _figure(len(slices), width=4.5 * len(slices), height=height)
    for axis, (kind, parts) in zip(axes, slices.items(), strict=True):
        names = [name for name, part in parts.items() if part["with_risk"]][::-1]
        for offset, level in ((0.15, "risk"), (-0.15, "category")):
            _bars(axis, [parts[n][f"{level}_f1"] for n in names], offset, level)
        labels = [f"{n} ({parts[n]['sentences']})" for n in names]
        axis.set_yticks(range(len(names)), labels)
        axis.set(xlim=(0, 1), xlabel="F1, 95 % interval", title=f"by {kind}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _bars(axis: Axes, measures: Sequence[Mapping[str, Any]], offset: float, label: str) -> None:
    value = np.array([m["value"] for m in measures])
    low, high = (
        np.array([m["value"] if m[key] is None else m[key] for m in measures])
        for key in ("low", "high")
    )
    reach = np.maximum([value - low, high - value], 0)
    axis.errorbar(value, np.arange(len(value)) + offset, xerr=reach, fmt="o", markersize=3,
                  linewidth=1, label=label)  # fmt: skip
