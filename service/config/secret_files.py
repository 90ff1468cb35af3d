"""Secrets from files, as containers provide them: NAME_FILE names the file."""

from __future__ import annotations

from collections.abc import Mapping

from service.config.field_types import ROOT


def read_secret(name: str, environ: Mapping[str, str]) -> str:
    """Return the secret `name`, or the content of the file that NAME_FILE names.

    Raises:
        ValueError: both are set, or the file is empty or cannot be read.
    """
    value, path = environ.get(name, ""), environ.get(f"{name}_FILE", "")
    if not path:
        return value
    if value:
        raise ValueError(f"and {name}_FILE are both set; set only one of them")
    try:
        value = (ROOT / path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"cannot be read from {path} ({type(error).__name__}); let {name}_FILE name a UTF-8 file "
            "that this user may read"
        ) from error
    if not value:
        raise ValueError(f"cannot be read from {path}, which is empty")
    return value
