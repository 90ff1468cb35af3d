"""Which engine a DEVICE gives."""

import pytest

from service.errors import ConfigError
from service.nlp.inference import cuda
from service.nlp.inference.engine_factory import open_engine
from service.nlp.inference.onnx_engine import OnnxEngine


def test_open_engine_cpu_gives_onnx(artifact):
    assert isinstance(open_engine(artifact, device="cpu", n_threads=0), OnnxEngine)


@pytest.mark.skipif(cuda.probe().fault() is None, reason="needs a machine without a GPU")
def test_open_engine_auto_without_a_gpu_gives_onnx(artifact):
    assert open_engine(artifact, device="auto", n_threads=1).device == "cpu"


@pytest.mark.skipif(cuda.probe().fault() is None, reason="needs a machine without a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_open_engine_cuda_without_a_gpu_names_the_remedy(artifact, device):
    with pytest.raises(ConfigError, match=rf"DEVICE={device} cannot .* Or set DEVICE=cpu"):
        open_engine(artifact, device=device, n_threads=1)
