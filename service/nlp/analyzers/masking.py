"""Masks e-mail addresses, phone numbers and IBANs in sentences before they leave the machine."""

from __future__ import annotations

import re

_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)*")
MIN_IBAN_CHARS = 15  # Norway's
_SPACE = "[ \u00a0\u202f]"  # PDF readers keep no-break spaces
_IBAN = re.compile(
    rf"\b[A-Z]{{2}}\d{{2}}(?:{_SPACE}?[A-Z0-9]{{4}}){{2,7}}(?:{_SPACE}?[A-Z0-9]{{1,3}})?\b",
    re.IGNORECASE,
)
# An international prefix or a leading zero, then more digits with the usual separators.
_PHONE = re.compile(
    rf"(?<![\w.,])(?:(?:\+|00)[1-9](?:(?:{_SPACE}|[./()-]){{0,2}}\d){{6,13}}"
    rf"|\(?0[1-9](?:(?:{_SPACE}|[/()-]){{0,2}}\d){{5,12}})(?!\w)"
)
# North America writes neither: (555) 123-4567, 555-123-4567.
_NORTH_AMERICA = re.compile(r"(?<![\w.,])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[ .-]\d{4}(?!\w)")


def mask(sentence: str) -> str:
    """Return the sentence with [email], [phone] and [iban] in place of addresses and numbers."""
    masked = _EMAIL.sub("[email]", sentence)
    masked = _mask_ibans(masked)
    return _NORTH_AMERICA.sub("[phone]", _PHONE.sub("[phone]", masked))


def _mask_ibans(text: str) -> str:
    return _IBAN.sub(lambda match: _mask_iban(match[0]), text)


def _mask_iban(text: str) -> str:
    """Mask the longest beginning that is an IBAN; short words that follow one look like a part of it."""
    ends = [len(text), *(match.start() for match in reversed([*re.finditer(_SPACE, text)]))]
    for end in ends:
        if _is_iban(text[:end]):
            return "[iban]" + _mask_ibans(text[end:])
    return text[:4] + _mask_ibans(text[4:])


def _is_iban(text: str) -> bool:
    """Return whether the check digits are right (ISO 13616: the number modulo 97 is 1)."""
    compact = re.sub(_SPACE, "", text).upper()
    if len(compact) < MIN_IBAN_CHARS:
        return False
    digits = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return int(digits) % 97 == 1
