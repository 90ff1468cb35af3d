"""Builds real artifacts from the shipped one, with another version, another temperature, or a fault."""

import hashlib
import json
import os
import shutil

import numpy as np

from service.config.settings import load
from service.nlp.artifacts.registry import GateRecord, gate_path, manifest_sha256, write_gate

SHIPPED = load({}).model_dir
NAME, VERSION = SHIPPED.parent.name, SHIPPED.name


def temperature_of(folder):
    return json.loads((folder / "manifest.json").read_text())["temperature"]


def make_artifact(registry_dir, version, *, sharpness=1.0, is_honest=True, risk_threshold=None):
    """Put a copy of the shipped model into a registry, with logits multiplied by `sharpness`.

    `risk_threshold` replaces the threshold of every operating point. Without `is_honest` the artifact keeps
    the shipped golden scores, so it fails its self-test if `sharpness` is not 1.
    """
    folder = registry_dir / NAME / version
    shutil.copytree(SHIPPED, folder, copy_function=os.link)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"version": version, "temperature": manifest["temperature"] / sharpness}
    for point in manifest["operating_points"].values():
        point["risk_threshold"] = risk_threshold or point["risk_threshold"]
    if is_honest:
        rows = [json.loads(line) for line in (folder / "golden.jsonl").read_text().splitlines()]
        golden = "".join(json.dumps(_sharpened(row, sharpness)) + "\n" for row in rows)
        _replace(folder / "golden.jsonl", golden)
        manifest["files"]["golden.jsonl"] = hashlib.sha256(golden.encode()).hexdigest()
    _replace(folder / "manifest.json", json.dumps(manifest))
    return f"{NAME}/{version}"


def damage(registry_dir, model):
    """Change one byte of a model's weights."""
    path = registry_dir / model / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    _replace(path, bytes(content))


def pass_gate(registry_dir, model, against, **changed):
    """Write the gate record that `ml register` would write for a model that passed."""
    values = {
        "model": model,
        "manifest_sha256": manifest_sha256(registry_dir / model),
        "against": against,
        "passed": True,
        "figures": {"mean_f1": {"value": 0.02}},
    }
    write_gate(gate_path(registry_dir, model), GateRecord(**{**values, **changed}))


def logit(score):
    return float(np.log(score / (1 - score)))


def _sharpened(row, sharpness):
    scores = {
        k: 1 / (1 + np.exp(-sharpness * logit(min(max(p, 1e-9), 1 - 1e-9))))
        for k, p in row["scores"].items()
    }
    return {**row, "scores": scores}


def _replace(path, content):
    path.unlink()  # a hard link: writing to it would change the shipped file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
