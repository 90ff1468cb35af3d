"""An unusable GPU is reported in one sentence, with the remedy."""

import re

import pytest

from service.nlp.inference.cuda import Cuda

DRIVER, TORCH = (13, 0), (13, 0)


@pytest.mark.parametrize(
    ("machine", "index", "message"),
    [
        (Cuda(None, None), 0, r"no NVIDIA driver here.*580 or newer.*--gpus 1"),
        (Cuda(DRIVER, None), 0, r"torch is not installed.*Dockerfile.gpu.*make run-gpu"),
        (Cuda((12, 8), TORCH), 0, r"supports CUDA 12.8 and torch needs 13.0.*driver 580"),
        (Cuda(DRIVER, TORCH), 0, r"sees 0 GPUs.*--gpus all"),
        (Cuda(DRIVER, TORCH, ((9, 0),)), 1, r"sees 1 GPUs, counted from cuda:0"),
        (Cuda(DRIVER, TORCH, ((7, 0),)), 0, r"compute capability 7.0 and torch needs 7.5"),
    ],
)
def test_fault_of_an_unusable_gpu_names_the_remedy(machine, index, message):
    assert re.search(message, machine.fault(index))


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 9), (9, 0), (10, 0), (12, 0)])
def test_fault_of_a_gpu_from_turing_on_is_none(capability):
    assert Cuda((13, 1), TORCH, ((6, 1), capability)).fault(1) is None
