"""Accounts, log-ins and refresh tokens."""

import hashlib
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils.compat
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError, OperationalError

from db.queries import users
from db.tables import RefreshToken, User
from tests.db.conftest import add_user

NOW = datetime.now(UTC)


def email():
    return f"{secrets.token_hex(8)}@corp.local"


@pytest.fixture
def token_hash(database, login):
    """The hash of a refresh token of `login`, good for a day."""
    return issue(database, login)


def issue(database, login, expires_at=NOW + timedelta(days=1)):
    token_hash = hashlib.sha256(secrets.token_bytes()).hexdigest()
    database.run(
        lambda s: users.add_refresh_token(s, login.id, token_hash=token_hash, expires_at=expires_at)
    )
    return token_hash


def take(database, token_hash, now=NOW):
    return database.run(lambda s: users.redeem_refresh_token(s, token_hash, now))


def disable(database, user):
    disabled = update(User).where(User.id == user.id).values(disabled_at=NOW)
    database.run(lambda s: s.execute(disabled))


def test_add_user_with_a_taken_address_raises_email_taken(database, user):
    with pytest.raises(users.EmailTaken):
        database.run(lambda s: add_user(s, email=user.email))


def test_add_user_with_an_accented_twin_of_an_address_is_another_account(database):
    plain = email()
    database.run(lambda s: add_user(s, email=f"e{plain}"))
    twin = database.run(lambda s: add_user(s, email=f"é{plain}"))
    assert database.run(lambda s: users.user_by_email(s, f"é{plain}")).id == twin.id


def test_add_user_with_an_unknown_role_is_refused(database):
    with pytest.raises((IntegrityError, OperationalError)):
        database.run(lambda s: add_user(s, role="root"))


def test_user_by_email_unknown_is_none(database):
    assert database.run(lambda s: users.user_by_email(s, email())) is None


def test_set_password_hash_stores_it(database, user):
    database.run(lambda s: users.set_password_hash(s, user.id, "renewed"))
    stored = database.run(lambda s: users.user_by_email(s, user.email))
    assert stored.password_hash == "renewed"


def test_user_created_at_keeps_microseconds_and_zone(database, user):
    stored = database.run(lambda s: users.user_by_email(s, user.email))
    assert stored.created_at == user.created_at
    assert stored.created_at.tzinfo is UTC


def test_user_by_login_that_runs_is_the_user(database, user, login):
    owner, last_used_at, settings = database.run(
        lambda s: users.user_by_login(s, user.id, login.id)
    )
    assert (owner.id, last_used_at, settings) == (user.id, login.created_at, None)


def test_user_by_login_revoked_is_none(database, user, login):
    database.run(lambda s: users.revoke_login(s, login.id, "logged out"))
    assert database.run(lambda s: users.user_by_login(s, user.id, login.id)) is None


def test_user_by_login_disabled_is_none(database, user, login):
    disable(database, user)
    assert database.run(lambda s: users.user_by_login(s, user.id, login.id)) is None


def test_user_by_login_of_another_user_is_none(database, login):
    other = database.run(add_user)
    assert database.run(lambda s: users.user_by_login(s, other.id, login.id)) is None


def test_revoke_login_twice_keeps_the_first_reason(database, login, token_hash):
    database.run(lambda s: users.revoke_login(s, login.id, "logged out"))
    database.run(lambda s: users.revoke_login(s, login.id, "reused"))
    outcome, revoked = take(database, token_hash)
    assert (outcome, revoked.revoked_reason) == ("revoked", "logged out")


def test_revoke_logins_of_user_ends_each(database, user, login):
    second = database.run(lambda s: users.begin_login(s, user.id))
    database.run(lambda s: users.revoke_user_logins(s, user.id, "password changed"))
    for ended in (login, second):
        assert database.run(lambda s, i=ended.id: users.user_by_login(s, user.id, i)) is None


def test_begin_login_of_a_deleted_user_is_refused(database):
    with pytest.raises(IntegrityError):
        database.run(lambda s: users.begin_login(s, uuid_utils.compat.uuid7()))


def test_redeem_refresh_token_once_is_ok_then_reused(database, login, token_hash):
    assert take(database, token_hash)[0] == "ok"
    outcome, revoked = take(database, token_hash)
    assert (outcome, revoked.id) == ("reused", login.id)


def test_redeem_refresh_token_unknown_has_no_login(database):
    assert take(database, "f" * 64) == ("unknown", None)


def test_redeem_refresh_token_at_its_expiry_is_expired(database, login):
    assert take(database, issue(database, login, expires_at=NOW))[0] == "expired"


def test_redeem_refresh_token_of_a_disabled_user_is_revoked(database, user, token_hash):
    disable(database, user)
    assert take(database, token_hash)[0] == "revoked"


def test_redeem_refresh_token_in_a_race_lets_one_win(database, login):
    with ThreadPoolExecutor(3) as pool:
        for _ in range(10):
            hashed, barrier = issue(database, login), threading.Barrier(3)

            def rotate(_, hashed=hashed, barrier=barrier):
                barrier.wait(60)
                return take(database, hashed)[0]

            assert sorted(pool.map(rotate, range(3))) == ["ok", "reused", "reused"]


def test_delete_user_deletes_logins_and_tokens(database, user, token_hash):
    database.run(lambda s: s.delete(s.get(User, user.id)))
    assert take(database, token_hash) == ("unknown", None)


def test_stored_time_without_a_zone_is_refused(database, login):
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the fault under test
    token = RefreshToken(
        id=login.id, login_id=login.id, token_hash="x", created_at=naive, expires_at=NOW
    )
    with pytest.raises(Exception, match="time zone"):
        database.run(lambda s: (s.add(token), s.flush()))
