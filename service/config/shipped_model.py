"""The models in models_cache: the shipped one, which only CURRENT names, and the accurate one of ACCURATE.

Imports only errors.
"""

from __future__ import annotations

import re
from pathlib import Path

from service.errors import ConfigError

MODELS_CACHE = Path(__file__).resolve().parents[2] / "models_cache"
CURRENT_FILE = "CURRENT"
ACCURATE_FILE = "ACCURATE"
FAST, ACCURATE = "fast", "accurate"
_MODEL = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_MANIFEST_FILE = "manifest.json"


def shipped_folder(cache: Path = MODELS_CACHE) -> Path:
    """Return the folder of the model that `cache`/CURRENT names as name/version.

    Raises:
        ConfigError: the file is missing, or contains anything else.
    """
    return cache / _model_named_in(cache / CURRENT_FILE)


def accurate_folder(cache: Path = MODELS_CACHE) -> Path | None:
    """Return the folder of the model that `cache`/ACCURATE names; None if that model is not built.

    Raises:
        ConfigError: the file contains anything else.
    """
    if not (cache / ACCURATE_FILE).is_file():
        return None
    folder = cache / accurate_model(cache)
    return folder if (folder / _MANIFEST_FILE).is_file() else None


def shipped_folders(cache: Path = MODELS_CACHE) -> tuple[Path, ...]:
    """Return the folders of the shipped model, and of the accurate one if it is built.

    Raises:
        ConfigError: CURRENT or ACCURATE names no model.
    """
    accurate = accurate_folder(cache)
    return (shipped_folder(cache), *([accurate] if accurate else []))


def accurate_model(cache: Path = MODELS_CACHE) -> str:
    """Return the name/version in `cache`/ACCURATE.

    Raises:
        ConfigError: the file is missing, or contains anything else.
    """
    return _model_named_in(cache / ACCURATE_FILE)


def folder_of(model: str, cache: Path = MODELS_CACHE) -> Path:
    """Return the folder of `model`: fast, accurate, name/version, or the name of a model with one version.

    `fast` is the model that `cache`/CURRENT names, as is an empty `model`.

    Raises:
        ConfigError: there is no such model; the message names the remedy.
    """
    if model in {"", FAST}:
        return shipped_folder(cache)
    if model == ACCURATE:
        folder = accurate_folder(cache)
        if folder is None:
            raise ConfigError("MODEL=accurate is not built; run `make accurate` first.")
        return folder
    versions = _versions(model, cache)
    if len(versions) == 1:
        return versions[0]
    models = ", ".join(f"{v.parent.name}/{v.name}" for v in versions or _versions("*", cache))
    raise ConfigError(
        f"MODEL={model[:80]} names {'several models' if versions else 'no model'} in {cache}; "
        f"set it to one of: {FAST}, {ACCURATE}, {models}."
    )


def _versions(model: str, cache: Path) -> list[Path]:
    """Return the folders of name/version, of all versions of a name, or of all models for `*`."""
    if _MODEL.fullmatch(model):
        pattern = model
    elif model == "*" or _NAME.fullmatch(model):
        pattern = f"{model}/*"
    else:
        return []
    return sorted(path.parent for path in cache.glob(f"{pattern}/{_MANIFEST_FILE}"))


def _model_named_in(path: Path) -> str:
    try:
        model = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read; fetch it again from version control, or set MODEL_DIR."
        ) from error
    if not _MODEL.fullmatch(model):
        raise ConfigError(
            f"{path} contains {model[:80]!r}; it must contain one name/version such as my-model/1.0.0."
        )
    return model
