"""Turn the refined weights of a run into an artifact.

`python -m ml.export ml/configs/riskscan-minilm.toml`

Writes every file of the artifact's folder but the model card's figures, which `ml.evaluate` adds.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from safetensors.numpy import load_file, save_file

from ml.base import base_dir
from ml.calibrate import Calibration, calibrate
from ml.dataset import load_dataset, targets
from ml.golden import CANDIDATES, N_GOLDEN
from ml.graph import build
from ml.quantize import quantize
from ml.refine import refined_path
from ml.seal import code_commit, seal, unsealed
from ml.settings import Settings, run_step
from service.errors import ConfigError
from service.nlp import artifact as artifacts
from service.nlp import segment, taxonomy
from service.nlp.artifact import Artifact
from service.nlp.encoder import EncoderConfig
from service.nlp.engines import Engine, OnnxEngine
from service.nlp.taxonomy import RISK_TYPES

Floats = npt.NDArray[np.float32]

_LICENCE_DIR = Path(__file__).parent / "licence"
_UNCALIBRATED = Calibration(temperature=1.0, threshold=0.5)


def refined_state(run: Path) -> dict[str, Floats]:
    """Return the weights that `ml.refine` wrote.

    Raises:
        ConfigError: it has not run yet.
    """
    if not refined_path(run).is_file():
        raise ConfigError(f"There is no {refined_path(run)}; run `python -m ml.refine` first.")
    return dict(load_file(refined_path(run)))


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
    model = build(
        weights, n_layers=config.n_layers, n_heads=config.n_heads, eps=config.layer_norm_eps
    )
    (folder / artifacts.ONNX_FILE).write_bytes(model.SerializeToString())
    onnx.checker.check_model(folder / artifacts.ONNX_FILE)
    weights.chmod(0o644)  # safetensors writes for the owner alone, and the service is another user


def texts_to_logits(artifact: Artifact, engine: Engine, texts: Sequence[str]) -> Floats:
    """Return float32 (len(texts), n_risk_types); one sentence a time, cut at the model's window.

    The service scores what is longer in windows; of the sentences that calibrate, one in a thousand is.
    """
    tokenizer, longest = artifact.tokenizer(), artifact.manifest.max_length_tokens
    rows = []
    for encoding in tokenizer.encode_batch(list(texts)):
        ids = (
            encoding.ids
            if len(encoding.ids) <= longest
            else [*encoding.ids[: longest - 1], encoding.ids[-1]]
        )
        tokens = np.array([ids], np.int64)
        rows.append(engine.logits(tokens, np.ones_like(tokens))[0])
    return np.array(rows, np.float32).reshape(-1, len(RISK_TYPES))


def golden_lines(
    texts: Sequence[str], scores: Floats, thresholds: Floats, tolerance: float
) -> list[str]:
    """Return the first N_GOLDEN sentences whose scores all keep clear of the thresholds."""
    clear = (np.abs(scores - thresholds) > 1.25 * tolerance).all(axis=1)
    kept = [(texts[i], scores[i]) for i in np.flatnonzero(clear)[:N_GOLDEN]]
    rows = [
        {
            "text": text,
            "scores": {r: round(float(p), 5) for r, p in zip(RISK_TYPES, row, strict=True)},
        }
        for text, row in kept
    ]
    return [json.dumps(row, ensure_ascii=False) for row in rows]


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
        "segmenter": {"name": segment.NAME, "version": segment.VERSION},
        "dataset_fingerprint": fingerprint,
        "weight_bits": settings.artifact.weight_bits,
        "max_length_tokens": settings.train.max_length_tokens,
        "temperature": calibration.temperature,
        "golden_tolerance": settings.artifact.golden_tolerance,
        "metrics": {},
        "labels": list(RISK_TYPES),
        "thresholds": calibration.thresholds(),
    }


def export(settings: Settings) -> Artifact:
    """Write, calibrate and prove the artifact of a run; what its folder held is replaced.

    Raises:
        ConfigError: the run has no refined weights, or too few golden sentences are clear.
        DatasetError: the sentences to calibrate on are missing.
    """
    folder = settings.artifact_dir
    state = refined_state(settings.run_dir)
    dataset = load_dataset(settings.data)
    shutil.rmtree(folder, ignore_errors=True)
    config = EncoderConfig(n_labels=len(RISK_TYPES), dropout=settings.train.dropout)
    write_network(state, config, folder, bits=settings.artifact.weight_bits)
    shutil.copyfile(base_dir(settings.base) / "tokenizer.json", folder / artifacts.TOKENIZER_FILE)
    for name in ("LICENSE", "NOTICE"):
        shutil.copyfile(_LICENCE_DIR / name, folder / name)
    (folder / artifacts.GOLDEN_FILE).write_text("", encoding="utf-8")
    seal(folder, _fields(settings, _UNCALIBRATED, dataset.fingerprint))

    artifact = artifacts.load(folder)
    engine = OnnxEngine(artifact, n_threads=settings.train.n_threads)
    logits = texts_to_logits(artifact, engine, [e.text for e in dataset.dev])
    calibration = calibrate(logits, targets(dataset.dev))
    seal(folder, _fields(settings, calibration, dataset.fingerprint))
    return prove(artifacts.load(folder), engine)


def prove(artifact: Artifact, engine: Engine) -> Artifact:
    """Write golden.jsonl from the engine's own scores, and seal the folder again.

    Raises:
        ConfigError: fewer than N_GOLDEN sentences keep clear of the thresholds.
    """
    manifest = artifact.manifest
    scores = manifest.probabilities(texts_to_logits(artifact, engine, CANDIDATES))
    lines = golden_lines(CANDIDATES, scores, manifest.thresholds, manifest.golden_tolerance)
    if len(lines) < N_GOLDEN:
        raise ConfigError(
            f"Only {len(lines)} of {len(CANDIDATES)} golden sentences keep clear of the thresholds; "
            "add some to ml/golden.py, or lower golden_tolerance."
        )
    (artifact.path / artifacts.GOLDEN_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    seal(artifact.path, unsealed(artifact.path))
    return artifacts.load(artifact.path)


def main(settings: Settings) -> None:
    """Export the run into the artifact's folder."""
    made = export(settings)
    size_mb = sum(p.stat().st_size for p in made.path.iterdir()) / 1e6
    manifest = made.manifest
    print(
        f"{made.path}: {size_mb:.1f} MB, temperature {manifest.temperature:.3f}, "
        f"threshold {manifest.thresholds[0]:.3f}. Next: python -m ml.evaluate"
    )


if __name__ == "__main__":
    run_step(main)
