"""`bulk`: wrong arguments, and an environment without Ray. tests/e2e/test_bulk.py runs it."""

import subprocess
import sys

import pytest

from service.config.settings import ROOT

WITHOUT_RAY = """
import sys
sys.modules["ray"] = None
from service.cli.main import main
main(["bulk", ".", "results"])
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["."], "Missing argument 'SINK'"),
        ([".", "database"], "needs --user"),
        ([".", "database", "--user", "a@b.example", "--to", "jsonl"], "write ./database"),
        ([".", "results", "--user", "a@b.example"], "for SINK database only"),
        ([".", "results", "--workers", "0"], "x>=1"),
        ([".", "results", "--ray-address", "ray://head:10001"], "machine of the cluster"),
    ],
)
def test_bulk_with_wrong_arguments_says_what_is_wrong(riskscan, arguments, message):
    result = riskscan("bulk", *arguments)
    assert result.returncode == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent", "results"], "SOURCE absent is neither a folder"),
        (["sqlite:///absent.db", "results"], "needs --query"),
        ([".", "database", "--user", "nobody@b.example"], "No account has the address"),
        ([".", "results", "--device", "cuda"], "cuda cannot be used"),
        ([".", "results"], "SINK results is inside SOURCE"),
    ],
)
def test_bulk_that_cannot_begin_names_the_remedy(
    riskscan, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    result = riskscan("bulk", *arguments)
    assert result.returncode == 1
    assert message in result.stderr
    assert not (tmp_path / "results").exists()


def test_bulk_without_ray_names_the_requirements_file():
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_RAY], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "pip install -r requirements-bulk.txt -c constraints.txt" in result.stderr
    assert "Traceback" not in result.stderr
