"""The queue of batch items on each database: order, fairness, claims by many workers at once."""

import io
import secrets
import threading
from collections import Counter
from datetime import timedelta
from functools import partial
from queue import Queue
from uuid import UUID

import pytest

from db.queries import batch_queue as queue
from db.queries import batches as queries
from db.queries import users
from db.queries.reach import own
from db.tables import Batch, BatchItem, ItemState, User
from service.config.settings import load
from service.domain.batch_bytes import BatchBytes
from service.domain.batch_intake import BatchIntake, BatchLimits, BatchOptions, NewItem
from service.domain.batches import batches
from service.domain.transactions import Transactions, open_database
from service.errors import RiskscanError
from tests.support.databases import BACKENDS

LEASE = timedelta(seconds=60)


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def transactions(own_database_url):
    opened = Transactions(open_database(load({"DATABASE_URL": own_database_url}), pool_size=8))
    yield opened
    opened.close()


@pytest.fixture
def add_batch(transactions, tmp_path):
    """Send a batch of texts for a user; return its id."""
    stored = BatchBytes(transactions, tmp_path / "batches")
    limits = BatchLimits(10_000, 10**9, 10**6, 10**9)
    intake = BatchIntake(
        transactions, stored, limits, secret_key="k" * 32, announce=lambda _n: None
    )

    def add(user, n):
        items = (NewItem(f"{k}.txt", "text/plain", io.BytesIO(b"a")) for k in range(n))
        return intake.receive(user, BatchOptions("batch"), items).id

    return add


@pytest.fixture
def user_ids(transactions):
    """Four accounts, in the order in which they are chosen if all else is equal."""
    made = [
        transactions.run(
            users.add_user, email=f"{secrets.token_hex(8)}@corp.local", password_hash="x"
        ).id
        for _ in range(4)
    ]
    return sorted(made)


@pytest.fixture
def claim(transactions):
    """Claim the next item; return it with its claim."""

    def claim():
        item = transactions.run(queue.claim_item, worker="test", lease=LEASE)
        return item and (item, queue.ItemClaim(item.id, item.batch_id, item.claim_id))

    return claim


def test_items_are_claimed_in_order_and_none_twice(add_batch, user_ids, claim):
    add_batch(user_ids[0], 3)
    assert [claim()[0].position for _ in range(3)] == [1, 2, 3]
    assert claim() is None


def test_three_items_of_one_user_do_not_wait_for_the_thousand_of_another(
    add_batch, user_ids, claim, transactions
):
    busy, late, *_ = user_ids
    add_batch(busy, 1000)
    claim()
    add_batch(late, 3)
    served = []
    for _ in range(6):
        item, held = claim()
        served.append(item.user_id)
        transactions.run(queue.end_item, held, ItemState.DONE, {})
    assert served == [late, late, late, busy, busy, busy] or served[:5].count(late) == 3


def test_user_who_was_served_least_recently_is_next(add_batch, user_ids, claim, transactions):
    for user in user_ids:
        add_batch(user, 4)
    served = []
    for _ in range(8):
        item, held = claim()
        served.append(item.user_id)
        transactions.run(queue.end_item, held, ItemState.DONE, {})
    assert served == [*user_ids, *user_ids]


def test_new_batches_of_one_do_not_starve_an_older_batch(add_batch, user_ids, claim, transactions):
    old, eager = user_ids[:2]
    add_batch(old, 10)
    served = []
    for _ in range(10):
        add_batch(eager, 1)
        item, held = claim()
        served.append(item.user_id)
        transactions.run(queue.end_item, held, ItemState.DONE, {})
    assert Counter(served) == {old: 5, eager: 5}


def test_batches_of_one_user_take_turns(add_batch, user_ids, claim, transactions):
    first, second = add_batch(user_ids[0], 3), add_batch(user_ids[0], 3)
    served = []
    for _ in range(4):
        item, held = claim()
        served.append(item.batch_id)
        transactions.run(queue.end_item, held, ItemState.DONE, {})
    assert served == [first, second, first, second]


def test_disabled_account_is_not_served(add_batch, user_ids, claim, transactions):
    add_batch(user_ids[0], 1)
    disable = transactions.run
    disable(lambda s: s.get(User, user_ids[0]).__setattr__("disabled_at", queue.now(s)))
    assert claim() is None
    assert not transactions.read(queue.has_waiting)


def test_many_workers_claim_each_item_once(add_batch, user_ids, claim, transactions):
    for user in user_ids:
        add_batch(user, 15)
    claimed, lock = [], threading.Lock()

    def work():
        while (found := claim()) is not None:
            with lock:
                claimed.append(found[0].id)
            transactions.run(queue.end_item, found[1], ItemState.DONE, {})
            transactions.run(queue.finish_batch, found[1].batch_id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(claimed), len(set(claimed))) == (60, 60)
    for user in user_ids:
        [batch] = transactions.read(queries.list_batches, own(user), limit=9)
        assert (batch.state, batch.n_done, batch.n_running) == ("finished", 15, 0)


def test_cancelled_while_workers_claim_leaves_sound_counts(
    add_batch, user_ids, claim, transactions
):
    batch_id = add_batch(user_ids[0], 200)
    started = threading.Event()

    def work():
        while (found := claim()) is not None:
            started.set()
            transactions.run(queue.end_item, found[1], ItemState.DONE, {})

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    started.wait()
    assert transactions.run(queries.cancel_batch, batch_id)
    for thread in threads:
        thread.join()
    batch, found = transactions.read(lambda s: (s.get(Batch, batch_id), counted(s, batch_id)))
    assert batch.state == "cancelled"
    assert (batch.n_waiting, batch.n_running) == (0, 0)
    assert (batch.n_done, batch.n_cancelled) == (found["done"], found["cancelled"])


def counted(session, batch_id: UUID):
    rows = session.query(BatchItem.state).filter(BatchItem.batch_id == batch_id)
    return Counter(state for (state,) in rows)


def test_paused_user_waits_and_others_do_not(add_batch, user_ids, claim, transactions):
    first, second = user_ids[:2]
    batch_id = add_batch(first, 2)
    transactions.run(queue.pause, batch_id, of_user=first, seconds=60)
    assert claim() is None
    add_batch(second, 1)
    assert claim()[0].user_id == second


@pytest.fixture
def failed_batch(add_batch, user_ids, claim, transactions):
    """A queued batch with a failed, a waiting and a running document."""
    batch_id = add_batch(user_ids[0], 3)
    transactions.run(queue.end_item, claim()[1], ItemState.FAILED, {})
    claim()
    return batch_id


@pytest.fixture
def beside(transactions):
    """Run one transaction, and begin another on a thread before its commit; return the other's outcome."""

    def run(first, second):
        outcomes = Queue()
        thread = threading.Thread(target=lambda: outcomes.put(outcome_of(second)))

        def work(session):
            first(session)
            thread.start()
            thread.join(0.5)  # until the other transaction waits for the lock of this one

        transactions.run(work)
        thread.join()
        return outcomes.get_nowait()

    def outcome_of(second):
        try:
            return transactions.run(second)
        except RiskscanError as error:
            return error.code

    return run


def test_cancelled_while_failed_items_are_retried_leaves_none_waiting(
    failed_batch, user_ids, beside, transactions
):
    retry = partial(batches.retry, user_id=user_ids[0], batch_id=failed_batch)
    cancel = partial(batches.cancel, user_id=user_ids[0], batch_id=failed_batch)
    assert beside(retry, cancel) is True
    batch, found = transactions.read(
        lambda s: (s.get(Batch, failed_batch), counted(s, failed_batch))
    )
    assert (batch.state, batch.n_cancelled, batch.n_waiting) == ("cancelled", 3, 0)
    assert found == {"cancelled": 3}


def test_retried_while_it_is_cancelled_stays_cancelled(
    failed_batch, user_ids, beside, transactions
):
    retry = partial(batches.retry, user_id=user_ids[0], batch_id=failed_batch)
    cancel = partial(batches.cancel, user_id=user_ids[0], batch_id=failed_batch)
    assert beside(cancel, retry) == "conflict"
    batch, found = transactions.read(
        lambda s: (s.get(Batch, failed_batch), counted(s, failed_batch))
    )
    assert (batch.state, batch.n_failed, batch.n_waiting) == ("cancelled", 1, 0)
    assert found == {"cancelled": 2, "failed": 1}


def test_expired_lease_that_was_renewed_meanwhile_is_not_released(
    add_batch, user_ids, transactions
):
    add_batch(user_ids[0], 2)
    held = [transactions.run(queue.claim_item, worker="w", lease=-LEASE) for _ in range(2)]
    assert len(transactions.read(queue.list_expired, limit=9)) == 2
    claims = [queue.ItemClaim(item.id, item.batch_id, item.claim_id) for item in held]
    assert transactions.run(queue.renew_claims, claims[:1], lease=LEASE) == {claims[0].claim_id}
    assert [transactions.run(queue.lock_expired, claim) for claim in claims] == [False, True]
