"""The model card: README.md of the artifact, its numbers taken from the evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ml import fidelity

_ROWS = {
    "risk_f1": "risk or no risk, F1",
    "category_f1": "category, micro-F1",
    "category_macro_f1": "category, macro-F1",
    "type_f1": "risk type, micro-F1",
}

_TEMPLATE = Path(__file__).parent / "card.md"


def comparison_table(evaluation: dict[str, Any]) -> str:
    """Return a Markdown table of model and baseline, with intervals, and what rounding changed."""
    lines = ["| | chosen here | cross-fitted | baseline, cross-fitted |", "|---|---|---|---|"]
    model, baseline = evaluation["model"], evaluation["baseline"]
    for key, title in _ROWS.items():
        blocks = (model["at_threshold"], model["cross_fitted"], baseline["cross_fitted"])
        lines.append(f"| {title} | " + " | ".join(_interval(b[key]) for b in blocks) + " |")
    for key, title in (
        ("risk_average_precision", "risk or no risk, average precision"),
        ("calibration_error", "expected calibration error of scores from 0.05"),
    ):
        lines.append(f"| {title} | {model[key]:.3f} | | {baseline[key]:.3f} |")
    if points := evaluation["float32_difference_points"]:
        lines += ["", fidelity.sentence(points)]
    return "\n".join(lines)


def _interval(m: dict[str, float]) -> str:
    return f"{m['value']:.3f} [{m['low']:.3f}, {m['high']:.3f}]"


def write_card(
    folder: Path, fields: dict[str, Any], evaluation: dict[str, Any], data: dict[str, Any]
) -> None:
    """Write README.md of the artifact from its manifest fields, its evaluation and its data's summary."""
    split, train = evaluation["split"], data["train"]
    text = _TEMPLATE.read_text(encoding="utf-8").format(
        name=fields["name"],
        version=fields["version"],
        n_labels=len(fields["labels"]),
        base=fields["base_model"]["name"],
        base_license=fields["base_model"]["license"],
        bits=fields["weight_bits"],
        max_length=fields["max_length_tokens"],
        sentences=split["sentences"],
        documents=split["documents"],
        threshold=fields["thresholds"][fields["labels"][0]],
        temperature=fields["temperature"],
        table=comparison_table(evaluation),
        types=_types(evaluation["risk_types"]),
        train_sentences=f"{train['sentences']:,}",
        train_risk=f"{train['with_risk']:,}",
        n_refine=data["refine"]["sentences"],
        n_composed=f"{train['licenses'].get('CC0', 0):,}",
        licenses=", ".join(f"{name} {n:,}" for name, n in train["licenses"].items()),
        fingerprint=data["fingerprint"],
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _types(types: dict[str, dict[str, float]]) -> str:
    lines = ["| risk type | sentences | F1 |", "|---|---|---|"]
    lines += [
        f"| {r} | {t['sentences']} | {t['f1']:.2f} |" for r, t in types.items() if t["sentences"]
    ]
    absent = [r for r, t in types.items() if not t["sentences"]]
    if absent:
        lines.append(f"\nNot among these sentences: {', '.join(absent)}.")
    return "\n".join(lines)
