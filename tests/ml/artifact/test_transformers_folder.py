"""The pipeline of transformers gives the scores of our analyzer for single sentences."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.artifact.manifest_writer import manifest_fields, write_manifest
from ml.artifact.network import write_network
from ml.artifact.transformers_folder import write_transformers_folder
from service.errors import ConfigError
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.inference.network import Network
from service.nlp.inference.network_config import NetworkConfig
from service.nlp.inference.torch_engine import TorchEngine
from tests.ml.step import run_step
from tests.support.artifacts import SHIPPED
from tests.support.encoders import word_tokenizer

SENTENCES = ["The budget is tight.", "Only one supplier delivers the pump, and it may fail.", "No."]


def write_artifact(folder: Path, architecture: str, pooling="first") -> Artifact:
    """Write an artifact around a random network, with the labels and calibration of the shipped one."""
    tokenizer = word_tokenizer(architecture)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "n_layers": 2, "n_heads": 4}
    config = NetworkConfig(
        37,
        influence=True,
        vocab_size=tokenizer.get_vocab_size(),
        architecture=architecture,
        **sizes,
    )
    torch.manual_seed(1)
    network = Network(replace(config, pooling=pooling))
    state = {name: value.normal_(0, 0.5).numpy() for name, value in network.state().items()}
    write_network(state, network.config, folder, bits=7)
    tokenizer.save(str(folder / artifacts.TOKENIZER_FILE))
    (folder / artifacts.GOLDEN_FILE).write_text("")
    for name in ("LICENSE", "NOTICE"):
        shutil.copy(SHIPPED / name, folder)
    (folder / "README.md").write_text("# The card of the artifact\n")
    fields = manifest_fields(SHIPPED) | {"temperature": 1.7, "bias": -0.4}
    write_manifest(folder, fields)
    return artifacts.load(folder)


@pytest.mark.parametrize("architecture", ["bert", "mpnet"])
def test_pipeline_of_transformers_gives_the_scores_of_the_analyzer(architecture, tmp_path: Path):
    from transformers import pipeline  # noqa: PLC0415 - heavy

    artifact = write_artifact(tmp_path / "artifact", architecture)
    done = run_step("export", artifact.path, "--to", "transformers", tmp_path / "written")
    assert done.exit_code == 0, done.stderr
    analyzer = LocalAnalyzer(artifact, TorchEngine(artifact, device="cpu", n_threads=1))
    expected = np.concatenate([analyzer.score([sentence]) for sentence in SENTENCES])
    analyzer.close()
    classify = pipeline("text-classification", model=str(tmp_path / "written"), top_k=None)
    for sentence, row in zip(SENTENCES, expected, strict=True):
        scores = {found["label"]: found["score"] for found in classify([sentence])[0]}
        assert scores == pytest.approx(
            dict(zip(artifact.manifest.labels, row, strict=True)), abs=1e-4
        )
    assert expected.std(axis=0).max() > 1e-3  # sentences differ by more than the tolerance


def test_written_folder_says_what_it_holds(tmp_path: Path):
    artifact = write_artifact(tmp_path / "artifact", "mpnet")
    write_transformers_folder(artifact, tmp_path / "written")
    card = (tmp_path / "written/README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\nbase_model: sentence-transformers/")
    assert "# The card of the artifact" in card
    config = json.loads((tmp_path / "written/config.json").read_text())
    assert config["architectures"] == ["MPNetForSequenceClassification"]
    assert config["problem_type"] == "multi_label_classification"
    assert (tmp_path / "written/LICENSE").is_file()


def test_mean_pooling_is_refused_with_the_reason(tmp_path: Path):
    artifact = write_artifact(tmp_path / "artifact", "bert", pooling="mean")
    with pytest.raises(ConfigError, match=r'pooling "mean", which no class.*pooling = "first"'):
        write_transformers_folder(artifact, tmp_path / "written")
    assert not (tmp_path / "written").exists()


def test_folder_with_files_is_not_overwritten(tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match="name a new folder"):
        write_transformers_folder(artifacts.load(SHIPPED), tmp_path)
