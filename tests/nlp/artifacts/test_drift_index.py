"""The population stability index on histograms small enough to check by hand."""

import subprocess
import sys
from math import log

import numpy as np
import pytest

from service.errors import ArtifactError
from service.nlp.artifacts import drift_index


def test_psi_by_hand():
    assert drift_index.psi([50, 50], [75, 25]) == pytest.approx(0.25 * log(1.5) - 0.25 * log(0.5))


def test_psi_of_equal_shares_is_zero_whatever_the_size():
    assert drift_index.psi([10, 20, 70], [100, 200, 700]) == pytest.approx(0.0)


def test_psi_an_empty_bin_stays_finite():
    assert 0 < drift_index.psi([0, 100], [50, 50]) < 10


@pytest.mark.parametrize("observed", [[1, 2, 3], [0, 0]])
def test_psi_histograms_that_cannot_be_compared_are_refused(observed):
    with pytest.raises(ValueError, match="compared"):
        drift_index.psi([5, 5], observed)


def test_histogram_counts_each_edge_into_the_bin_above():
    assert drift_index.histogram([0.0, 0.1, 0.15, 0.2, 9.0], (0.1, 0.2)) == [1, 2, 2]
    assert drift_index.histogram([], (0.1, 0.2)) == [0, 0, 0]


@pytest.mark.parametrize(
    ("observed", "status"),
    [
        ([5000, 5000], "stable"),
        ([6400, 3600], "stable"),
        ([7000, 3000], "watch"),
        ([7500, 2500], "drifted"),
        ([8, 2], "too few"),
        ([0, 0], "too few"),
    ],
)
def test_shift_says_what_the_index_means(observed, status):
    assert drift_index.shift([5000, 5000], observed).status == status


def test_shift_takes_what_chance_makes_of_few_documents_from_the_index():
    alone = drift_index.shift([5000, 5000], [6700, 3300])
    known = drift_index.shift([5000, 5000], [6700, 3300], noise=0.03)
    assert (alone.status, known.status) == ("watch", "stable")
    assert known.psi == alone.psi
    assert known.chance == pytest.approx(0.06)
    assert drift_index.shift([5000, 5000], [5000, 5000], noise=0.06).status == "too few"


def test_psi_a_bin_that_a_small_reference_lacks_counts_as_half_a_sentence():
    assert drift_index.psi([0, 200], [5, 995]) == pytest.approx(
        drift_index.psi([0.5, 199.5], [5, 995]), rel=0.01
    )


def test_shift_of_the_same_population_is_about_what_chance_makes():
    rng = np.random.default_rng(0)
    share = np.full(10, 0.1)
    found = [
        drift_index.shift(
            rng.multinomial(2000, share).tolist(), rng.multinomial(2000, share).tolist()
        )
        for _ in range(50)
    ]
    assert np.mean([s.psi for s in found]) == pytest.approx(found[0].chance, rel=0.3)


def test_read_reference_of_another_version_names_the_remedy(tmp_path):
    path = tmp_path / "reference.json"
    path.write_text('{"reference_version": 99}')
    with pytest.raises(ArtifactError, match=r"reference_version must be 1 or 2.*-m ml export"):
        drift_index.read_reference(path)
    with pytest.raises(ArtifactError, match=r"cannot be read.*-m ml export"):
        drift_index.read_reference(tmp_path / "none.json")


def test_import_needs_neither_torch_nor_sklearn_nor_tokenizers():
    code = (
        "import sys, service.nlp.artifacts.drift_index;"
        "print(sorted({'torch', 'sklearn', 'tokenizers', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
