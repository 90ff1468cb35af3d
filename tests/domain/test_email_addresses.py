"""Addresses as they are stored and looked up."""

import email_validator
import pytest

from service.domain.email_addresses import normalized


def test_address_is_stored_in_lower_case_with_a_normalized_domain():
    assert normalized(" Ann@\uff23orp.Example.com ") == "ann@corp.example.com"


def test_address_of_an_internal_domain_is_taken():
    assert normalized("ann@corp.local") == "ann@corp.local"


def test_long_address_is_refused_before_it_is_looked_at(monkeypatch):
    monkeypatch.setattr(email_validator, "validate_email", None)
    with pytest.raises(email_validator.EmailNotValidError, match="more than 254 characters"):
        normalized("\u0301" * 62_000 + "@corp.local")
