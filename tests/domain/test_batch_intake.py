"""A batch whose files have arrived while the database fails."""

import io

import pytest

from db.queries import batch_queue as queue
from db.queries import batches as queries
from db.queries.reach import own
from service.domain.batch_bytes import BatchBytes
from service.domain.batch_intake import BatchIntake, BatchLimits, BatchOptions, NewItem
from service.domain.transactions import Transactions, open_database
from service.errors import DatabaseUnavailable


class FailingTransactions(Transactions):
    """Raises after the transaction that opens a batch, or before it, as if its COMMIT were in doubt."""

    is_committed = True

    def run(self, work, *args, **kwargs):
        is_opening = work.__name__ == "_open_batch"
        result = None
        if self.is_committed or not is_opening:
            result = super().run(work, *args, **kwargs)
        if is_opening:
            raise DatabaseUnavailable("It may have been stored.")
        return result


@pytest.fixture
def transactions(config):
    opened = FailingTransactions(open_database(config, pool_size=2))
    yield opened
    opened.close()


@pytest.fixture
def send(transactions, tmp_path, user):
    """Send a text as a batch of `user`, which fails."""
    stored = BatchBytes(transactions, tmp_path / "batches")
    limits = BatchLimits(100, 10**6, 10**6, 10**6)
    intake = BatchIntake(
        transactions, stored, limits, secret_key="k" * 32, announce=lambda _n: None
    )

    def receive():
        item = NewItem("a.txt", "text/plain", io.BytesIO(b"All is well."))
        with pytest.raises(DatabaseUnavailable):
            intake.receive(user.id, BatchOptions("batch"), [item])

    return receive


def test_batch_that_was_opened_by_a_commit_in_doubt_stays(send, transactions, user, tmp_path):
    send()
    [batch] = transactions.read(queries.list_batches, own(user.id), limit=9)
    assert (batch.state, batch.n_waiting) == ("queued", 1)
    assert transactions.read(queue.count_waiting) == 1
    assert len([*(tmp_path / "batches").glob("*/??/*")]) == 1


def test_batch_that_was_not_opened_by_a_commit_in_doubt_is_removed(
    send, transactions, user, tmp_path
):
    transactions.is_committed = False
    send()
    assert transactions.read(queries.stored_bytes, user.id) == {}
    assert [*(tmp_path / "batches").glob("*/??/*")] == []
