"""Audit events outlive the objects that they record."""

import uuid_utils.compat

from db.queries import audit
from db.tables import User


def add(session, **changed):
    values = {"action": "scan.deleted", "user_id": None, "object_type": "scan", "object_id": None}
    event = audit.Event(**{**values, "request_id": None, "detail": {}, **changed})
    audit.add_events(session, [event])


def test_add_event_reads_back_newest_first(database):
    detail = {"n_findings": 3, "roles": ["admin"]}
    database.run(lambda s: add(s, action="first"))
    database.run(lambda s: add(s, action="second", detail=detail, request_id="r" * 64))
    second, first = database.run(lambda s: audit.list_events(s, limit=2))
    assert (second.action, second.detail, first.action) == ("second", detail, "first")


def test_event_outlives_its_user(database, user):
    database.run(lambda s: add(s, user_id=user.id, object_id=str(user.id)))
    database.run(lambda s: s.delete(s.get(User, user.id)))
    [event] = database.run(lambda s: audit.list_events(s, limit=1))
    assert (event.user_id, event.object_id) == (user.id, str(user.id))


def test_event_of_a_failed_transaction_is_not_stored(database):
    action = uuid_utils.compat.uuid7().hex

    def work(session):
        add(session, action=action)
        raise KeyError(action)

    try:
        database.run(work)
    except KeyError:
        events = database.run(lambda s: audit.list_events(s, limit=1))
        assert [event.action for event in events] != [action]
