"""What an operator does to accounts; races are tried on each kind of database."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from db import migrate
from db.queries import users
from db.queries.audit import list_events
from db.queries.users import live_logins
from db.tables import User
from service.domain.accounts import user_admin
from service.domain.accounts.accounts import Accounts
from service.domain.accounts.tokens import TokenMaker
from service.domain.audit import Actor
from service.domain.transactions import Transactions, open_database
from service.errors import Conflict, InvalidRequest, NotFound, Unauthenticated

OPERATOR = Actor(operator="cli:root")


class Office:
    """One database with its accounts, as operator and owners reach them."""

    def __init__(self, config, transactions):
        self.config = config
        self.transactions = transactions
        self.tokens = TokenMaker(config)
        self.accounts = Accounts(config, transactions, self.tokens)

    def make(self, role="user"):
        email = f"{secrets.token_hex(8)}@corp.local"
        return self.accounts.register(email, "correct horse", role=role)

    def log_in(self, user, password="correct horse"):
        pair = self.accounts.log_in(user.email, password)
        return self.tokens.read_access_token(pair.access_token), pair.refresh_token

    def change(self, change, *arguments):
        return self.transactions.run(change, *arguments, actor=OPERATOR)

    def disable(self, user):
        return self.change(user_admin.disable, user.email)

    def reset_password(self, user, password="a new password"):
        return self.accounts.reset_password(user.email, password, actor=OPERATOR)

    def delete(self, user):
        self.transactions.run(lambda s: s.delete(s.get(User, user.id)))

    def newest_event(self):
        return self.transactions.run(lambda s: list_events(s, limit=1))[0]


class TransactionsWithNews:
    """Transactions, after the first of which `news` happens."""

    def __init__(self, transactions, news):
        self.transactions = transactions
        self.news = [news]

    def run(self, work, *arguments):
        result = self.transactions.run(work, *arguments)
        while self.news:
            self.news.pop()()
        return result

    read = run


@pytest.fixture
def office(config, transactions):
    return Office(config, transactions)


@pytest.fixture
def office_on_each(config, empty_database_url):
    """An office on each kind of database in turn."""
    migrate.upgrade(empty_database_url)
    config = config.model_copy(update={"database_url": empty_database_url})
    transactions = Transactions(open_database(config, pool_size=5))
    yield Office(config, transactions)
    transactions.close()


def test_disable_stops_tokens_at_once_and_enable_revives_none(office):
    user = office.make()
    claims, refresh_token = office.log_in(user)
    assert office.disable(user).disabled_at is not None
    office.change(user_admin.enable, user.email)
    with pytest.raises(Unauthenticated):
        office.accounts.authenticate(claims)
    with pytest.raises(Unauthenticated):
        office.accounts.refresh(refresh_token)
    assert office.log_in(user)


def test_disabled_account_cannot_log_in_and_is_told_no_more_than_a_stranger(office):
    user = office.make()
    office.disable(user)
    with pytest.raises(Unauthenticated) as refused:
        office.log_in(user)
    with pytest.raises(Unauthenticated) as stranger:
        office.accounts.log_in("nobody@corp.local", "correct horse")
    assert refused.value.message == stranger.value.message


@pytest.mark.parametrize("take", [(user_admin.disable,), (user_admin.set_role, "user")])
def test_last_enabled_admin_stays(office, take):
    change, *arguments = take
    last, disabled = office.make("admin"), office.make("admin")
    office.disable(disabled)
    with pytest.raises(Conflict, match="set-role EMAIL admin"):
        office.change(change, last.email, *arguments)
    office.change(user_admin.enable, disabled.email)
    office.change(change, last.email, *arguments)


def test_of_two_admins_disabled_at_once_one_stays(office_on_each):
    admins, barrier = (
        [office_on_each.make("admin"), office_on_each.make("admin")],
        threading.Barrier(2),
    )

    def disable(user):
        barrier.wait(60)
        try:
            office_on_each.disable(user)
        except Conflict:
            return "refused"
        return "disabled"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(disable, admins)) == ["disabled", "refused"]


def test_set_role_takes_effect_for_running_logins(office):
    user = office.make()
    claims, _ = office.log_in(user)
    assert office.change(user_admin.set_role, user.email.upper(), "reviewer").role == "reviewer"
    assert office.accounts.authenticate(claims).role == "reviewer"


def test_reset_password_ends_every_login(office):
    user = office.make()
    claims, _ = office.log_in(user)
    office.reset_password(user)
    with pytest.raises(Unauthenticated):
        office.accounts.authenticate(claims)
    assert office.log_in(user, "a new password")


@pytest.mark.parametrize("change", ["disable", "reset_password", "delete"])
def test_login_does_not_begin_when_its_account_changes_after_the_password_was_verified(
    office_on_each, change
):
    user = office_on_each.make()
    news = TransactionsWithNews(
        office_on_each.transactions, lambda: getattr(office_on_each, change)(user)
    )
    accounts = Accounts(office_on_each.config, news, office_on_each.tokens)
    with pytest.raises(Unauthenticated):
        accounts.log_in(user.email, "correct horse")
    assert office_on_each.transactions.run(lambda s: live_logins(s, user.id, limit=1)) == []


def test_reset_password_too_short_is_refused(office):
    with pytest.raises(InvalidRequest) as refused:
        office.reset_password(office.make(), "short")
    assert "7" in refused.value.faults[0].message


@pytest.mark.parametrize("email", ["nobody@corp.local", "no address"])
def test_unknown_address_is_named(office, email):
    with pytest.raises(NotFound, match=email):
        office.change(user_admin.disable, email)


def test_change_moves_updated_at_and_names_the_operator(office):
    user = office.make()
    changed = office.change(user_admin.set_role, user.email, "reviewer")
    assert user.updated_at == user.created_at < changed.updated_at
    event = office.newest_event()
    assert (event.action, event.object_id) == ("user.role_changed", str(user.id))
    assert event.detail == {"operator": "cli:root", "before": "user", "after": "reviewer"}


def test_change_that_is_in_place_already_leaves_no_event(office):
    user = office.make()
    for _ in "12":
        office.disable(user)
    office.change(user_admin.set_role, user.email, "user")
    assert office.newest_event().action == "user.disabled"


def test_list_has_every_account_by_address(office):
    made = [office.make() for _ in range(3)]
    office.disable(made[0])
    assert [u.email for u in office.transactions.read(users.list_users)] == sorted(
        user.email for user in made
    )
