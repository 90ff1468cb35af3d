"""models_cache/CURRENT names the shipped model; all other files read it from there."""

import subprocess

import pytest

from service.config.settings import ROOT, load
from service.config.shipped_model import accurate_folder, folder_of, shipped_folder
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


@pytest.fixture
def cache(tmp_path):
    """A models_cache whose fast model is small/1.0.0, and whose accurate one, large/2.0.0, is built."""
    for model in ("small/1.0.0", "large/1.0.0", "large/2.0.0"):
        (tmp_path / model).mkdir(parents=True)
        (tmp_path / model / "manifest.json").write_text("{}")
    (tmp_path / "CURRENT").write_text("small/1.0.0\n")
    (tmp_path / "ACCURATE").write_text("large/2.0.0\n")
    return tmp_path


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("", "small/1.0.0"),
        ("fast", "small/1.0.0"),
        ("accurate", "large/2.0.0"),
        ("small", "small/1.0.0"),
        ("large/1.0.0", "large/1.0.0"),
    ],
)
def test_model_names_a_folder_of_models_cache(cache, model, folder):
    assert folder_of(model, cache) == cache / folder


def test_model_that_is_not_built_names_the_command(cache):
    (cache / "large/2.0.0/manifest.json").unlink()
    assert accurate_folder(cache) is None
    with pytest.raises(ConfigError, match="run `make accurate`"):
        folder_of("accurate", cache)


@pytest.mark.parametrize("model", ["large", "medium", "small/9.9.9", "../small", "*"])
def test_model_that_names_no_single_one_is_refused_with_the_choices(cache, model):
    with pytest.raises(ConfigError, match=r"MODEL=.*: fast, accurate, .*large/1\.0\.0"):
        folder_of(model, cache)


def test_model_dir_wins_over_model():
    assert load({"MODEL": "nothing", "MODEL_DIR": "elsewhere"}).model_dir == ROOT / "elsewhere"
    with pytest.raises(ConfigError, match="MODEL=nothing"):
        load({"MODEL": "nothing"})
