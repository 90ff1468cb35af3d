"""Chooses the default model, which serves until an administrator activates another one."""

from __future__ import annotations

from pathlib import Path

from service.config.settings import Config
from service.config.shipped_model import MODELS_CACHE, accurate_folder
from service.nlp.inference import cuda


def default_folder(config: Config, cache: Path = MODELS_CACHE) -> Path:
    """Return the folder that MODEL_DIR or MODEL names.

    Without either: on a GPU the accurate model if it is built, else the one that models_cache/CURRENT names.
    """
    if config.names_model:
        return config.model_dir
    accurate = accurate_folder(cache)
    return accurate if accurate is not None and _runs_on_gpu(config.device) else config.model_dir


def _runs_on_gpu(device: str) -> bool:
    """Tell whether `open_engine` would use a GPU, or fail, for DEVICE."""
    if device == "auto":
        return cuda.probe().fault() is None
    return device != "cpu"
