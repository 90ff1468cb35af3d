"""Convert the shipped model for the peers: for transformers, as float32 ONNX, and our int8 file.

The sigmoid of the converted logits is the calibrated score: bias and temperature are part of the head. The
int8 file is unchanged, so its users apply the calibration to the logits.
"""

import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from service.config import settings
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import ONNX_FILE, TOKENIZER_FILE, WEIGHTS_FILE
from service.nlp.inference.tensor_conversion import to_transformers
from service.nlp.inference.tensor_names import TOKEN_TYPES
from service.nlp.inference.torch_engine import load_network

_MODELING = Path(__file__).with_name("modeling.py")


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of the conversions; `artifact` is the shipped model itself."""

    artifact: Path
    transformers: Path
    onnx: Path
    int8: Path


def convert(into):
    """Write the conversions under `into`, as folders that transformers, optimum and infinity-emb read."""
    shutil.rmtree(into, ignore_errors=True)  # and what peers cached of another model
    artifact = artifacts.load(settings.load().model_dir)
    folders = Folders(artifact.path, into / "transformers", into / "onnx", into / "int8")
    model = _calibrated(artifact)
    for folder in (folders.transformers, folders.onnx, folders.int8):
        folder.mkdir(parents=True, exist_ok=True)
        _write_config(folder, artifact, has_code=folder == folders.transformers)
        _write_tokenizer(folder, artifact)
    shutil.copy(_MODELING, folders.transformers / _MODELING.name)
    state = {name: t.contiguous() for name, t in _bert(model).items()}
    save_file(state, folders.transformers / "model.safetensors", metadata={"format": "pt"})
    _export(model, folders.onnx / "model.onnx")
    shutil.copy(artifact.path / ONNX_FILE, folders.int8 / "model_quantized.onnx")
    shutil.copy(artifact.path / WEIGHTS_FILE, folders.int8)
    return folders


def _calibrated(artifact):
    model, manifest = load_network(artifact), artifact.manifest
    with torch.no_grad():
        model.head.weight /= manifest.temperature
        model.head.bias += manifest.bias
        model.head.bias /= manifest.temperature
    return model


def _bert(model):
    """Return the weights under the names of transformers' BERT."""
    state = model.state()
    encoder = {f"bert.{n}": v for n, v in to_transformers(state, model.config).items()}
    return encoder | {f"classifier.{kind}": state[f"head.{kind}"] for kind in ("weight", "bias")}


def _write_config(folder, artifact, *, has_code):
    sizes = json.loads((artifact.path / artifacts.CONFIG_FILE).read_text(encoding="utf-8"))
    labels = artifact.manifest.labels
    name = "MeanPooledBertForSequenceClassification"
    config = {
        "architectures": [name],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": sizes.get("hidden_size", 384),
        "intermediate_size": sizes.get("intermediate_size", 1536),
        "num_hidden_layers": sizes.get("n_layers", 6),
        "num_attention_heads": sizes.get("n_heads", 12),
        "vocab_size": sizes.get("vocab_size", 30522),
        "max_position_embeddings": sizes.get("max_positions", 512),
        "layer_norm_eps": sizes.get("layer_norm_eps", 1e-12),
        "type_vocab_size": TOKEN_TYPES,
        "pad_token_id": 0,
        "problem_type": "multi_label_classification",
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
    }
    if has_code:
        config["auto_map"] = {"AutoModelForSequenceClassification": f"{_MODELING.stem}.{name}"}
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def _write_tokenizer(folder, artifact):
    tokenizer = json.loads((artifact.path / TOKENIZER_FILE).read_text(encoding="utf-8"))
    tokenizer |= {"padding": None, "truncation": None}  # the trained one pads all to 128 tokens
    (folder / TOKENIZER_FILE).write_text(json.dumps(tokenizer), encoding="utf-8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": artifact.manifest.max_length_tokens,
        "model_input_names": ["input_ids", "attention_mask"],
        **{f"{n}_token": f"[{n.upper()}]" for n in ("unk", "sep", "pad", "cls", "mask")},
    }
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")


def _export(model, path):
    ids = torch.ones(2, 8, dtype=torch.int64)
    names = ["input_ids", "attention_mask"]
    axes = {name: {0: "batch", 1: "tokens"} for name in names}
    # The tracer warns of a loop over query, key and value, whose number never changes.
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
    torch.onnx.export(
        model,
        (ids, torch.ones_like(ids)),
        path,
        input_names=names,
        output_names=["logits"],
        dynamic_axes={**axes, "logits": {0: "batch"}},
        opset_version=18,
        dynamo=False,
    )
