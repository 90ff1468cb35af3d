"""Write an artifact as a folder that transformers opens as a text classifier, with the same scores."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

from ml.commands import command
from service.errors import ConfigError
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.manifest import Manifest
from service.nlp.inference.network import transformers_config
from service.nlp.inference.network_config import MPNET, NetworkConfig
from service.nlp.inference.tensor_conversion import to_transformers
from service.nlp.inference.tokenization import MAX_WHOLE_TOKENS
from service.nlp.inference.torch_engine import load_network

_CARD = "README.md"
_LICENCE_FILES = ("LICENSE", "NOTICE")
_ROLES = {
    "[PAD]": "pad_token",
    "<pad>": "pad_token",
    "[UNK]": "unk_token",
    "<unk>": "unk_token",
    "[MASK]": "mask_token",
    "<mask>": "mask_token",
}


def write_transformers_folder(artifact: Artifact, folder: Path) -> None:
    """Write the artifact's network, tokenizer and model card into the new folder `folder`.

    Temperature and bias are part of the last layer. The influence of neighbouring sentences is left out: a
    text classifier reads one sentence at a time.

    Raises:
        ConfigError: no class of transformers computes the same, or the folder holds files.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"{folder} holds files, and stays as it is: name a new folder.")
    network = load_network(artifact)
    config, manifest = network.config, artifact.manifest
    _check(config, artifact.path)
    theirs = transformers_config(config)
    theirs.id2label = dict(enumerate(manifest.labels))
    theirs.label2id = {label: k for k, label in enumerate(manifest.labels)}
    theirs.problem_type = "multi_label_classification"
    model = AutoModelForSequenceClassification.from_config(theirs)
    model.load_state_dict(classifier_state(network.state(), config, manifest))
    model.save_pretrained(folder)
    _tokenizer(artifact).save_pretrained(folder)
    for name in _LICENCE_FILES:
        if (artifact.path / name).is_file():
            shutil.copyfile(artifact.path / name, folder / name)
    (folder / _CARD).write_text(_card(artifact), encoding="utf-8")


def classifier_state(
    state: dict[str, Tensor], config: NetworkConfig, manifest: Manifest
) -> dict[str, Tensor]:
    """Return the weights under the names of the class for text classification.

    Its dense layer before tanh is twice the identity; the pooling "first" was chosen to be this.
    """
    is_mpnet = config.architecture == MPNET
    prefix, dense, out = (
        ("mpnet", "classifier.dense", "classifier.out_proj")
        if is_mpnet
        else ("bert", "bert.pooler.dense", "classifier")
    )
    encoder = to_transformers(state, config)
    return {
        **{f"{prefix}.{name}": value for name, value in encoder.items()},
        f"{dense}.weight": 2 * torch.eye(config.hidden_size),
        f"{dense}.bias": torch.zeros(config.hidden_size),
        f"{out}.weight": state["head.weight"] / manifest.temperature,
        f"{out}.bias": (state["head.bias"] + manifest.bias) / manifest.temperature,
    }


def _check(config: NetworkConfig, path: Path) -> None:
    if config.pooling != "first":
        raise ConfigError(
            f'The model in {path} has the pooling "{config.pooling}", which no class of transformers '
            'for text classification has. Only one trained with `pooling = "first"` under [base] can be '
            "written."
        )
    if not config.has_own_names:
        raise ConfigError(
            f"The model in {path} has the architecture {config.architecture}; only BERT and MPNet can be "
            "written for transformers."
        )


def _tokenizer(artifact: Artifact) -> PreTrainedTokenizerFast:
    tokenizer = artifact.tokenizer()
    first, last = (tokenizer.id_to_token(k) for k in tokenizer.encode("").ids)
    special: dict[str, Any] = {"cls_token": first, "sep_token": last}
    known = {name: role for name, role in _ROLES.items() if tokenizer.token_to_id(name) is not None}
    special |= {role: name for name, role in known.items()}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=min(artifact.manifest.max_length_tokens, MAX_WHOLE_TOKENS),
        clean_up_tokenization_spaces=False,
        **special,
    )


def _card(artifact: Artifact) -> str:
    """Return the artifact's model card, behind what the hub and a user of transformers need."""
    manifest, base = artifact.manifest, artifact.manifest.base_model
    path = artifact.path / _CARD
    card = path.read_text(encoding="utf-8") if path.is_file() else ""
    point = manifest.operating_points["balanced"]
    rows = zip(manifest.labels, point.thresholds, strict=True)
    thresholds = "\n".join(f"- `{label}`: {threshold:.3f}" for label, threshold in rows)
    return f"""---
license: {str(base["license"]).lower()}
base_model: {base["name"]}
library_name: transformers
pipeline_tag: text-classification
---

# {manifest.name} {manifest.version} for transformers

Written by `{command("ml", "export", "ARTIFACT", "--to", "transformers", "FOLDER")}`.

```python
from transformers import pipeline

classify = pipeline("text-classification", model="FOLDER", top_k=None, truncation=True)
classify("Project has tight budget and aggressive deadline.")
```

Each score is the calibrated probability that the sentence, on its own, states the risk type. Riskscan
also reads the neighbouring sentences, and reads a long sentence in windows instead of truncating it.

A sentence states a risk if its risk score, 1 - prod(1 - p) over the types, reaches
{point.risk_threshold:.3f}. It states the types that reach their thresholds, or the best one if none does:

{thresholds}

{card}"""
