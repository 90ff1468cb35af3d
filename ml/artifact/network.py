"""The network's files in an artifact: config.json, the integer weights and the CPU graph over them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import onnx
from safetensors.numpy import save_file

from ml.artifact.onnx_graph import build
from ml.artifact.quantization import quantize
from service.nlp.arrays import Floats
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.encoder import EncoderConfig


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
