"""The weights of a base, read without torch, are those that training reads with it."""

from dataclasses import replace

import numpy as np
import pytest

from ml.artifact.base_weights import base_weights
from ml.training.base import base_network
from service.errors import ConfigError
from tests.ml.runs import with_base
from tests.support.encoders import write_encoder


@pytest.fixture(params=["bert", "mpnet"])
def network(request, tmp_path):
    base = with_base(write_encoder(tmp_path / "encoder", request.param)).base
    return base_network(base, n_labels=3, dropout=0.1)


def test_weights_are_those_that_training_starts_from(network, tmp_path):
    expected = {n: v for n, v in network.state().items() if not n.startswith("head.")}
    state = base_weights(tmp_path / "encoder", network.config)
    assert state.keys() == expected.keys()
    assert all(np.array_equal(state[name], value) for name, value in expected.items())


def test_weights_of_another_shape_name_the_missing_tensor(network, tmp_path):
    with pytest.raises(ConfigError, match=r"lacks encoder\.layer\.2.*with 5 layers"):
        base_weights(tmp_path / "encoder", replace(network.config, n_layers=5))
