"""Masks e-mail addresses, phone numbers and IBANs in sentences before they leave the machine."""

from __future__ import annotations

import re

_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)*")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", re.IGNORECASE)
# An international prefix or a leading zero, then more digits with the usual separators.
_PHONE = re.compile(
    r"(?<![\w.,])(?:(?:\+|00)[1-9](?:[ ./()-]{0,2}\d){6,13}|\(?0[1-9](?:[ /()-]{0,2}\d){5,12})(?!\w)"
)
# North America writes neither: (555) 123-4567, 555-123-4567.
_NORTH_AMERICA = re.compile(r"(?<![\w.,])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[ .-]\d{4}(?!\w)")


def mask(sentence: str) -> str:
    """Return the sentence with [email], [phone] and [iban] in place of addresses and numbers."""
    masked = _EMAIL.sub("[email]", sentence)
    masked = _IBAN.sub(lambda match: "[iban]" if _is_iban(match[0]) else match[0], masked)
    return _NORTH_AMERICA.sub("[phone]", _PHONE.sub("[phone]", masked))


def _is_iban(text: str) -> bool:
    """Return whether the check digits are right (ISO 13616: the number modulo 97 is 1)."""
    compact = text.replace(" ", "").upper()
    digits = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return int(digits) % 97 == 1
