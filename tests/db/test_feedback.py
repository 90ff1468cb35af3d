"""Feedback rows: one current row per user and target, with history; deleted with their scan."""

import concurrent.futures
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import uuid_utils.compat
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError, OperationalError

from db import migrate
from db.database import Database
from db.engines import open_unpooled_engine
from db.error_codes import is_duplicate
from db.queries import feedback, scans
from db.queries.feedback import Target
from db.tables import User
from tests.db.conftest import add_scan, add_user, count, finding, scan_values

START = datetime(2026, 4, 1, tzinfo=UTC)
REFUSED = (IntegrityError, OperationalError)  # MySQL calls a broken CHECK the latter


@pytest.fixture
def scan(store_scan):
    """A scan with two findings, of one span each."""
    return store_scan("The budget is tight.", "The deadline is near!")


def target(scan, user, n=1, start=0, end=20):
    return Target(scan.id, user.id, n, start, end)


def values(**changed):
    return {
        "id": uuid_utils.compat.uuid7(),
        "role": "user",
        "revision": 1,
        "verdict": "confirmed",
        "risk_types": ["tight-budget"],
        "context": None,
        "comment": None,
        "created_at": datetime.now(UTC),
        **changed,
    }


@pytest.fixture
def add_feedback(database):
    """Store a feedback row."""

    def store(where, **changed):
        row = values(**changed)
        return database.run(lambda s: feedback.add_feedback(s, where, row))

    return store


def current(database, scan, **chosen):
    rows = database.run(lambda s: feedback.list_current(s, scan.id, limit=100, **chosen))
    return [row.id for row in rows]


def test_add_feedback_reads_back_whole(database, user, scan, add_feedback):
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
    context, comment = "Plän \U0001f600. " * 1500, "Größe\u2028'x' \U0001f525" * 100
    where = target(scan, user, n=0, end=len(context))
    row = add_feedback(where, verdict="missed", context=context, comment=comment, created_at=moment)
    stored = database.run(lambda s: feedback.newest(s, where))
    assert (stored.id, stored.context, stored.comment) == (row.id, context, comment)
    assert (stored.created_at, stored.risk_types) == (moment, ["tight-budget"])


@pytest.mark.parametrize(
    "wrong", [{"verdict": "maybe"}, {"revision": 0}, {"start": 3, "end": 3}, {"n": -1}]
)
def test_add_feedback_outside_its_checks_is_refused(user, scan, add_feedback, wrong):
    where = target(scan, user, **{k: v for k, v in wrong.items() if k in {"start", "end", "n"}})
    with pytest.raises(REFUSED):
        add_feedback(where, **{k: v for k, v in wrong.items() if k in {"verdict", "revision"}})


def test_add_feedback_with_a_used_revision_is_a_duplicate(database, user, scan, add_feedback):
    first = add_feedback(target(scan, user))
    with pytest.raises(IntegrityError) as refused:
        add_feedback(target(scan, user), verdict="rejected")
    assert is_duplicate(refused.value)
    assert current(database, scan) == [first.id]


def test_add_feedback_for_other_users_findings_and_spans_keeps_each(
    database, user, scan, add_feedback
):
    other = database.run(add_user)
    rows = [
        add_feedback(target(scan, user)),
        add_feedback(target(scan, other)),
        add_feedback(target(scan, user, n=2)),
        add_feedback(target(scan, user, n=0), verdict="missed"),
        add_feedback(target(scan, user, n=0, end=21), verdict="missed"),
    ]
    assert set(current(database, scan)) == {row.id for row in rows}


def test_newest_revision_is_current_and_a_withdrawal_leaves_none(
    database, user, scan, add_feedback
):
    where = target(scan, user)
    add_feedback(where)
    second = add_feedback(where, revision=2, verdict="rejected")
    assert current(database, scan) == [second.id]
    third = add_feedback(where, revision=3, verdict="withdrawn")
    assert current(database, scan) == []
    assert database.run(lambda s: feedback.newest(s, where)).id == third.id


def test_own_verdicts_are_current_and_the_users_own(database, user, scan, add_feedback):
    other = database.run(add_user)
    add_feedback(target(scan, user))
    own = add_feedback(target(scan, user), revision=2)
    add_feedback(target(scan, other, n=2))
    own_rows = database.run(lambda s: feedback.own_verdicts(s, scan.id, user.id, [1, 2]))
    assert {n: row.id for n, row in own_rows.items()} == {1: own.id}


def test_verdict_history_is_newest_first_and_bounded(database, user, scan, add_feedback):
    rows = [add_feedback(target(scan, user), revision=n).id for n in (1, 2, 3)]

    def history(limit):
        return database.run(lambda s: feedback.verdict_history(s, scan.id, 1, limit=limit))

    assert [row.id for row in history(10)] == rows[::-1]
    assert [row.id for row in history(2)] == rows[:0:-1]


def test_list_current_by_position_meets_every_row_once(database, user, scan, add_feedback):
    for n in range(7):
        where = target(scan, user, n=0, start=n)
        add_feedback(where, verdict="missed", created_at=START + timedelta(seconds=n // 3))
    seen, after = [], None
    while page := database.run(
        lambda s, after=after: feedback.list_current(s, scan.id, limit=2, after=after)
    ):
        seen += [(row.created_at, row.id) for row in page]
        after = seen[-1]
    assert len(seen) == 7
    assert seen == sorted(seen, reverse=True)


def test_scans_with_feedback_come_by_id_each_once(database, user, store_scan, add_feedback):
    stored = sorted(store_scan("One.").id for _ in range(5))
    for scan_id in stored[1:]:
        for n in (1, 2):
            add_feedback(Target(scan_id, user.id, n, 0, 4), created_at=START + timedelta(days=n))

    def listed(since, after, limit=3):
        return database.run(
            lambda s: feedback.scans_with_feedback(s, since=since, after=after, limit=limit)
        )

    assert listed(START, stored[0]) == stored[1:4]
    assert listed(START + timedelta(days=2), stored[3]) == stored[4:]
    assert listed(START + timedelta(days=3), stored[0], 1) != [stored[1]]


def test_findings_at_spans_are_those_of_exactly_these(database, scan):
    findings = database.run(lambda s: feedback.findings_at_spans(s, scan.id, {(0, 20), (1, 21)}))
    assert [f.n for f in findings] == [1]


def test_delete_scan_deletes_its_feedback(database, user, scan, add_feedback):
    row = add_feedback(target(scan, user))
    database.run(lambda s: scans.delete_scan(s, scan.id, user.id))
    assert database.run(lambda s: feedback.feedback_by_id(s, row.id)) is None


def test_feedback_outlives_its_reviewer_but_not_the_scans_owner(database, user, scan, add_feedback):
    reviewer = database.run(add_user)
    row = add_feedback(target(scan, reviewer))
    database.run(lambda s: s.delete(s.get(User, reviewer.id)))
    assert current(database, scan) == [row.id]
    database.run(lambda s: s.delete(s.get(User, user.id)))
    assert current(database, scan) == []


def test_add_feedback_to_a_deleted_scan_is_refused(user, add_feedback):
    with pytest.raises(IntegrityError):
        add_feedback(Target(UUID(int=1), user.id, 1, 0, 4))


def test_scan_under_review_locked_blocks_others(database, user, scan):
    def append(_):
        def work(session):
            feedback.scan_under_review(session, scan.id, lock=True)
            newest = feedback.newest(session, target(scan, user))
            revision = 1 + (newest.revision if newest else 0)
            feedback.add_feedback(session, target(scan, user), values(revision=revision))
            return revision

        return database.run(work)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(append, range(4))) == [1, 2, 3, 4]


def test_migration_down_drops_feedback_and_keeps_scans(own_database_url):
    database = Database.connect(own_database_url, pool_size=1)
    owner = database.run(add_user)
    scan = scan_values(owner.id)
    database.run(lambda s: add_scan(s, scan, [finding(1)]))
    database.run(lambda s: feedback.add_feedback(s, first_target(scan), values()))
    database.dispose()
    migrate.downgrade(own_database_url, "0002")
    with open_unpooled_engine(own_database_url).connect() as connection:
        assert "feedback" not in inspect(connection).get_table_names()
        assert count(connection, "findings", "n", 1) == 1
    migrate.upgrade(own_database_url)
    assert migrate.differences(own_database_url) == []


def first_target(scan):
    return Target(scan["id"], scan["user_id"], 1, 0, 20)
