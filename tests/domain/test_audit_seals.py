"""Sealed events: a change, a removal and an insertion show, on each kind of database."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from db.queries.audit import erase_personal
from db.tables import AuditEvent, AuditSeal
from service.domain import audit_seals
from service.domain.audit import Action, Actor, account_event, event, record
from service.domain.audit_seals import AuditSeals
from service.domain.transactions import Transactions, open_database
from service.errors import InvalidRequest
from service.observability import request_id

ACTOR = Actor(UUID(int=1))


class Trail:
    """The audit trail of one database."""

    def __init__(self, config, transactions):
        self.run = transactions.run
        self.seals = AuditSeals(config, transactions)

    def add(self, n_events, **detail):
        for k in range(n_events):
            added = event(
                Action.SCAN_CREATED,
                actor=ACTOR,
                object_type="scan",
                object_id=UUID(int=k),
                detail=detail,
            )
            self.run(record, added)

    def events(self):
        return self.run(lambda s: s.scalars(select(AuditEvent).order_by(AuditEvent.n)).all())

    def change(self, n, **values):
        self.run(lambda s: s.execute(update(AuditEvent).where(AuditEvent.n == n).values(values)))

    def remove(self, *numbers):
        self.run(lambda s: s.execute(delete(AuditEvent).where(AuditEvent.n.in_(numbers))))

    def fault(self, kept=None):
        return self.seals.verify(kept and asdict(kept)).fault


@pytest.fixture
def trail(config, own_database_url):
    config = config.model_copy(update={"database_url": own_database_url})
    transactions = Transactions(open_database(config, pool_size=5))
    yield Trail(config, transactions)
    transactions.close()


def test_events_are_sealed_once_in_their_order(trail, monkeypatch):
    monkeypatch.setattr(audit_seals, "BATCH", 3)
    assert trail.seals.newest() is None
    trail.add(7, name="Zähler", share=0.1, keys=["b", "a"], nothing=None)
    assert [trail.seals.seal(), trail.seals.seal()] == [7, 0]
    trail.add(1)
    assert trail.seals.seal() == 1
    assert [event.n for event in sorted(trail.events(), key=lambda event: event.id)] == [
        *range(1, 9)
    ]
    assert trail.seals.verify() == audit_seals.Verdict(8)


def test_event_that_was_committed_late_is_sealed_next(trail):
    trail.add(2)
    trail.seals.seal()
    trail.add(1)
    early = trail.events()[-1].created_at - timedelta(hours=1)
    trail.change(None, created_at=early)
    assert (trail.seals.seal(), trail.fault()) == (1, None)
    assert trail.events()[2].created_at == early


@pytest.mark.parametrize(
    "values",
    [
        {"action": "scan.deleted"},
        {"user_id": UUID(int=2)},
        {"user_id": None},
        {"detail": {"name": "other"}},
        {"object_id": None},
        {"request_id": "r"},
    ],
    ids=str,
)
def test_changed_event_is_named(trail, values):
    trail.add(5, name="plan")
    trail.seals.seal()
    trail.change(3, **values)
    assert trail.fault().startswith("Event 3 (")
    assert trail.seals.verify().n_events == 2


def test_removed_events_are_named(trail):
    trail.add(5)
    trail.seals.seal()
    trail.remove(3)
    assert trail.fault() == "Event 3 is missing."
    trail.remove(4)
    assert trail.fault() == "The events 3 to 4 are missing."
    trail.remove(5)
    assert trail.fault() == "The events 3 to 5 are missing."


def test_changed_event_with_a_new_digest_breaks_the_next(trail):
    trail.add(3)
    trail.seals.seal()
    trail.change(2, action="scan.deleted")
    first, second, _ = trail.events()
    trail.change(2, digest=audit_seals.digest_of(second, 2, first.digest))
    assert trail.fault().startswith("Event 3 (")


def computed_again(trail):
    """Remove the last event, and forget all seals but those of a new chain."""
    trail.remove(3)
    trail.run(lambda s: s.execute(delete(AuditSeal)))
    trail.run(lambda s: s.execute(update(AuditEvent).values(n=None, digest=None)))
    trail.seals.seal()


def test_kept_seal_shows_that_the_whole_trail_was_computed_again(trail):
    trail.add(3)
    trail.seals.seal()
    kept = trail.seals.newest()
    assert trail.fault(kept) is None
    computed_again(trail)
    assert trail.fault() is None
    assert trail.fault(kept) == "The events 3 to 3 are missing."
    trail.add(1)
    trail.seals.seal()
    assert "differs from your seal" in trail.fault(kept)


def test_altered_seal_is_refused(trail):
    trail.add(1)
    trail.seals.seal()
    kept = trail.seals.newest()
    for altered in (replace(kept, last_n=2), replace(kept, digest="0" * 64)):
        with pytest.raises(InvalidRequest, match="altered"):
            trail.seals.verify(asdict(altered))
    with pytest.raises(InvalidRequest, match="fields last_n"):
        trail.seals.verify(json.loads('{"digest": "x"}'))


def test_two_processes_seal_each_event_once(trail, monkeypatch):
    monkeypatch.setattr(audit_seals, "BATCH", 5)
    trail.add(40)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: trail.seals.seal(), range(4)))
    trail.seals.seal()
    assert trail.seals.verify() == audit_seals.Verdict(40)


def test_changed_address_shows_and_a_blanked_one_does_not(trail):
    person = UUID(int=7)
    for address in ("192.0.2.1", "192.0.2.2"):
        request_id.begin(None, client_address=address)
        trail.run(record, account_event(Action.USER_LOGGED_IN, person, actor=Actor(person)))
    request_id.begin(None)
    trail.seals.seal()
    assert trail.run(erase_personal, person, limit=1) == 1
    assert trail.fault() is None
    [kept] = [event for event in trail.events() if event.personal]
    trail.change(kept.n, personal={**kept.personal, "client_address": "192.0.2.9"})
    assert trail.fault().startswith(f"Event {kept.n} (")
