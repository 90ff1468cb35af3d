"""Which model serves without an activation."""

import pytest

from service.config.settings import load
from service.nlp.inference import cuda
from service.nlp.inference.default_model import default_folder
from tests.support.artifacts import SHIPPED


@pytest.fixture
def cache(tmp_path):
    """A models_cache whose accurate model is built."""
    (tmp_path / "large/2.0.0").mkdir(parents=True)
    (tmp_path / "large/2.0.0/manifest.json").write_text("{}")
    (tmp_path / "ACCURATE").write_text("large/2.0.0")
    return tmp_path


def test_default_on_a_gpu_is_the_accurate_model_if_it_is_built(cache, tmp_path_factory):
    on_gpu = load({"DEVICE": "cuda"})
    assert default_folder(on_gpu, cache) == cache / "large/2.0.0"
    assert default_folder(on_gpu, tmp_path_factory.mktemp("empty")) == SHIPPED


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "auto",
            marks=pytest.mark.skipif(
                cuda.probe().fault() is None, reason="needs a machine without a GPU"
            ),
        ),
    ],
)
def test_default_on_a_cpu_is_the_shipped_model(cache, device):
    assert default_folder(load({"DEVICE": device}), cache) == SHIPPED


@pytest.mark.parametrize("setting", [{"MODEL": "fast"}, {"MODEL_DIR": str(SHIPPED)}])
def test_default_that_a_setting_names_is_the_same_on_a_gpu(cache, setting):
    assert default_folder(load({"DEVICE": "cuda", **setting}), cache) == SHIPPED
