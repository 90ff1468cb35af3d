"""A model that is built from its adapter serves over HTTP, beside the shipped one."""

import pytest

from tests.e2e.test_deployments import serving
from tests.ml.step import run_step
from tests.support.adapters import MODEL, write_base, write_calibrated_run
from tests.support.artifacts import NAME, VERSION


@pytest.fixture
def built(tmp_path):
    """The folder of a small model of the accurate one's shape, built from base and adapter."""
    base = write_base(tmp_path / "base")
    config = write_calibrated_run(tmp_path, base, rank=3, adapter_rank=3)
    adapter, models = tmp_path / "adapter", tmp_path / "models"
    assert run_step("make-adapter", config, adapter).exit_code == 0
    done = run_step("build-artifact", adapter, "--base", base, "--models", models)
    assert done.exit_code == 0, done.stderr
    return models / MODEL


def test_built_model_scores_scans_and_is_listed_with_the_shipped_one(start, riskscan, built):
    settings = {"MODEL_DIR": str(built), "OMP_NUM_THREADS": "1"}
    assert serving(start(**settings)) == MODEL
    lines = riskscan("models", "list", **settings).stdout.splitlines()
    states = {line.split()[0]: line.split()[1] for line in lines[1:] if not line.startswith(" ")}
    assert states[MODEL] == "serving"
    assert states[f"{NAME}/{VERSION}"] == "available"
