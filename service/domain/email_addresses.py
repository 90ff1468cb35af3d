"""Normalized e-mail addresses, as they are stored and looked up. Imports nothing of ours."""

from __future__ import annotations

import email_validator

MAX_CHARS = 254
"""RFC 5321. The package would look at a longer one, in time that grows with the square of its length."""


def normalized(email: str) -> str:
    """Return the address in lower case, with a normalized domain.

    Raises:
        EmailNotValidError: the message says what is wrong.
    """
    # This list would refuse the internal domains of on-prem addresses (a@corp.local). The package documents
    # that it may be emptied.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    address = email.strip()
    if len(address) > MAX_CHARS:
        raise email_validator.EmailSyntaxError(f"The address has more than {MAX_CHARS} characters.")
    validated = email_validator.validate_email(
        address, check_deliverability=False, globally_deliverable=False
    )
    return validated.normalized.lower()
