"""Runs a module of the benchmarks in a process of the serving environment: JSON in, JSON out."""

import json
import subprocess

from tests.bench.options import ROOT


def run_module(options, module, inputs):
    """Run `python -m module` with `inputs` as JSON on standard input; return its output, parsed.

    Raises:
        RuntimeError: the module failed; the message has its standard error.
    """
    process = subprocess.run(
        [options.service_python, "-m", module],
        cwd=ROOT,
        input=json.dumps(inputs),
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"{module} failed:\n{process.stderr}")
    return json.loads(process.stdout)
