"""Which checkpoints of an earlier training a run keeps."""

import json

import pytest

from ml.settings import load
from ml.training.checkpoints import checkpoint_path, discard_other_training, model_path
from tests.ml.tiny import write_config


@pytest.fixture
def begun(tmp_path):
    """Begin a training with changes of its recipe; return whether it kept the earlier checkpoint."""
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    model_path(teacher).write_bytes(b"one")

    def begin(**changes):
        config = write_config(tmp_path, teachers=f'["{teacher}"]', **changes)
        settings = load(config)
        checkpoint = checkpoint_path(settings.run_dir, 17, 1)
        discard_other_training(settings, "sentences")
        kept = checkpoint.is_file()
        checkpoint.touch()
        return kept

    begin()
    return begin


def test_same_recipe_keeps_the_checkpoints(begun):
    assert begun()


def test_threads_and_saves_may_change_during_a_training(begun):
    assert begun(n_threads="2", save_every_min="1.0")


def test_recipe_of_an_earlier_version_lacks_settings_and_keeps_the_checkpoints(begun, tmp_path):
    path = tmp_path / "run/recipe.json"
    recipe = json.loads(path.read_text())
    del recipe["train"]["trained_part"], recipe["train"]["teacher_slope"], recipe["models"]
    path.write_text(json.dumps(recipe))
    assert begun()


def test_another_recipe_begins_anew(begun):
    assert not begun(epochs="2")


def test_teacher_that_was_trained_again_begins_anew(begun, tmp_path):
    model_path(tmp_path / "teacher").write_bytes(b"two")
    assert not begun()
