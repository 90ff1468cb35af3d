"""The font files of PDF reports: Noto Sans from its package, then those of REPORT_FONTS."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

_NOTO_SANS = "files/NotoSans[wdth,wght].ttf"


def installed_fonts(others: Sequence[Path]) -> list[Path]:
    """Return Noto Sans, then `others` for the characters that it lacks."""
    return [Path(str(files("fontpkg_noto_sans") / _NOTO_SANS)), *others]
