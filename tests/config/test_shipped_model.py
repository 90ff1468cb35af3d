"""models_cache/CURRENT names the shipped model; all other files read it from there."""

import subprocess

import pytest

from service.config.settings import ROOT, load
from service.config.shipped_model import shipped_folder
from service.errors import ConfigError
from tests.support.artifacts import NAME, VERSION

READERS = [
    "Dockerfile.cpu",
    "Dockerfile.gpu",
    ".dockerignore",
    ".gitignore",
    ".env.example",
    "compose.yaml",
    "service/config/settings.py",
]


def test_service_serves_the_model_that_current_names_unless_model_dir_is_set():
    named = (ROOT / "models_cache/CURRENT").read_text().strip()
    assert load({}).model_dir == ROOT / "models_cache" / named
    assert load({"MODEL_DIR": "elsewhere"}).model_dir == ROOT / "elsewhere"


@pytest.mark.parametrize("name", READERS)
def test_version_of_the_shipped_model_is_in_no_other_file(name):
    assert VERSION not in (ROOT / name).read_text()


@pytest.mark.parametrize("content", [None, b"", b"1.3.1", b"../a/b", b"a/b/c", b"a/..", b"\xff/1"])
def test_current_that_names_no_model_is_refused_with_its_path(tmp_path, content):
    if content is not None:
        (tmp_path / "CURRENT").write_bytes(content)
    with pytest.raises(ConfigError, match=f"{tmp_path}/CURRENT"):
        shipped_folder(tmp_path)


def test_shipped_model_is_completely_in_version_control():
    folder = f"models_cache/{NAME}/{VERSION}"
    git = subprocess.run(
        ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if git.returncode:
        pytest.skip("this tree is not under version control")
    tracked = {line.rpartition("/")[2] for line in git.stdout.splitlines()}
    assert tracked == {path.name for path in (ROOT / folder).iterdir()}
