"""Write manifest.json: the artifact's description and the hash of every file."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml.commands import command
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.manifest import MANIFEST_FILE, MANIFEST_VERSION


def write_manifest(folder: Path, fields: dict[str, Any]) -> None:
    """Write the manifest of `folder` from `fields` and the hashes of its current files."""
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST_FILE
    }
    manifest = {"manifest_version": MANIFEST_VERSION, **fields, "files": files}
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")


def manifest_fields(folder: Path) -> dict[str, Any]:
    """Return the fields of the manifest in `folder` without hashes, for `write_manifest` to write again."""
    fields: dict[str, Any] = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    fields.setdefault("bias", 0.0)  # manifests of version 2 lack it; the newest version has it
    return {k: v for k, v in fields.items() if k not in {"manifest_version", "files"}}


def load_export(folder: Path) -> Artifact:
    """Return the verified artifact in the export folder `folder`.

    Raises:
        ConfigError: nothing was exported there; the message names the step.
        ArtifactError: it was altered.
    """
    if not (folder / MANIFEST_FILE).is_file():
        raise ConfigError(
            f"There is no artifact in {folder}; run `{command('ml', 'export', 'CONFIG')}` first."
        )
    return artifacts.load(folder)


def manifest_metrics(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the evaluation that the manifest stores: [value, low, high] of each measure.

    `at_threshold` is at the balanced operating point, `cross_fitted` with thresholds chosen on other
    documents; `sets` has the latter for all dev sentences and for each file of them.
    """

    def rounded(block: Mapping[str, Mapping[str, float]]) -> dict[str, list[float]]:
        return {k: [round(m[key], 4) for key in ("value", "low", "high")] for k, m in block.items()}

    def one_set(block: Mapping[str, Any]) -> dict[str, Any]:
        promises = block["promises"].items()
        return {
            "sentences": block["data"]["sentences"],
            "with_risk": block["data"]["with_risk"],
            "cross_fitted": rounded(block["nested"]),
            "promises": {
                point: rounded({k: m for k, m in kept.items() if k != "off"})
                for point, kept in promises
            },
            "risk_calibration_error": round(block["calibration"]["risk_error"], 4),
            "calibration_error": round(block["calibration"]["pair_error"], 4),
        }

    points, scale = evaluation["float32_difference_points"], evaluation["calibration"]
    return {
        "split": {"name": "dev", **evaluation["data"]},
        "interval": "95 %, bootstrap over documents",
        "at_threshold": rounded(evaluation["sensitivities"]["balanced"]),
        "cross_fitted": rounded(evaluation["nested"]),
        "sets": {name: one_set(block) for name, block in evaluation["sets"].items()},
        "sensitivities": {s: rounded(m) for s, m in evaluation["sensitivities"].items()},
        "ranking": rounded(evaluation["ranking"]),
        "risk_calibration_error": round(scale["risk_error"], 4),
        "calibration_error": round(scale["pair_error"], 4),
        "float32_difference_points": points
        and {k: round(m["value"], 2) for k, m in points.items()},
    }


def code_commit() -> str:
    """Return the commit of the working tree, or "unknown" outside version control."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    try:
        git = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - fixed words
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return git.stdout.strip()
