"""Turn the weights of a run into an artifact.

`.venv-test/bin/python -m ml export CONFIG`

Writes every file of the artifact's folder; `ml.steps.evaluate` adds the figures of the model card.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
from safetensors.numpy import load_file, save_file

from ml.artifact.manifest_writer import code_commit, seal
from ml.artifact.onnx_graph import build
from ml.artifact.quantization import quantize
from ml.commands import command
from ml.corpus.dataset import load_dataset
from ml.evaluation.calibration import Calibration, uncalibrated
from ml.settings import Settings, run_step
from ml.training.checkpoints import model_path
from ml.training.pretrained import base_dir
from ml.versions import resolved
from service.config import settings as config
from service.errors import ConfigError
from service.nlp import taxonomy
from service.nlp.arrays import Floats
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.inference.encoder import EncoderConfig
from service.nlp.segmentation import segmenter
from service.nlp.taxonomy import RISK_TYPES

_LICENCE_DIR = Path(__file__).parents[1] / "artifact" / "licence"


def trained_state(run: Path) -> dict[str, Floats]:
    """Return the weights that `ml.training.loop` wrote.

    Raises:
        ConfigError: it has not ended yet.
    """
    if not model_path(run).is_file():
        raise ConfigError(
            f"There is no {model_path(run)}; run `{command('ml', 'train', 'CONFIG')}` first."
        )
    return dict(load_file(model_path(run)))


def write_network(
    state: dict[str, Floats], config: EncoderConfig, folder: Path, *, bits: int
) -> None:
    """Write config.json, the integer weights and the graph over them into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / artifacts.CONFIG_FILE).write_text(
        json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8"
    )
    weights = folder / artifacts.WEIGHTS_FILE
    save_file(quantize(state, bits), weights)
    weights.chmod(0o644)  # safetensors writes for the owner alone, and the service is another user
    write_graph(config, folder)


def write_graph(config: EncoderConfig, folder: Path) -> None:
    """Write the graph over the integer weights that are in `folder`."""
    model = build(
        folder / artifacts.WEIGHTS_FILE,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        eps=config.layer_norm_eps,
    )
    (folder / artifacts.ONNX_FILE).write_bytes(model.SerializeToString())
    onnx.checker.check_model(folder / artifacts.ONNX_FILE)


def _fields(settings: Settings, calibration: Calibration, fingerprint: str) -> dict[str, Any]:
    base = settings.base
    return {
        "name": settings.artifact.name,
        "version": settings.artifact.version,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_commit": code_commit(),
        "base_model": {
            "name": base.name,
            "license": base.license,
            "weights_sha256": base.weights_sha256,
            "tokenizer_sha256": base.tokenizer_sha256,
        },
        "taxonomy_version": taxonomy.VERSION,
        "segmenter": {"name": segmenter.NAME, "version": segmenter.VERSION},
        "dataset_fingerprint": fingerprint,
        "weight_bits": settings.artifact.weight_bits,
        "max_length_tokens": settings.train.max_length_tokens,
        "golden_tolerance": settings.artifact.golden_tolerance,
        "metrics": {},
        "labels": list(RISK_TYPES),
        **calibration.fields(),
    }


def export(settings: Settings) -> Artifact:
    """Write the artifact of a run; replace only an earlier export of the same run.

    It has no golden sentences yet, so the service refuses it until it is calibrated.

    Raises:
        ConfigError: the run is not finished, or the folder has files that this run did not export.
        DatasetError: a file of sentences is missing or faulty.
    """
    settings = resolved(settings)
    folder = settings.artifact_dir
    check_replaceable(folder, run=settings.run_dir)
    state = trained_state(settings.run_dir)
    dataset = load_dataset(settings.data)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=folder.parent) as scratch:
        made = Path(scratch) / "artifact"
        _write(settings, state, dataset.fingerprint, made)
        if folder.exists():
            folder.rename(Path(scratch) / "before")
        made.rename(folder)
    return artifacts.load(folder)


def check_replaceable(folder: Path, *, run: Path) -> None:
    """Let an export replace what lies inside its run's folder, or nothing; a version never changes.

    Raises:
        ConfigError: the folder holds anything else, such as a model that is shipped or registered.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    parents = folder.resolve().parents
    is_export = (folder / artifacts.MANIFEST_FILE).is_file() and run.resolve() in parents
    if not is_export or config.load().registry_dir in parents:
        raise ConfigError(
            f"{folder} holds files that this run did not export, and stays as it is. "
            f"Name a folder inside {run} under [artifact], such as {run / 'model'}."
        )


def _write(settings: Settings, state: dict[str, Floats], fingerprint: str, folder: Path) -> None:
    influence = "influence.weight" in state
    network = EncoderConfig(len(RISK_TYPES), influence, dropout=settings.train.dropout)
    write_network(state, network, folder, bits=settings.artifact.weight_bits)
    shutil.copyfile(base_dir(settings.base) / "tokenizer.json", folder / artifacts.TOKENIZER_FILE)
    for name in ("LICENSE", "NOTICE"):
        shutil.copyfile(_LICENCE_DIR / name, folder / name)
    (folder / artifacts.GOLDEN_FILE).write_text("", encoding="utf-8")
    seal(folder, _fields(settings, uncalibrated(), fingerprint))


def run(settings: Settings) -> None:
    """Export the run into the artifact's folder."""
    made = export(settings)
    size_mb = sum(p.stat().st_size for p in made.path.iterdir()) / 1e6
    calibrate = command("ml", "calibrate", "CONFIG")
    print(f"{made.path}: version {made.manifest.version}, {size_mb:.1f} MB. Next: {calibrate}")


def main() -> None:
    """Run the step with the configuration that the command line names."""
    run_step(run)
