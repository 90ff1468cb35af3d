"""The noise of a drift reference: the index that chance alone gives."""

import numpy as np
import pytest

from ml.evaluation import drift_reference
from service.nlp.artifacts.drift_index import psi


def test_noise_of_differing_documents_exceeds_that_of_single_sentences():
    one_each = np.eye(4, dtype=np.int64)[np.arange(400) % 4]
    apart, together = [str(n) for n in range(400)], [str(n % 4 + 4 * (n // 80)) for n in range(400)]
    assert drift_reference.noise(one_each, apart) == pytest.approx(3 / 400, rel=0.15)
    assert drift_reference.noise(one_each, together) > 10 * drift_reference.noise(one_each, apart)


def test_noise_estimates_the_index_between_two_samples():
    rng = np.random.default_rng(0)
    docs = [str(n // 10) for n in range(600)]

    def sample():
        share = np.repeat(rng.dirichlet(np.full(5, 4.0), 60), 10, axis=0)
        return np.array([rng.multinomial(1, p) for p in share])

    known = sample()
    apart = [psi(known.sum(axis=0), sample().sum(axis=0)) for _ in range(100)]
    assert 2 * drift_reference.noise(known, docs) == pytest.approx(np.mean(apart), rel=0.4)
