"""Thousands of hostile requests against a real service process."""

import subprocess
import sys

import pytest

from tests.e2e.conftest import ROOT


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("database", ["sqlite", "mysql"])
def test_service_outlives_hostile_requests_without_a_fault(database):
    options = ["--seed", "1", "--requests", "3000", "--examples", "1", "--database", database]
    command = [sys.executable, "-m", "tests.e2e.hostile", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
