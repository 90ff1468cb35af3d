"""Normalized e-mail addresses, as they are stored and looked up. Imports nothing of ours."""

from __future__ import annotations

import email_validator


def normalized(email: str) -> str:
    """Return the address in lower case, with a normalized domain.

    Raises:
        EmailNotValidError: the message says what is wrong.
    """
    # On-prem addresses use internal domains (a@corp.local), which this list would refuse. The
    # package documents that it may be emptied.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    checked = email_validator.validate_email(
        email.strip(), check_deliverability=False, globally_deliverable=False
    )
    return checked.normalized.lower()
