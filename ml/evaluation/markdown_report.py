"""An evaluation as Markdown, for evaluation.md and the model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.evaluation import quantization_loss
from ml.evaluation.markdown_table import interval, markdown_table
from ml.evaluation.paired_comparison import Difference, verdict
from ml.evaluation.plain_report import plain_sentences

Figures = Mapping[str, Any]

_F1 = {
    "risk_f1": "risk or no risk, F1",
    "category_f1": "category, micro-F1",
    "category_macro_f1": "category, macro-F1",
    "category_common_macro_f1": "macro-F1 of the categories with 5 sentences or more",
    "type_f1": "risk type, micro-F1",
    "type_macro_f1": "risk type, macro-F1",
    "mean_f1": "mean of the three micro-F1",
}
_RANKING = {
    "risk_average_precision": "risk or no risk, average precision",
    "category_average_precision": "category, average precision",
    "type_average_precision": "risk type, average precision",
    "risk_precision_at_recall_80": "precision where 80 % of the risks are found",
    "risk_precision_at_recall_90": "precision where 90 % of the risks are found",
}
_BASELINES = {
    "tfidf": "TF-IDF and logistic regression",
    "knn": "nearest neighbours",
    "keywords": "keyword rules",
}

_UNMEASURED = "No baselines were measured; `ml evaluate CONFIG --baselines` measures them."


def report(evaluation: Figures) -> str:
    """Return evaluation.md."""
    first = next(iter(evaluation["sensitivities"]))
    parts = [
        f"# {evaluation['analyzer']}",
        _about(evaluation),
        quality(evaluation),
        operating_points(evaluation),
        ranking(evaluation),
        calibration(evaluation),
        *_section("By set, nested", sets(evaluation)),
        *_section("Plain sentences", plain_sentences(evaluation.get("plain", {}))),
        *_section("Against the baselines", verdicts(evaluation)),
        *_section(f"By risk type ({first})", risk_types(evaluation)),
        *_section(f"By part of the data ({first})", slices(evaluation)),
        *_section("Invariance", invariance(evaluation)),
        latency(evaluation),
        float32(evaluation),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(evaluation: Figures) -> str:
    data = evaluation["data"]
    text = (
        f"{data['sentences']} sentences, {data['with_risk']} with a risk, {data['documents']} documents. "
        "Brackets: 95 % interval, bootstrap over documents."
    )
    if evaluation["nested"] is None:
        return text
    return (
        f"{text} Nested: each document's temperature,\nbias and thresholds were fitted on other documents, "
        "the mean of five random splits; so were those of baselines that have any."
    )


def _section(title: str, text: str) -> list[str]:
    return [f"## {title}", text] if text else []


def quality(evaluation: Figures) -> str:
    """Return F1 of the model, as it is and nested, and of each baseline."""
    baselines = _baselines(evaluation)
    first = next(iter(evaluation["sensitivities"]))
    columns = {
        f"as it is, {first}": evaluation["sensitivities"][first],
        "nested": evaluation["nested"],
        **({"each sentence alone": evaluation["alone"]} if "alone" in evaluation else {}),
        **{_BASELINES[name]: unbiased(b) for name, b in baselines.items()},
    }
    blocks = columns.values()
    return markdown_table(
        ["", *columns],
        [[title, *(interval(b and b[key]) for b in blocks)] for key, title in _F1.items()],
    )


def unbiased(figures: Figures) -> Mapping[str, Any]:
    """Return F1 with thresholds chosen on other documents; F1 as it is without thresholds."""
    f1: Mapping[str, Any] = figures["nested"] or next(iter(figures["sensitivities"].values()))
    return f1


def operating_points(evaluation: Figures) -> str:
    """Return precision, recall and F1 of each operating point."""
    thresholds = evaluation.get("risk_thresholds") or {}
    return markdown_table(
        [
            "sensitivity",
            "risk threshold",
            "precision",
            "recall",
            "risk F1",
            "category F1",
            "type F1",
        ],
        [
            [
                name,
                f"{thresholds[name]:.3f}" if name in thresholds else "",
                *(interval(m[key]) for key in ("risk_precision", "risk_recall")),
                *(f"{m[key]['value']:.3f}" for key in ("risk_f1", "category_f1", "type_f1")),
            ]
            for name, m in evaluation["sensitivities"].items()
        ],
    )


def ranking(evaluation: Figures) -> str:
    """Return the ranking metrics, of the model and of the baselines that give scores."""
    if evaluation["ranking"] is None:
        return ""
    scored = {n: b for n, b in _baselines(evaluation).items() if b["ranking"]}
    blocks = [evaluation["ranking"], *(b["ranking"] for b in scored.values())]
    return markdown_table(
        ["", "model", *(_BASELINES[name] for name in scored)],
        [[title, *(interval(b[key]) for b in blocks)] for key, title in _RANKING.items()],
    )


def calibration(evaluation: Figures) -> str:
    """Return the calibration errors in words."""
    errors = evaluation["calibration"]
    if errors is None:
        return ""
    return (
        f"Expected calibration error: {errors['risk_error']:.3f} of the risk score, "
        f"{errors['pair_error']:.3f} of the types scored at least 0.05."
    )


def sets(evaluation: Figures) -> str:
    """Return the nested figures of all sentences and of each file, one column each."""
    blocks = evaluation["sets"]
    if not blocks:
        return ""
    counts = [
        [title, *(str(b["data"][key]) for b in blocks.values())]
        for key, title in (("sentences", "sentences"), ("with_risk", "with a risk"))
    ]
    quality = [
        [title, *(interval(b["nested"][key]) for b in blocks.values())]
        for key, title in _F1.items()
    ]
    promises = [
        [
            f"{figure} at the point {point}, and points above the promise",
            *(_promise(b["promises"][point], f"risk_{figure}") for b in blocks.values()),
        ]
        for point, figure in (("recall", "recall"), ("precision", "precision"))
    ]
    errors = [
        [
            f"calibration error of the {title}",
            *(f"{b['calibration'][key]:.3f}" for b in blocks.values()),
        ]
        for key, title in (
            ("risk_error", "risk score"),
            ("pair_error", "types scored 0.05 or more"),
        )
    ]
    return markdown_table(["", *blocks], [*counts, *quality, *promises, *errors])


def _promise(point: Figures, key: str) -> str:
    return f"{interval(point[key])}, {100 * point['off']:+.1f}"


def _baselines(evaluation: Figures) -> Figures:
    """Return the figures of each baseline by its name; none if they were not measured."""
    measured: Figures | None = evaluation.get("baselines")
    return measured or {}


def verdicts(evaluation: Figures) -> str:
    """Return a line per baseline: whether the model is better."""
    if evaluation.get("baselines", {}) is None:
        return _UNMEASURED
    sentences = [
        verdict(Difference(**b["difference"]), "the model", _BASELINES[name])
        for name, b in _baselines(evaluation).items()
    ]
    return "\n".join(f"- {one[0].upper()}{one[1:]}" for one in sentences)


def risk_types(evaluation: Figures) -> str:
    """Return F1 of each risk type that occurs, and the names of the others."""
    note = "F1 of a type with fewer than ten sentences is unreliable."
    types = evaluation["risk_types"]
    table = markdown_table(
        ["risk type", "sentences", "F1"],
        [[r, str(t["sentences"]), f"{t['f1']:.2f}"] for r, t in types.items() if t["sentences"]],
    )
    absent = [r for r, t in types.items() if not t["sentences"]]
    if absent:
        note += f" Not among these sentences: {', '.join(absent)}."
    return f"{table}\n\n{note}"


def slices(evaluation: Figures) -> str:
    """Return F1 by domain, by kind of document and by number of words."""
    lines = [
        [
            f"{name} words" if kind == "length" else name,
            *(str(part[key]) for key in ("sentences", "documents", "with_risk", "found")),
            *(interval(part[f"{level}_f1"]) for level in ("risk", "category", "type")),
        ]
        for kind, parts in evaluation["slices"].items()
        for name, part in parts.items()
    ]
    counts = ["sentences", "documents", "with risk", "found"]
    return markdown_table(["", *counts, "risk F1", "category F1", "type F1"], lines)


def invariance(evaluation: Figures) -> str:
    """Return the share of decisions that each harmless change flips."""
    effects = evaluation.get("invariance", {})
    lines = [
        [
            name,
            str(part["sentences"]),
            *(f"{100 * part[key]:.1f} %" for key in ("risk_changed", "types_changed")),
            "" if part["score_change"] is None else f"{part['score_change']:.3f}",
        ]
        for name, part in effects.items()
    ]
    head = [
        "change",
        "sentences",
        "risk or none flips",
        "types flip",
        "mean change of the risk score",
    ]
    return markdown_table(head, lines) if lines else ""


def latency(evaluation: Figures) -> str:
    """Return latency and throughput in words."""
    times = evaluation.get("latency")
    if not times:
        return ""
    return (
        f"One sentence took {times['single_p50_ms']:.1f} ms (median) and {times['single_p95_ms']:.1f} ms "
        f"(95th percentile);\nall together ran at {times['sentences_per_s']:.0f} sentences a second. "
        f"Measured on {times['machine']},\nwith a load average of {times['load']:.1f}."
    )


def float32(evaluation: Figures) -> str:
    """Return the effect of rounding in words, if the float32 weights were available."""
    points = evaluation.get("float32_difference_points")
    return quantization_loss.sentence(points) if points else ""
