"""Pages list newest first without gaps or repeats, and read an index at any length of the list."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, text

from db.queries import audit, scans
from db.queries.reach import EVERYONE, own
from db.tables import AuditEvent, Finding, Scan
from tests.db.conftest import add_user, finding, scan_values
from tests.db.plans import plan

START = datetime(2026, 1, 1, tzinfo=UTC)
N_SCANS = 8000
N_USERS = 200  # for the owner of a large part of all scans PostgreSQL filters another index
SORTS = ("filesort", "temp b-tree", "sort key")


@pytest.fixture(scope="module")
def owner(database):
    """A user with forty scans, two of each moment, among 8,000 of other users."""

    def work(session):
        owners = [add_user(session) for _ in range(N_USERS)]
        rows = [
            scan_values(
                owners[n % N_USERS].id,
                id=UUID(int=(n * 7919) % 2**64 + 2**100),
                created_at=START + timedelta(seconds=n // (2 * N_USERS)),
            )
            for n in range(N_SCANS)
        ]
        session.execute(insert(Scan), rows)
        return owners[0]

    owner = database.run(work)
    analyze(database)
    return owner


def analyze(database):
    is_mysql = database.engine.dialect.name == "mysql"
    for table in ("scans", "findings", "audit_events"):
        statement = text(f"ANALYZE TABLE {table}" if is_mysql else f"ANALYZE {table}")
        database.run(lambda s, sql=statement: s.execute(sql).close())


def middle(database, owner):
    [scan] = database.run(lambda s: scans.list_scans_page(s, own(owner.id), limit=1, offset=10))
    return scan.created_at, scan.id


def test_list_scans_by_position_lists_every_scan_once(database, owner):
    seen, after = [], None
    while page := database.run(
        lambda s, after=after: scans.list_scans(s, own(owner.id), limit=15, after=after)
    ):
        seen += [(scan.created_at, scan.id) for scan in page]
        after = seen[-1]
    assert len(seen) == N_SCANS // N_USERS
    assert seen == sorted(set(seen), reverse=True)


def test_list_scans_page_is_the_same_as_by_position(database, owner):
    after = middle(database, owner)
    by_position = database.run(lambda s: scans.list_scans(s, own(owner.id), limit=20, after=after))
    by_offset = database.run(lambda s: scans.list_scans_page(s, own(owner.id), limit=20, offset=11))
    assert [scan.id for scan in by_position] == [scan.id for scan in by_offset]


def test_list_scans_first_page_reads_the_index_in_order(database, owner):
    explained = plan(database, lambda s: scans.list_scans(s, own(owner.id), limit=20))
    assert "ix_scans_user_id_created_at_id" in explained
    assert not any(word in explained for word in SORTS)


def test_list_scans_after_a_position_reads_the_index_in_order(database, owner):
    after = middle(database, owner)
    explained = plan(database, lambda s: scans.list_scans(s, own(owner.id), limit=20, after=after))
    assert "ix_scans_user_id_created_at_id" in explained
    assert not any(word in explained for word in SORTS)


FILTERS = [
    {"source": "llm"},
    {"category": "financial"},
    {"risk_type": "budget"},
    {"q": "tight"},
    {"created_from": START + timedelta(seconds=5)},
    {"created_before": START + timedelta(seconds=5)},
]


# PostgreSQL may sort instead if the filter leaves few rows.
@pytest.mark.parametrize("backend", ["sqlite", "mysql"], indirect=True, scope="session")
@pytest.mark.parametrize("chosen", FILTERS, ids=lambda chosen: next(iter(chosen)))
def test_list_scans_of_one_filter_reads_the_index_in_order(database, owner, chosen):
    only = scans.ScanFilter(**chosen)
    explained = plan(
        database, lambda s: scans.list_scans_page(s, own(owner.id), only, limit=20, offset=0)
    )
    assert "ix_scans_user_id_created_at_id" in explained
    assert not any(word in explained for word in SORTS)


@pytest.fixture(scope="module")
def large_account(database):
    """A user with twice the scans of all others together, each with a finding."""

    def work(session):
        user = add_user(session)
        rows = [
            scan_values(user.id, id=UUID(int=n + 2**101), created_at=START + timedelta(seconds=n))
            for n in range(2 * N_SCANS)
        ]
        session.execute(insert(Scan), rows)
        session.execute(insert(Finding), [{**finding(1), "scan_id": row["id"]} for row in rows])
        return user

    large_account = database.run(work)
    analyze(database)
    return large_account


@pytest.mark.parametrize("backend", ["mysql"], indirect=True, scope="session")
@pytest.mark.parametrize("chosen", [{}, *FILTERS], ids=lambda chosen: next(iter(chosen), "none"))
def test_list_scans_of_a_large_account_reads_the_index_by_range_in_order(
    database, large_account, chosen
):
    only = scans.ScanFilter(**chosen)
    after = (START + timedelta(seconds=N_SCANS), UUID(int=N_SCANS + 2**101))
    for position in (None, after):
        explained = plan(
            database,
            lambda s, at=position: scans.list_scans(
                s, own(large_account.id), only, limit=20, after=at
            ),
        )
        assert "ix_scans_user_id_created_at_id" in explained
        assert not any(word in explained for word in SORTS)
        # A range scan: with `ref` it would read every scan between the newest and the position.
        is_bounded = position or "created_from" in chosen or "created_before" in chosen
        assert not is_bounded or " range " in explained


def test_list_scans_of_everyone_lists_every_scan_once(database, owner):
    after = middle(database, owner)
    listed = database.run(lambda s: scans.list_scans(s, EVERYONE, limit=300, after=after))
    places = [(scan.created_at, scan.id) for scan in listed]
    assert len(places) == 300
    assert places == sorted(set(places), reverse=True)
    assert places[0] < after


@pytest.mark.parametrize(
    "chosen", [{}, *FILTERS[-2:]], ids=lambda chosen: next(iter(chosen), "none")
)
def test_list_scans_of_everyone_reads_their_index_in_order(database, owner, chosen):
    only = scans.ScanFilter(**chosen)
    for position in (None, middle(database, owner)):
        explained = plan(
            database, lambda s, at=position: scans.list_scans(s, EVERYONE, only, limit=20, after=at)
        )
        assert "ix_scans_created_at_id" in explained
        assert not any(word in explained for word in SORTS)


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("backend", ["sqlite", "mysql"], indirect=True, scope="session")
@pytest.mark.parametrize("chosen", FILTERS, ids=lambda chosen: next(iter(chosen)))
def test_list_scans_of_everyone_with_a_filter_sorts_nothing(database, chosen):
    only = scans.ScanFilter(**chosen)
    explained = plan(
        database, lambda s: scans.list_scans_page(s, EVERYONE, only, limit=20, offset=0)
    )
    assert "ix_scans_created_at_id" in explained
    assert not any(word in explained for word in SORTS)


def test_list_events_after_a_position_reads_the_index_in_order(database):
    rows = [
        {
            "id": UUID(int=n + 2**90),
            "created_at": START + timedelta(seconds=n // 3),
            "action": "scan.created",
            "user_id": None,
            "object_type": "scan",
            "object_id": None,
            "request_id": None,
            "detail": {},
        }
        for n in range(3000)
    ]
    database.run(lambda s: s.execute(insert(AuditEvent), rows))
    analyze(database)
    after = (START + timedelta(seconds=500), UUID(int=1501 + 2**90))
    explained = plan(database, lambda s: audit.list_events(s, limit=20, after=after))
    assert "ix_audit_events_created_at_id" in explained
    assert not any(word in explained for word in SORTS)
    page = database.run(lambda s: audit.list_events(s, limit=3, after=after))
    assert [event.id.int - 2**90 for event in page] == [1500, 1499, 1498]
