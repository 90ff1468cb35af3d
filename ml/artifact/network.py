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
from service.nlp.inference.network_config import NetworkConfig


def write_network(
    state: dict[str, Floats], config: NetworkConfig, folder: Path, *, bits: int
) -> None:
    """Write config.json, the weights and the integer graph into `folder`.

    BERT and MPNet get integer weights, which their graph reads. Any other architecture keeps its float
    weights for torch, and its graph holds integers of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / artifacts.CONFIG_FILE).write_text(
        json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8"
    )
    write_weights(state, config, folder / artifacts.WEIGHTS_FILE, bits=bits)
    write_graph(config, folder)


def write_weights(
    state: dict[str, Floats], config: NetworkConfig, path: Path, *, bits: int
) -> None:
    """Write the weights file: the same bytes for the same weights."""
    save_file(quantize(state, bits) if config.has_own_names else dict(state), path)
    path.chmod(0o644)  # safetensors writes for the owner alone, and the service is another user


def write_graph(config: NetworkConfig, folder: Path) -> None:
    """Write the integer graph of the weights in `folder`, with an exit if its heads are there."""
    if config.has_own_names:
        exit_heads = folder / artifacts.EXIT_FILE
        model = build(
            folder / artifacts.WEIGHTS_FILE,
            config,
            exit_heads=exit_heads if exit_heads.is_file() else None,
        )
    else:
        from ml.artifact.exported_graph import exported  # noqa: PLC0415 - imports torch

        model = exported(folder, config)
    (folder / artifacts.ONNX_FILE).write_bytes(model.SerializeToString())
    onnx.checker.check_model(folder / artifacts.ONNX_FILE)
