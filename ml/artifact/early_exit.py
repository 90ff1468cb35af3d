"""Give an artifact an exit in the middle of its network, without training the network again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ml.artifact.manifest_writer import load_export, manifest_fields, write_manifest
from ml.artifact.model_card import with_exit_section
from ml.artifact.network import write_graph
from ml.artifact.onnx_graph import build_exit_vectors
from ml.artifact.outputs import sentence_outputs
from ml.corpus.dataset import Example
from ml.evaluation.exit_thresholds import ExitData, choose
from ml.training import exit_heads
from service.config import settings as config
from service.errors import ConfigError
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.arrays import Floats
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.operating_points import risk_scores
from service.nlp.inference.neighbour_context import own_logits
from service.nlp.inference.network_config import NetworkConfig, read_network_config
from service.nlp.inference.onnx_engine import OnnxEngine

_CARD = "README.md"


def add_exit(folder: Path, train: Sequence[Example], dev: Sequence[Example]) -> Artifact:
    """Fit an exit for the calibrated artifact in `folder` and put it there, in place of an earlier one.

    The heads learn from half of the documents in `train`, the thresholds are chosen on the others; labels are
    not used. What leaving costs is measured on `dev`, which training never saw.

    Raises:
        ArtifactError: `folder` is no artifact, or the new graph misses its golden scores.
        ConfigError: it is registered, its network cannot have an exit, `train` has fewer than two documents,
            or no threshold keeps the recall.
    """
    artifact = load_export(folder)
    network = read_network_config(folder / artifacts.CONFIG_FILE)
    _check(artifact, network)
    tensors, thresholds = _fitted(artifact, network, train, dev)
    fields = manifest_fields(folder) | {"early_exit": thresholds}
    if not fields["early_exit"]["leave_below"]:
        raise ConfigError(
            f"{folder} stays as it is: on these sentences no exit keeps the recall of any operating point."
        )
    with tempfile.TemporaryDirectory(prefix=".exit-", dir=folder.parent) as scratch:
        new = Path(shutil.copytree(folder, Path(scratch) / "artifact"))
        save_file(tensors, new / artifacts.EXIT_FILE)
        (new / artifacts.EXIT_FILE).chmod(0o644)  # safetensors writes for the owner alone
        write_graph(network, new)
        if (new / _CARD).is_file():
            card = (new / _CARD).read_text(encoding="utf-8")
            (new / _CARD).write_text(with_exit_section(card, fields), encoding="utf-8")
        write_manifest(new, fields)
        LocalAnalyzer.open(new, device="cpu", n_threads=1).close()  # checks the golden scores
        folder.rename(Path(scratch) / "before")
        new.rename(folder)
    return artifacts.load(folder)


def _check(artifact: Artifact, network: NetworkConfig) -> None:
    if config.load().registry_dir in artifact.path.resolve().parents:
        raise ConfigError(
            f"{artifact.path} is registered, and a version never changes. Add the exit to the exported "
            "artifact, then register it."
        )
    if not network.has_own_names or network.n_layers < 2:
        raise ConfigError(
            f"The network in {artifact.path} cannot have an exit: that takes a BERT or MPNet of two layers."
        )


def _fitted(
    artifact: Artifact, network: NetworkConfig, train: Sequence[Example], dev: Sequence[Example]
) -> tuple[dict[str, Floats], dict[str, Any]]:
    """Return the heads, and the manifest's `early_exit`."""
    for_heads, choosing = _halves(train)
    manifest, n_types = artifact.manifest, len(artifact.manifest.labels)
    outputs, vectors = _read(artifact, network, for_heads)
    risk = risk_scores(manifest.probabilities(own_logits(outputs, n_types)))
    tensors = exit_heads.fit(vectors, risk, outputs[:, n_types:])

    chosen_on, measured_on = (
        _exit_data(artifact, network, tensors, examples) for examples in (choosing, dev)
    )
    return tensors, choose(chosen_on, measured_on)


def _exit_data(
    artifact: Artifact,
    network: NetworkConfig,
    tensors: dict[str, Floats],
    examples: Sequence[Example],
) -> ExitData:
    """Return what the heads say about the examples."""
    outputs, vectors = _read(artifact, network, examples)
    if_left = np.full_like(outputs, -np.inf)
    if network.influence:
        weight, bias = tensors["exit.influence.weight"], tensors["exit.influence.bias"]
        if_left[:, len(artifact.manifest.labels) :] = vectors @ weight.T + bias
    return ExitData(artifact, examples, outputs, if_left, exit_heads.exit_scores(tensors, vectors))


def _halves(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Return the examples of two random halves of the documents."""
    documents = sorted({e.doc for e in examples})
    if len(documents) < 2:
        raise ConfigError(
            "An exit takes sentences of at least two documents: heads and thresholds learn from different "
            "ones. Name them as `doc` in the lines of --train."
        )
    order = np.random.default_rng(0).permutation(len(documents))
    first = {documents[k] for k in order[: len(order) // 2]}
    return [e for e in examples if e.doc in first], [e for e in examples if e.doc not in first]


def _read(
    artifact: Artifact, network: NetworkConfig, examples: Sequence[Example]
) -> tuple[Floats, Floats]:
    """Return the outputs of each sentence, (n, n_outputs), and what the heads read of it, (n, hidden)."""
    texts = [e.text for e in examples]
    outputs = sentence_outputs(artifact, OnnxEngine(artifact, n_threads=1), texts)
    return outputs, _exit_vectors(artifact, network, texts)


def _exit_vectors(artifact: Artifact, network: NetworkConfig, texts: Sequence[str]) -> Floats:
    """Return what the heads read for each sentence, float32 (len(texts), hidden)."""
    with tempfile.TemporaryDirectory(prefix="riskscan-exit-") as scratch:
        folder = Path(scratch)
        weights = shutil.copyfile(
            artifact.path / artifacts.WEIGHTS_FILE, folder / artifacts.WEIGHTS_FILE
        )
        model = build_exit_vectors(Path(weights), network)
        (folder / artifacts.ONNX_FILE).write_bytes(model.SerializeToString())
        engine = OnnxEngine(replace(artifact, path=folder), n_threads=1)
        return sentence_outputs(artifact, engine, texts)
