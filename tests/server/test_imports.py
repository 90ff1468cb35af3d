"""The service on a CPU starts, and scores its golden sentences, where torch and transformers are missing."""

import subprocess
import sys

import pytest

from service.config.settings import ROOT

START = """
import sys
for name in ("torch", "transformers", "safetensors", "peft", "huggingface_hub", "ml"):
    sys.modules[name] = None  # an import of it fails, as in the CPU image
import service.server.startup
from service.app import create_app
from service.config.settings import load
from service.domain.services import build_services
with build_services(load({"DATA_DIR": sys.argv[1], "DEVICE": "cpu"})) as services:
    services.open()
    create_app(services)
    assert not {"fpdf", "fontTools", "lxml", "PIL"}.intersection(sys.modules), "too early"
    print("started")
"""


@pytest.mark.system
def test_start_on_a_cpu_needs_no_training_library(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", START, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["started"], done.stderr
