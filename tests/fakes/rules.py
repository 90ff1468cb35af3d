"""Keyword rules that replace a model: sentence in, risk types out."""

from __future__ import annotations

KEYWORDS = {
    "tight budget": "tight-budget",
    "aggressive deadline": "aggressive-deadline",
    "single point of failure": "outage",
    "nobody else knows": "key-person",
}


def risk_types(sentence: str) -> list[str]:
    return [risk for keyword, risk in KEYWORDS.items() if keyword in sentence.lower()]
