"""Runs a module of the benchmarks in a process of the serving environment: JSON in, JSON out."""

import json
import subprocess

from tests.bench.options import ROOT


def measured(options, module, given):
    """Return what `python -m module` answers to `given`.

    Raises:
        RuntimeError: it failed.
    """
    ended = subprocess.run(
        [options.service_python, "-m", module],
        cwd=ROOT,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"{module} failed:\n{ended.stderr}")
    return json.loads(ended.stdout)
