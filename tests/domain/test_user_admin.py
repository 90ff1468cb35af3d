"""Administration of accounts by an operator; races run on each kind of database."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from db.queries import users
from db.queries.audit import list_events
from db.queries.users import live_logins
from db.tables import User
from service.domain.accounts import user_admin
from service.domain.accounts.accounts import Accounts
from service.domain.accounts.tokens import TokenMaker
from service.domain.audit import Actor
from service.domain.limit_storage import LimitStorage
from service.domain.transactions import Transactions, open_database
from service.errors import Conflict, InvalidRequest, NotFound, Unauthenticated

OPERATOR = Actor(operator="cli:root")


class AccountsDriver:
    """Drives the accounts of one database as operator and as users."""

    def __init__(self, config, transactions):
        self.config = config
        self.transactions = transactions
        self.tokens = TokenMaker(config)
        self.accounts = Accounts(config, transactions, self.tokens, limit_storage=LimitStorage())

    def add_user(self, role="user"):
        email = f"{secrets.token_hex(8)}@corp.local"
        return self.accounts.register(email, "correct horse", role=role)

    def log_in(self, user, password="correct horse"):
        pair = self.accounts.log_in(user.email, password)
        return self.tokens.read_access_token(pair.access_token), pair.refresh_token

    def change(self, change, *arguments):
        return self.transactions.run(change, *arguments, actor=OPERATOR)

    def disable(self, user):
        return self.change(user_admin.disable, user.id)

    def reset_password(self, user, password="a new password"):
        return self.accounts.reset_password(user.id, password, actor=OPERATOR)

    def delete(self, user):
        self.transactions.run(lambda s: s.delete(s.get(User, user.id)))

    def newest_event(self):
        return self.transactions.run(lambda s: list_events(s, limit=1))[0]


class InterruptedTransactions:
    """Transactions; `interruption` is called after the first."""

    def __init__(self, transactions, interruption):
        self.transactions = transactions
        self.interruptions = [interruption]

    def run(self, work, *arguments):
        result = self.transactions.run(work, *arguments)
        while self.interruptions:
            self.interruptions.pop()()
        return result

    read = run


@pytest.fixture
def driver(config, transactions):
    return AccountsDriver(config, transactions)


@pytest.fixture
def driver_on_each(config, own_database_url):
    """An driver on each kind of database in turn."""
    config = config.model_copy(update={"database_url": own_database_url})
    transactions = Transactions(open_database(config, pool_size=5))
    yield AccountsDriver(config, transactions)
    transactions.close()


def test_disable_stops_tokens_at_once_and_enable_revives_none(driver):
    user = driver.add_user()
    claims, refresh_token = driver.log_in(user)
    assert driver.disable(user).disabled_at is not None
    driver.change(user_admin.enable, user.id)
    with pytest.raises(Unauthenticated):
        driver.accounts.authenticate(claims)
    with pytest.raises(Unauthenticated):
        driver.accounts.refresh(refresh_token)
    assert driver.log_in(user)


def test_log_in_to_a_disabled_account_fails_like_one_to_an_unknown_account(driver):
    user = driver.add_user()
    driver.disable(user)
    with pytest.raises(Unauthenticated) as refused:
        driver.log_in(user)
    with pytest.raises(Unauthenticated) as stranger:
        driver.accounts.log_in("nobody@corp.local", "correct horse")
    assert refused.value.message == stranger.value.message


@pytest.mark.parametrize("removal", [(user_admin.disable,), (user_admin.set_role, "user")])
def test_change_that_removes_the_last_admin_conflicts(driver, removal):
    change, *arguments = removal
    last, disabled = driver.add_user("admin"), driver.add_user("admin")
    driver.disable(disabled)
    with pytest.raises(Conflict, match="set-role EMAIL admin"):
        driver.change(change, last.id, *arguments)
    driver.change(user_admin.enable, disabled.id)
    driver.change(change, last.id, *arguments)


def test_disable_two_admins_at_once_keeps_one(driver_on_each):
    admins = [driver_on_each.add_user("admin") for _ in range(2)]
    barrier = threading.Barrier(2)

    def disable(user):
        barrier.wait(60)
        try:
            driver_on_each.disable(user)
        except Conflict:
            return "refused"
        return "disabled"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(disable, admins)) == ["disabled", "refused"]


def test_set_role_takes_effect_for_running_logins(driver):
    user = driver.add_user()
    claims, _ = driver.log_in(user)
    assert driver.change(user_admin.set_role, user.id, "reviewer").role == "reviewer"
    assert driver.accounts.authenticate(claims)[0].role == "reviewer"


def test_reset_password_ends_every_login(driver):
    user = driver.add_user()
    claims, _ = driver.log_in(user)
    driver.reset_password(user)
    with pytest.raises(Unauthenticated):
        driver.accounts.authenticate(claims)
    assert driver.log_in(user, "a new password")


@pytest.mark.parametrize("change", ["disable", "reset_password", "delete"])
def test_log_in_to_an_account_changed_after_its_password_was_verified_is_refused(
    driver_on_each, change
):
    user = driver_on_each.add_user()
    interrupted = InterruptedTransactions(
        driver_on_each.transactions, lambda: getattr(driver_on_each, change)(user)
    )
    accounts = Accounts(
        driver_on_each.config, interrupted, driver_on_each.tokens, limit_storage=LimitStorage()
    )
    with pytest.raises(Unauthenticated):
        accounts.log_in(user.email, "correct horse")
    assert driver_on_each.transactions.run(lambda s: live_logins(s, user.id, limit=1)) == []


def test_reset_password_too_short_is_refused(driver):
    with pytest.raises(InvalidRequest) as refused:
        driver.reset_password(driver.add_user(), "short")
    assert "7" in refused.value.faults[0].message


@pytest.mark.parametrize("email", ["nobody@corp.local", "no address"])
def test_id_of_an_unknown_address_names_it(driver, email):
    with pytest.raises(NotFound, match=email):
        driver.transactions.read(user_admin.id_of, email)


def test_id_of_an_address_ignores_case(driver):
    user = driver.add_user()
    assert driver.transactions.read(user_admin.id_of, user.email.upper()) == user.id


def test_disable_an_unknown_account_is_not_found(driver):
    with pytest.raises(NotFound):
        driver.change(user_admin.disable, uuid4())


def test_set_role_moves_updated_at_and_records_the_operator(driver):
    user = driver.add_user()
    changed = driver.change(user_admin.set_role, user.id, "reviewer")
    assert user.updated_at == user.created_at < changed.updated_at
    event = driver.newest_event()
    assert (event.action, event.object_id) == ("user.role_changed", str(user.id))
    assert event.detail == {"operator": "cli:root", "before": "user", "after": "reviewer"}


def test_change_without_effect_leaves_no_event(driver):
    user = driver.add_user()
    for _ in range(2):
        driver.disable(user)
    driver.change(user_admin.set_role, user.id, "user")
    assert driver.newest_event().action == "user.disabled"


def test_list_users_orders_every_account_by_address(driver):
    accounts = [driver.add_user() for _ in range(3)]
    driver.disable(accounts[0])
    assert [u.email for u in driver.transactions.read(users.list_users)] == sorted(
        user.email for user in accounts
    )
