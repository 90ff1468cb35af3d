"""Commands as processes, where folder and environment matter; tests/cli has the rest."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.e2e.conftest import ROOT
from tests.support.sentences import FLOW_TEXT


def test_env_file_in_the_project_root_is_read_from_any_folder(tmp_path):
    for package in ("service", "db"):
        shutil.copytree(ROOT / package, tmp_path / package)
    (tmp_path / "models_cache").mkdir()
    shutil.copy(ROOT / "models_cache" / "CURRENT", tmp_path / "models_cache")
    (tmp_path / ".env").write_text("DATA_DIR=kept\n")
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "service", "db", "upgrade"]
    subprocess.run(command, cwd="/", env=environ, check=True)
    assert (tmp_path / "kept" / "riskscan.db").is_file()


@pytest.mark.parametrize(
    "settings",
    [
        {"DATA_DIR": "/proc/x"},
        {"DATABASE_URL": "mysql://root:hunter2@127.0.0.1/x?nosuchoption=1"},
    ],
    ids=["keys", "option"],
)
def test_serve_with_unusable_settings_names_the_remedy(riskscan, settings):
    done = riskscan(**settings)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.match(r"riskscan: .*(DATABASE_URL|DATA_DIR)", done.stderr.splitlines()[-1])
    assert "hunter2" not in done.stderr


def test_scan_writes_no_telemetry_of_onnx_runtime(riskscan, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    done = riskscan("scan", "-", stdin=FLOW_TEXT, HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert not list(home.rglob("*"))  # its telemetry would store a database and an identifier here
