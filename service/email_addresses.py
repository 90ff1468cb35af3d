"""E-mail addresses: the one form in which they are stored and looked up. Imports nothing of ours."""

from __future__ import annotations

import email_validator


def normalized(email: str) -> str:
    """Return the address lower-cased, its domain in one spelling.

    Raises:
        EmailNotValidError: with a sentence about what is wrong.
    """
    # On-prem addresses live on internal domains (a@corp.local), which this list would refuse;
    # emptying it is the package's documented way.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    checked = email_validator.validate_email(
        email.strip(), check_deliverability=False, globally_deliverable=False
    )
    return checked.normalized.lower()
