"""The model card: README.md of the artifact, with every number taken from the evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml.evaluation import markdown_report
from ml.evaluation.markdown_table import markdown_table
from ml.evaluation.plain_report import plain_sentences
from service.nlp.artifacts.artifact import CONFIG_FILE
from service.nlp.inference.network_config import read_network_config

_POOLING = {"mean": "the mean over the tokens", "first": "the vector of the first token"}
_EXIT_HEADING = "## Leaving early"
_EXIT_TEXT = """\
On a CPU, scans let certainly harmless sentences leave the network half-way, unless EARLY_EXIT is off.
They have no finding, and their influence on neighbours is estimated. Thresholds were chosen on other
documents than those measured. All other figures are without leaving."""
_TEMPLATE = Path(__file__).parent / "model_card.md"


def write_card(
    folder: Path,
    fields: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    data: Mapping[str, Any],
    start: Sequence[str],
) -> None:
    """Write README.md of the artifact from its manifest fields, its evaluation and its data's summary.

    `start` names the models from whose mean the training started; empty if it was the base.
    """
    train = data["train"]
    text = _TEMPLATE.read_text(encoding="utf-8").format(
        name=fields["name"],
        version=fields["version"],
        n_labels=len(fields["labels"]),
        base=fields["base_model"]["name"],
        base_license=fields["base_model"]["license"],
        start=f", starting from {' and '.join(start)}" if start else "",
        pooling=_POOLING[read_network_config(folder / CONFIG_FILE).pooling],
        bits=fields["weight_bits"],
        max_length=fields["max_length_tokens"],
        temperature=fields["temperature"],
        bias=fields["bias"],
        train_sentences=f"{train['sentences']:,}",
        train_risk=f"{train['with_risk']:,}",
        n_composed=f"{train['composed']:,}",
        licenses=", ".join(f"{name} {n:,}" for name, n in train["licenses"].items()),
        fingerprint=data["fingerprint"],
        sentences=evaluation["data"]["sentences"],
        with_risk=evaluation["data"]["with_risk"],
        documents=evaluation["data"]["documents"],
        **_tables(evaluation),
    )
    (folder / "README.md").write_text(with_exit_section(text, fields), encoding="utf-8")


def with_exit_section(card: str, fields: Mapping[str, Any]) -> str:
    """Return the model card with the section on leaving early, if the manifest fields have an exit."""
    body = card.partition(f"\n{_EXIT_HEADING}\n")[0].rstrip("\n") + "\n"
    early_exit = fields.get("early_exit")
    if not early_exit:
        return body
    rows = [
        [
            sensitivity,
            ", ".join(f"{100 * share:.0f} % of {name}" for name, share in figures["leave"].items()),
            f"{figures['recall_lost_points']:.2f}",
        ]
        for sensitivity, figures in early_exit["measured"].items()
    ]
    lines = markdown_table(["operating point", "sentences that leave", "recall lost, points"], rows)
    return f"{body}\n{_EXIT_HEADING}\n\n{_EXIT_TEXT}\n\n{lines}\n"


def _tables(evaluation: Mapping[str, Any]) -> dict[str, str]:
    return {
        "quality": markdown_report.quality(evaluation),
        "verdicts": markdown_report.verdicts(evaluation),
        "sets": markdown_report.sets(evaluation),
        "plain": plain_sentences(evaluation.get("plain", {})) or "Not measured.",
        "operating_points": markdown_report.operating_points(evaluation),
        "ranking": markdown_report.ranking(evaluation),
        "calibration": markdown_report.calibration(evaluation),
        "float32": markdown_report.float32(evaluation),
        "types": markdown_report.risk_types(evaluation),
        "slices": markdown_report.slices(evaluation),
        "invariance": markdown_report.invariance(evaluation),
        "latency": markdown_report.latency(evaluation),
    }
