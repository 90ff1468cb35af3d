"""The shipped model, which only models_cache/CURRENT names.

Imports only errors.
"""

from __future__ import annotations

import re
from pathlib import Path

from service.errors import ConfigError

MODELS_CACHE = Path(__file__).resolve().parents[2] / "models_cache"
CURRENT_FILE = "CURRENT"


def shipped_folder(cache: Path = MODELS_CACHE) -> Path:
    """Return the folder of the model that `cache`/CURRENT names as name/version.

    Raises:
        ConfigError: the file is missing, or contains anything else.
    """
    current = cache / CURRENT_FILE
    try:
        model = current.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{current} cannot be read; fetch it again from version control, or set MODEL_DIR."
        ) from error
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", model, re.ASCII):
        raise ConfigError(
            f"{current} contains {model[:80]!r}; it must contain one name/version such as my-model/1.0.0."
        )
    return cache / model
