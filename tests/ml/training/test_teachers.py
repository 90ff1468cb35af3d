"""Training learns from teachers: their probabilities, their vectors, each scored once."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from ml.corpus.dataset import load_dataset
from ml.settings import load
from ml.training.batches import encode, pooled_vectors
from ml.training.inputs import Inputs
from ml.training.loop import plan
from ml.training.pupil import Pupil, vector_loss
from ml.training.teachers import FILE
from ml.training.trained_models import mean_network, open_models, starting_network
from service.errors import ConfigError
from tests.ml.runs import write_finished_run
from tests.ml.step import run_step
from tests.ml.tiny import write_config
from tests.support.artifacts import SHIPPED
from tests.support.encoders import write_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoders") / "mpnet", "mpnet")


@pytest.fixture(scope="module")
def teachers(tmp_path_factory) -> list[str]:
    """Runs of a wide and a narrow encoder that have no mean, each with its own tokenizer."""
    folder = tmp_path_factory.mktemp("teachers")
    shapes = {"wide": {"hidden": 32, "seed": 1}, "narrow": {"hidden": 8, "seed": 2}}
    return [str(write_finished_run(folder / n, **s)) for n, s in shapes.items()]


@pytest.fixture
def config(tmp_path: Path, encoder: Path) -> Path:
    """The retraining recipe over 24 sentences in batches of 4, from a small encoder."""
    return write_config(tmp_path, encoder=encoder)


def with_teachers(config: Path, teachers: list[str], **changes):
    settings = load(config)
    return replace(settings, train=replace(settings.train, teachers=teachers, **changes))


def test_teacher_of_another_shape_changes_the_targets(config: Path):
    settings = load(config)
    dataset = load_dataset(settings.data)
    plain = Inputs.read(settings, dataset).y
    soft = Inputs.read(with_teachers(config, [str(SHIPPED)], teacher_weight=0.5), dataset).y
    assert ((soft >= 0.5) == (plain == 1)).all()
    risks = soft[plain == 1]
    assert risks.mean() > 0.7  # the shipped model, which reads by its own tokenizer, knows them


def test_unlabelled_sentences_train_on_the_probabilities_of_teachers(config: Path, tmp_path: Path):
    extra = tmp_path / "extra.jsonl"
    texts = ["The only database administrator has resigned.", "Lunch is at noon."]
    extra.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    settings = with_teachers(config, [str(SHIPPED)], unlabelled_share=0.5)
    settings = replace(settings, data=replace(settings.data, unlabelled=[str(extra)]))
    dataset = load_dataset(settings.data)
    with pytest.raises(ConfigError, match="name teachers, or set `unlabelled_share"):
        Inputs.read(replace(settings, train=replace(settings.train, teachers=[])), dataset)
    inputs = Inputs.read(settings, dataset)
    assert inputs.unlabelled_rows == [24, 25]
    assert inputs.y[24].max() > 0.5 > inputs.y[25].max() > 0
    rows = [row for batch in plan(inputs, settings.train, 1, shares=1) for row in batch]
    assert len(rows) == 24 + 1


def test_vectors_are_those_of_all_teachers_side_by_side(config: Path, teachers: list[str]):
    settings = with_teachers(config, teachers, vector_weight=1.0, bfloat16=False)
    dataset = load_dataset(settings.data)
    vectors = Inputs.read(settings, dataset).vectors
    assert (vectors.shape, vectors.dtype) == ((24, 32 + 8), torch.float16)
    wide = open_models(teachers)[0]
    ids = encode(wide.tokenizer, [e.text for e in dataset.train], 128)
    own = pooled_vectors(mean_network([wide], dropout=0.0), ids)
    unit = torch.nn.functional.normalize(own, dim=1)
    assert torch.allclose(vectors[:, :32].float(), unit, atol=1e-3)


def test_vector_weight_without_teachers_is_an_error(config: Path):
    settings = with_teachers(config, [], vector_weight=1.0)
    with pytest.raises(ConfigError, match="vector_weight needs teachers"):
        Inputs.read(settings, load_dataset(settings.data))


def test_vector_loss_turns_the_vectors_towards_the_teachers(config: Path, teachers: list[str]):
    settings = with_teachers(config, teachers, vector_weight=1.0)
    inputs = Inputs.read(settings, load_dataset(settings.data))
    network = starting_network(settings)
    torch.manual_seed(0)
    pupil = Pupil(network, inputs.vectors.shape[1])
    ids, taught = torch.tensor([i[:8] for i in inputs.ids]), inputs.vectors
    optimizer = torch.optim.Adam(pupil.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = vector_loss(pupil(ids, torch.ones_like(ids))[1], taught)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert 0.8 < losses[0] < 1.2
    assert losses[-1] < 0.2


def test_training_on_vectors_ends_with_other_weights_of_the_same_names(
    encoder: Path, teachers: list[str], tmp_path: Path
):
    states = []
    for weight in ("0.0", "3.0"):
        folder = tmp_path / weight
        folder.mkdir()
        names = json.dumps(teachers)
        config = write_config(folder, encoder=encoder, teachers=names, vector_weight=weight)
        done = run_step("train", config)
        assert done.exit_code == 0, done.stderr
        states.append(load_file(folder / "run/model.safetensors"))
    plain, turned = states
    assert plain.keys() == turned.keys()
    assert (plain["layers.0.qkv.weight"] != turned["layers.0.qkv.weight"]).any()


def marked_file(settings, *, n_rows: int) -> Path:
    """Keep `n_rows` sentences in the file of what the teachers say, the first with impossible logits."""
    path = settings.run_dir / FILE
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    tensors = {name: value[:n_rows].copy() for name, value in load_file(path).items()}
    tensors["logits"][0] = 99.0
    save_file(tensors, path, metadata=metadata)
    return path


def test_sentences_that_teachers_have_scored_are_not_scored_again(
    config: Path, teachers: list[str]
):
    settings = with_teachers(config, teachers, teacher_weight=1.0)
    dataset = load_dataset(settings.data)
    first = Inputs.read(settings, dataset).y.numpy()
    path = marked_file(settings, n_rows=10)
    again = Inputs.read(settings, dataset).y.numpy()
    marked = (again == 1.0).all(axis=1)
    assert marked.sum() == 1
    assert np.abs(again - first)[~marked].max() < 0.02  # bfloat16 beside other neighbours
    assert len(load_file(path)["digests"]) == 24


@pytest.mark.parametrize("change", ["teachers", "length"])
def test_other_teachers_or_another_length_score_again(config: Path, teachers: list[str], change):
    settings = with_teachers(config, teachers, teacher_weight=1.0)
    dataset = load_dataset(settings.data)
    Inputs.read(settings, dataset)
    marked_file(settings, n_rows=24)
    other = {"teachers": {"teachers": teachers[:1]}, "length": {"max_length_tokens": 40}}[change]
    changed = replace(settings, train=replace(settings.train, **other))
    assert (Inputs.read(changed, dataset).y < 1).all()
