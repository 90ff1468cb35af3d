"""Normalized e-mail addresses, as they are stored and looked up. Imports nothing of ours."""

from __future__ import annotations

import email_validator


def normalized(email: str) -> str:
    """Return the address in lower case, with a normalized domain.

    Raises:
        EmailNotValidError: the message says what is wrong.
    """
    # This list would refuse the internal domains of on-prem addresses (a@corp.local). The package documents
    # that it may be emptied.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    validated = email_validator.validate_email(
        email.strip(), check_deliverability=False, globally_deliverable=False
    )
    return validated.normalized.lower()
