"""The clean-up of bytes that no document of a batch needs any more."""

import io

import pytest
from sqlalchemy import update

from db.tables import BatchItem, ItemState
from service.domain import batch_bytes as module
from service.domain.batch_intake import BatchIntake, BatchLimits, BatchOptions, NewItem


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch):
    monkeypatch.setattr(module, "_REMOVED_AT_ONCE", 2)


@pytest.fixture
def send(transactions, batch_bytes):
    """Send texts as a batch of a user; return its id."""
    limits = BatchLimits(100, 10**6, 10**6, 10**6)
    intake = BatchIntake(
        transactions, batch_bytes, limits, secret_key="k" * 32, announce=lambda _n: None
    )

    def receive(user, *texts):
        items = [NewItem(f"{text}.txt", "text/plain", io.BytesIO(text.encode())) for text in texts]
        return intake.receive(user.id, BatchOptions("batch"), items).id

    return receive


@pytest.fixture
def end(transactions):
    """End all documents of a batch and leave their bytes, as a crash does."""

    def store(batch_id):
        ended = update(BatchItem).where(BatchItem.batch_id == batch_id)
        transactions.run(lambda s: s.execute(ended.values(state=ItemState.DONE)))

    return store


@pytest.fixture
def names(tmp_path):
    """Return the contents of a user's stored bytes."""
    return lambda user: sorted(
        path.read_text() for path in (tmp_path / "batches" / user.id.hex).glob("??/*")
    )


def test_clean_up_removes_more_bytes_than_it_reads_at_once(send, end, batch_bytes, user, names):
    end(send(user, "a", "b", "c", "d", "e"))
    assert batch_bytes.remove_unneeded() == 5
    assert names(user) == []


def test_clean_up_ends_between_two_groups_when_the_process_stops(
    send, end, batch_bytes, user, names
):
    end(send(user, "a", "b", "c", "d", "e"))
    answers = iter([False, True])
    assert batch_bytes.remove_unneeded(is_stopping=lambda: next(answers)) == 2
    assert len(names(user)) == 3


def test_clean_up_is_not_stopped_by_bytes_that_waiting_documents_need(
    send, end, batch_bytes, user, names
):
    end(send(user, "a", "b", "c"))  # "a" has the last SHA-256, and the query may be in that order
    send(user, "b", "c")
    assert batch_bytes.remove_unneeded() == 1
    assert names(user) == ["b", "c"]


def test_cancelled_batch_returns_before_its_bytes_are_removed(
    send, batch_removal, batch_bytes, user, names
):
    batch_id = send(user, "a", "b", "c")
    assert batch_removal.end(user.id, batch_id)
    assert names(user) == ["a", "b", "c"]
    assert batch_bytes.remove_unneeded() == 3
    assert names(user) == []
    assert not batch_removal.end(user.id, batch_id)
