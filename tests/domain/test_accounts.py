"""Accounts and log-ins from the user's side; faults are reported together and recorded."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from argon2 import PasswordHasher
from sqlalchemy import update

from db.queries import users
from db.queries.audit import list_events
from db.tables import Login, RefreshToken, User
from service.domain.accounts import logins
from service.domain.accounts.accounts import Accounts
from service.domain.accounts.tokens import AccessClaims, TokenMaker
from service.domain.limit_storage import LimitStorage
from service.errors import (
    Conflict,
    DatabaseUnavailable,
    InvalidRequest,
    NotFound,
    Unauthenticated,
)

EMAIL, PASSWORD = "ann@corp.local", "correct horse"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@pytest.fixture
def tokens(config):
    return TokenMaker(config)


@pytest.fixture
def accounts(config, transactions, tokens):
    return Accounts(config, transactions, tokens, limit_storage=LimitStorage())


@pytest.fixture
def ann(transactions):
    """An account whose password hash has outdated parameters."""
    return transactions.run(users.add_user, email=EMAIL, password_hash=HASH)


@pytest.fixture
def begin(transactions, tokens, ann):
    """Begin a log-in of Ann without her password; returns its claims and its refresh token."""

    def start():
        pair = transactions.run(logins.begin, tokens, ann.id)
        return tokens.read_access_token(pair.access_token), pair.refresh_token

    return start


def test_register_normalizes_the_address_and_records_it(accounts, events):
    assert accounts.register("Ann@CORP.local", PASSWORD).email == EMAIL
    assert events() == ["user.registered"]


def test_register_a_taken_address_conflicts(accounts, ann):
    with pytest.raises(Conflict, match="log in"):
        accounts.register(ann.email.upper(), PASSWORD)


def test_register_reports_every_fault(accounts):
    with pytest.raises(InvalidRequest) as caught:
        accounts.register("no address", "short")
    assert [fault.field for fault in caught.value.faults] == ["email", "password"]


def test_log_in_returns_tokens_that_authenticate(accounts, tokens, ann, events):
    pair = accounts.log_in(EMAIL, PASSWORD)
    claims = tokens.read_access_token(pair.access_token)
    assert accounts.authenticate(claims)[0].id == ann.id == pair.user_id
    assert pair.expires_in_s == tokens.access_life.total_seconds()
    assert events() == ["user.logged_in"]


def test_log_in_replaces_an_outdated_hash(accounts, transactions, ann):
    accounts.log_in(EMAIL, PASSWORD)
    assert transactions.read(users.user_by_email, EMAIL).password_hash != ann.password_hash
    assert accounts.log_in(EMAIL, PASSWORD)


@pytest.mark.parametrize(
    ("email", "password", "reason"),
    [
        (EMAIL, "wrong", "wrong password"),
        ("nobody@corp.local", PASSWORD, "unknown address"),
        ("no address", PASSWORD, "unknown address"),
    ],
)
@pytest.mark.usefixtures("ann")
def test_log_in_with_wrong_credentials_hides_the_reason_and_records_it(
    accounts, transactions, email, password, reason
):
    with pytest.raises(Unauthenticated, match="address or the password is wrong"):
        accounts.log_in(email, password)
    [event] = transactions.read(list_events, limit=9)
    assert (event.action, event.detail["reason"]) == ("login.failed", reason)


def test_log_in_of_a_disabled_account_is_refused(accounts, transactions, ann):
    disable = update(User).where(User.id == ann.id).values(disabled_at=datetime.now(UTC))
    transactions.run(lambda s: s.execute(disable).close())
    with pytest.raises(Unauthenticated):
        accounts.log_in(EMAIL, PASSWORD)
    [event] = transactions.read(list_events, limit=9)
    assert event.detail["reason"] == "disabled"


def test_refresh_returns_new_tokens_of_the_same_log_in(accounts, tokens, begin):
    claims, refresh_token = begin()
    pair = accounts.refresh(refresh_token)
    assert tokens.read_access_token(pair.access_token) == claims
    assert pair.refresh_token != refresh_token


def test_refresh_twice_with_one_token_ends_its_log_in(accounts, begin, events):
    claims, refresh_token = begin()
    newest = accounts.refresh(refresh_token).refresh_token
    for token in (refresh_token, newest):
        with pytest.raises(Unauthenticated, match="log in again"):
            accounts.refresh(token)
    with pytest.raises(Unauthenticated, match="has ended"):
        accounts.authenticate(claims)
    assert events()[0] == "token.reused"


def test_refresh_with_an_expired_token_is_refused(accounts, transactions, begin):
    past = datetime.now(UTC) - timedelta(seconds=1)
    _, refresh_token = begin()
    transactions.run(lambda s: s.execute(update(RefreshToken).values(expires_at=past)).close())
    with pytest.raises(Unauthenticated, match="no longer valid"):
        accounts.refresh(refresh_token)


def test_refresh_with_an_unknown_token_is_refused(accounts, tokens):
    with pytest.raises(Unauthenticated, match="no longer valid"):
        accounts.refresh(tokens.refresh_token())
    with pytest.raises(Unauthenticated, match="not valid"):
        accounts.refresh("made up")


def test_change_password_ends_the_other_log_ins(accounts, ann, begin, events):
    own, other = begin()[0], begin()[0]
    accounts.change_password(ann, own, current=PASSWORD, new="another one")
    assert accounts.authenticate(own)
    with pytest.raises(Unauthenticated):
        accounts.authenticate(other)
    assert accounts.log_in(EMAIL, "another one")
    assert events()[:2] == ["user.logged_in", "password.changed"]


def test_change_password_reports_every_fault_and_records_a_wrong_password(
    accounts, ann, begin, events
):
    with pytest.raises(InvalidRequest) as caught:
        accounts.change_password(ann, begin()[0], current="wrong", new="short")
    assert [fault.field for fault in caught.value.faults] == ["current_password", "new_password"]
    assert events()[0] == "password.refused"


def test_change_password_after_a_concurrent_change_conflicts(accounts, ann, begin):
    claims = begin()[0]
    accounts.change_password(ann, claims, current=PASSWORD, new="another one")
    with pytest.raises(Conflict, match="changed elsewhere"):
        accounts.change_password(ann, claims, current=PASSWORD, new="a third one")


def test_end_log_in_twice_stops_its_tokens_and_is_recorded_once(
    accounts, transactions, ann, begin, events
):
    claims, refresh_token = begin()
    for _ in range(2):
        transactions.run(logins.end, ann.id, claims.login_id)
    with pytest.raises(Unauthenticated):
        accounts.authenticate(claims)
    with pytest.raises(Unauthenticated):
        accounts.refresh(refresh_token)
    assert events() == ["user.logged_out", "user.logged_in"]


def test_end_log_in_of_another_account_is_not_found(accounts, transactions, user, begin):
    claims = begin()[0]
    with pytest.raises(NotFound):
        transactions.run(logins.end, user.id, claims.login_id)
    assert accounts.authenticate(claims)


def test_end_all_log_ins_twice_records_their_number_once(accounts, transactions, ann, begin):
    claims = [begin()[0] for _ in range(2)]
    for _ in range(2):
        transactions.run(logins.end_all, ann.id)
    for each in claims:
        with pytest.raises(Unauthenticated):
            accounts.authenticate(each)
    ended = [e for e in transactions.read(list_events, limit=9) if e.action == "user.logged_out"]
    assert [event.detail["n_logins"] for event in ended] == [2]


def test_authenticate_an_unknown_log_in_is_refused(accounts, ann):
    with pytest.raises(Unauthenticated):
        accounts.authenticate(AccessClaims(ann.id, UUID(int=1)))


def last_use(transactions, claims):
    return transactions.read(lambda s: s.get(Login, claims.login_id).last_used_at)


def set_last_use_two_minutes_ago(transactions):
    two_minutes_ago = datetime.now(UTC) - timedelta(minutes=2)
    transactions.run(
        lambda s: s.execute(update(Login).values(last_used_at=two_minutes_ago)).close()
    )


def test_authenticate_stores_the_time_of_use_once_a_minute(accounts, transactions, begin):
    claims = begin()[0]
    accounts.authenticate(claims)
    first = last_use(transactions, claims)
    accounts.authenticate(claims)
    assert last_use(transactions, claims) == first
    set_last_use_two_minutes_ago(transactions)
    accounts.authenticate(claims)
    assert last_use(transactions, claims) >= first


class ReadOnlyTransactions:
    """Transactions over a database that refuses writes; counts the refusals."""

    def __init__(self, transactions):
        self.read = transactions.read
        self.n_refused = 0

    def run(self, *_):
        self.n_refused += 1
        raise DatabaseUnavailable("The database is read-only.")


def test_authenticate_on_a_read_only_database_succeeds_and_tries_one_write(
    config, transactions, tokens, begin
):
    claims = begin()[0]
    set_last_use_two_minutes_ago(transactions)
    read_only = ReadOnlyTransactions(transactions)
    accounts = Accounts(config, read_only, tokens, limit_storage=LimitStorage())
    for _ in range(3):
        assert accounts.authenticate(claims)[0].email == EMAIL
    assert read_only.n_refused == 1
