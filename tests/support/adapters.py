"""A small MPNet and a fine-tuned model of it, of random weights, as files that `ml` reads."""

import json
from dataclasses import replace

import numpy as np
from safetensors.numpy import save_file

from ml.artifact.base_weights import base_weights
from ml.settings import load
from ml.training.base import base_network, base_tokenizer
from ml.training.checkpoints import model_path
from ml.training.trained_models import write_description
from service.nlp.taxonomy import built_in
from tests.ml.step import run_step
from tests.ml.tiny import write_config
from tests.support.artifacts import SHIPPED
from tests.support.encoders import write_encoder

HIDDEN, N_LAYERS, N_LABELS = 48, 2, 37
MODEL = "tiny-accurate/0.1.0"


def write_base(folder):
    """Write the encoder."""
    return write_encoder(folder, "mpnet", hidden=HIDDEN, n_layers=N_LAYERS)


def write_calibrated_run(folder, base, *, rank=3, adapter_rank=0, head_bias=-6.0, **sentences):
    """Write a run whose changes have the rank `rank`, and its calibrated artifact; return its configuration.

    The calibration is copied from the shipped model: random weights reach no point of their own.
    """
    folder.mkdir(exist_ok=True)
    name, version = MODEL.split("/")
    recipe = {"version": f'"{version}"', "golden_tolerance": "0.01", "pooling": '"first"'}
    recipe |= {"adapter_rank": str(adapter_rank), "calibration_of": f'"{SHIPPED}"'}
    config = write_config(folder, encoder=base, **recipe, **sentences)
    config.write_text(config.read_text().replace('"riskscan-fast"', f'"{name}"'))
    settings = load(config).base
    network = base_network(settings, n_labels=N_LABELS, dropout=0.1).config
    network = replace(network, influence=True)
    tokenizer = base_tokenizer(settings).tokenizer
    write_description(folder / "run", network, tokenizer, built_in())
    state = tune(base_weights(base, network), rank, head_bias=head_bias)
    save_file(state, model_path(folder / "run"))
    for step in ("export", "calibrate"):
        done = run_step(step, config)
        assert done.exit_code == 0, done.stderr
    return config


def tune(base, rank, *, seed=1, head_bias=-6.0):
    """Return the weights of a fine-tuning: changes of this rank, other norms, a head and neighbour heads."""
    rng = np.random.default_rng(seed)
    state = {name: value.copy() for name, value in base.items()}
    for name, value in state.items():
        if name.startswith("layers.") and value.ndim == 2:
            rows = np.split(value, 3) if "qkv" in name else [value]
            for part in rows:
                up, down = (
                    rng.normal(size=(len(part), rank)),
                    rng.normal(size=(rank, part.shape[1])),
                )
                part[:] += 0.03 * up @ down
        elif "norm.weight" in name:
            value[:] *= 1.1
    head = rng.normal(size=(N_LABELS, HIDDEN)) * 0.15
    state["head.weight"] = head.astype(np.float32)
    state["head.bias"] = np.full(N_LABELS, head_bias, np.float32)
    influence = rng.normal(size=(2 * N_LABELS, HIDDEN)) * 0.1
    state["influence.weight"] = influence.astype(np.float32)
    state["influence.bias"] = np.zeros(2 * N_LABELS, np.float32)
    return state


def forge_golden(adapter):
    """Change the first golden score of an adapter's folder."""
    path = adapter / "golden.jsonl"
    first, *others = path.read_text().splitlines()
    row = json.loads(first)
    row["scores"] = dict.fromkeys(row["scores"], 0.5)
    path.write_text("\n".join([json.dumps(row), *others]) + "\n")
