"""A key that a scan and a batch use at the same time."""

import io

import pytest

from db.queries import batches as queries
from db.queries.reach import own
from db.queries.scans import ScanFilter
from service.domain.batch_bytes import BatchBytes
from service.domain.batch_intake import BatchIntake, BatchLimits, BatchOptions, NewItem
from service.domain.scans.scans import list_scans
from service.errors import Conflict
from service.nlp.pipeline import Submission
from service.nlp.taxonomy import built_in
from tests.domain.conftest import TEXT

RISKY = Submission(text=TEXT)


@pytest.fixture
def intake(transactions, tmp_path):
    stored = BatchBytes(transactions, tmp_path / "batches")
    limits = BatchLimits(100, 10**6, 10**6, 10**6)
    return BatchIntake(transactions, stored, limits, secret_key="k" * 32, announce=lambda _n: None)


def send(intake, user, during=lambda: None):
    """Send a batch with the key; `during` is called while it is received."""

    def items():
        yield NewItem("a.txt", "text/plain", io.BytesIO(b"All is well."))
        during()

    return intake.receive(user.id, BatchOptions("batch"), items(), key="once")


def test_batch_that_takes_the_key_during_a_scan_is_the_only_one_stored(
    transactions, scans, pipeline, intake, user
):
    pipeline.during_scan = lambda: send(intake, user)
    with pytest.raises(Conflict, match="was used for a batch"):
        scans.create(user.id, RISKY, key="once")
    page = transactions.read(
        list_scans, own(user.id), ScanFilter(), per_page=9, taxonomy=built_in(), after=None
    )
    assert page.scans == []


def test_scan_that_takes_the_key_while_a_batch_arrives_is_the_only_one_stored(
    transactions, scans, intake, user
):
    with pytest.raises(Conflict, match="was used for a scan"):
        send(intake, user, during=lambda: scans.create(user.id, RISKY, key="once"))
    assert transactions.read(queries.list_batches, own(user.id), limit=9) == []
