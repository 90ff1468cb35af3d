"""Preferences: a user's stored settings as a value. A scan follows them where its request says nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from db.tables import UserSettings
from service.nlp.artifacts.operating_points import Sensitivity
from service.nlp.pipeline import ScanDefaults


@dataclass(frozen=True, slots=True)
class Preferences:
    """The settings of one user. Scans store what both `store_text` and the operator's STORE_TEXT allow.

    If these allow the whole text and `store_original` is set, the bytes of uploads are stored too.
    """

    defaults: ScanDefaults = field(default_factory=ScanDefaults)
    retention_days: int | None = None
    store_text: str = "full"
    store_original: bool = False


def preferences(stored: UserSettings | None) -> Preferences:
    """Return a user's stored settings, or the defaults if there are none."""
    if stored is None:
        return Preferences()
    sensitivity = cast("Sensitivity", stored.sensitivity)
    defaults = ScanDefaults(sensitivity, stored.force_llm, stored.thresholds)
    return Preferences(defaults, stored.retention_days, stored.store_text, stored.store_original)
