"""Passwords: verified by their hash, and as slowly for an account that does not exist."""

import pytest

from service.domain.accounts import passwords


@pytest.fixture(scope="module")
def stored():
    return passwords.hash_password("correct horse")


def test_password_fits_its_own_hash_alone(stored):
    assert passwords.verify_password("correct horse", stored)
    assert not passwords.verify_password("battery staple", stored)


def test_password_of_no_account_is_verified_against_a_hash_and_refused(monkeypatch):
    verified = []
    verify = passwords.PasswordHasher.verify

    def recorded(hasher, password_hash, password):
        verified.append(password_hash)
        return verify(hasher, password_hash, password)

    monkeypatch.setattr(passwords.PasswordHasher, "verify", recorded)
    assert not passwords.verify_password("anything", None)
    assert [passwords.is_outdated(password_hash) for password_hash in verified] == [False]


def test_hash_of_other_parameters_is_outdated(stored):
    assert not passwords.is_outdated(stored)
    assert passwords.is_outdated(stored.replace("t=2", "t=1"))
