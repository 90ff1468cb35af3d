"""Vectors kept in memory: which ones a search reads again, which it drops, and how many stay."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import uuid_utils.compat
from sqlalchemy import delete, insert

from db.queries.reach import EVERYONE
from db.queries.search_index import put_vectors
from db.tables import Scan
from service.domain.search.matrix import stored_parts
from service.domain.search.vector_cache import VectorCache

SIZE, MODEL = 8, "a model"
WHEN = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def store(transactions):
    """Store a scan of some findings, each newer than the last, with vectors; return its id."""
    made = []

    def add(owner, n, *, has_vectors=True):
        scan_id = uuid_utils.compat.uuid7()
        made.append(scan_id)
        vectors = np.random.default_rng(len(made)).normal(size=(n, SIZE)).astype(np.float32)
        values = {
            "id": scan_id,
            "user_id": owner,
            "source": "model",
            "created_at": WHEN + timedelta(seconds=len(made)),
            "model_name": "riskscan-fast",
            "model_version": "1",
            "document_sha256": "0" * 64,
            "coverage": {},
            "n_findings": n,
        }
        transactions.run(lambda s: s.execute(insert(Scan), [values]).close())
        parts = stored_parts(vectors, ["legal"] * n)
        if has_vectors:
            transactions.run(put_vectors, user_id=owner, scan_id=scan_id, model=MODEL, parts=parts)
        return scan_id

    return add


@pytest.fixture
def delete_scan(transactions):
    return lambda row_id: transactions.run(
        lambda s: s.execute(delete(Scan).where(Scan.id == row_id)).close()
    )


@pytest.fixture
def owner(add_user):
    return add_user().id


@pytest.fixture
def newest(transactions):
    """Return the scans whose vectors are those of everyone's newest scans."""
    caches = defaultdict(VectorCache)

    def read(n_scans=10, n_findings=100):
        limits = {"n_scans": n_scans, "n_findings": n_findings}
        cache = caches[n_scans, n_findings]  # the limits never change in a process
        vectors = transactions.read(cache.newest, EVERYONE, MODEL, SIZE, **limits)
        return {scan_id for scan_id, _ in vectors.parts}

    return read


def test_newest_scans_are_limited_by_scans_and_by_findings_but_never_none(owner, store, newest):
    first, second, third = (store(owner, n) for n in (2, 2, 3))
    assert newest() == {first, second, third}
    assert newest(n_scans=2) == {second, third}
    assert newest(n_findings=5) == {second, third}
    assert newest(n_findings=1) == {third}


def test_newest_scans_gain_what_is_stored_and_lose_what_is_deleted(
    owner, store, delete_scan, newest
):
    first, second = (store(owner, 2) for _ in range(2))
    assert newest() == {first, second}
    delete_scan(first)
    third = store(owner, 2)
    assert newest() == {second, third}


def test_vectors_that_are_stored_after_their_scan_are_read(transactions, owner, store, newest):
    first = store(owner, 2)
    second = store(owner, 2, has_vectors=False)
    assert newest() == {first}
    parts = stored_parts(np.ones((2, SIZE), np.float32), ["legal"] * 2)
    transactions.run(put_vectors, user_id=owner, scan_id=second, model=MODEL, parts=parts)
    assert newest() == {first, second}


def test_deleted_vectors_leave_the_memory_of_their_user(transactions, owner, store, delete_scan):
    cache = VectorCache()
    first, second = store(owner, 2), store(owner, 3)
    assert len(transactions.read(cache.get, owner, MODEL, SIZE)) == 5
    delete_scan(first)
    transactions.read(cache.drop_deleted, owner, MODEL)
    left = transactions.read(cache.get, owner, MODEL, SIZE)
    assert [scan_id for scan_id, _ in left.parts] == [second]


def test_least_recently_searched_vectors_are_dropped_at_the_limit(transactions, add_user, store):
    owners = [add_user().id for _ in range(3)]
    for owner in owners:
        store(owner, 4)
    one = transactions.read(VectorCache().get, owners[0], MODEL, SIZE).n_bytes
    cache = VectorCache(max_bytes=2 * one)
    for owner in owners:
        transactions.read(cache.get, owner, MODEL, SIZE)
        assert cache.n_bytes <= 2 * one
    assert cache.n_bytes == 2 * one
