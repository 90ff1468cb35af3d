"""Passwords: verified by their hash, which takes as long for an unknown account."""

import pytest

from service.domain.accounts import passwords


@pytest.fixture(scope="module")
def stored():
    return passwords.hash_password("correct horse")


def test_verify_password_accepts_the_right_one_alone(stored):
    assert passwords.verify_password("correct horse", stored)
    assert not passwords.verify_password("battery staple", stored)


def test_verify_password_of_an_unknown_account_verifies_a_hash_and_refuses(monkeypatch):
    verified = []
    verify = passwords.PasswordHasher.verify

    def record(hasher, password_hash, password):
        verified.append(password_hash)
        return verify(hasher, password_hash, password)

    monkeypatch.setattr(passwords.PasswordHasher, "verify", record)
    assert not passwords.verify_password("anything", None)
    assert [passwords.is_outdated(password_hash) for password_hash in verified] == [False]


def test_hash_with_other_parameters_is_outdated(stored):
    assert not passwords.is_outdated(stored)
    assert passwords.is_outdated(stored.replace("t=2", "t=1"))
