"""Lists of what is shared with teams read the shared rows, not everyone's."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from db.queries import documents, scans, teams
from db.queries.reach import own_and_shared, shared
from db.tables import Document, DocumentShare, Scan, ScanShare, Team, TeamMember
from tests.db.conftest import add_user, scan_values, servers
from tests.db.test_pagination import analyze, plan

N_SCANS = 6000
START = datetime(2026, 3, 1, tzinfo=UTC)


def key(n):
    return UUID(int=n + 2**102)


@pytest.fixture(scope="module")
def member(database):
    """A member of one team, with which others share every 200th document and every 300th scan."""

    def work(session):
        owner, member = add_user(session), add_user(session)
        rows = [
            {
                "id": key(n),
                "user_id": owner.id,
                "media_type": "text/plain",
                "size_bytes": 1,
                "text_stored": "none",
                "n_scans": 1,
                "created_at": START + timedelta(seconds=n),
                "series_id": key(n),
                "version": 1,
            }
            for n in range(N_SCANS)
        ]
        session.execute(insert(Document), rows)
        values = [
            scan_values(owner.id, id=row["id"], document_id=row["id"], created_at=row["created_at"])
            for row in rows
        ]
        session.execute(insert(Scan), values)
        for n in range(2):
            session.add(Team(id=key(n), name=f"T {n}", name_key=f"t {n}", created_at=START))
        session.flush()
        session.add(TeamMember(team_id=key(0), user_id=member.id))
        for n in range(0, N_SCANS, 100):
            session.add(DocumentShare(document_id=key(n), team_id=key(n // 100 % 2)))
        for n in range(0, N_SCANS, 150):
            session.add(ScanShare(scan_id=key(n), team_id=key(n // 150 % 2)))
        return member

    member = database.run(work)
    analyze(database)
    return member


def shared_places():
    documents_ = set(range(0, N_SCANS, 200))
    return documents_, sorted(documents_ | set(range(0, N_SCANS, 300)), reverse=True)


def test_lists_have_each_shared_row_once_newest_first(database, member):
    in_documents, in_scans = shared_places()
    reach = shared(member.id)
    listed = database.read(lambda s: scans.list_scans(s, reach, limit=1000))
    assert [scan.id for scan in listed] == [key(n) for n in in_scans]
    after = (listed[9].created_at, listed[9].id)
    second = database.read(lambda s: scans.list_scans(s, reach, limit=3, after=after))
    assert [scan.id for scan in second] == [scan.id for scan in listed[10:13]]
    counted = database.read(lambda s: scans.count_scans(s, reach, at_most=1000))
    assert (counted.n, counted.is_exact) == (len(in_scans), True)
    shown = database.read(
        lambda s: documents.list_documents(s, reach, limit=1000, newest_only=True)
    )
    assert {document.id for document in shown} == {key(n) for n in in_documents}


@pytest.mark.parametrize("backend", ["sqlite", "mysql"], indirect=True, scope="session")
@pytest.mark.parametrize("reach", [shared, own_and_shared])
def test_lists_begin_with_the_shared_rows(database, member, reach):
    """Neither scans nor documents are read whole, nor by the index of everyone's newest."""
    lists = (
        lambda s: scans.list_scans(s, reach(member.id), limit=20),
        lambda s: scans.count_scans(s, reach(member.id), at_most=1000),
        lambda s: documents.list_documents(s, reach(member.id), limit=20, newest_only=True),
    )
    for query in lists:
        explained = plan(database, query)
        assert "ix_scans_created_at_id" not in explained
        assert "ix_documents_created_at_id" not in explained
        lines = [line.split() for line in explained.splitlines()]
        whole = (
            "scans all",
            "scans index",
            "documents all",
            "documents index",
            "scan scans",
            "scan documents",
        )
        assert not any(words in " ".join(line) for line in lines for words in whole)


def test_removed_member_takes_the_own_shares_along_and_leaves_others(database, member):
    def work(session):
        other, team_id = add_user(session), key(0)
        session.add(TeamMember(team_id=team_id, user_id=other.id))
        scan = scan_values(other.id)
        session.execute(insert(Scan), [scan])
        session.flush()
        for one in (key(0), key(1)):
            teams.add_share(session, teams.Shared.SCAN, scan["id"], one)
        assert teams.remove_member(session, team_id, other.id)
        left = teams.list_shares(session, teams.Shared.SCAN, scan["id"], limit=9)
        return [team.id for team in left]

    assert database.run(work) == [key(1)]
    in_scans = shared_places()[1]
    listed = database.read(lambda s: scans.list_scans(s, shared(member.id), limit=1000))
    assert len(listed) == len(in_scans)


@servers
@pytest.mark.parametrize("is_share_first", [True, False])
def test_sharing_and_leaving_at_once_leaves_nothing_shared(database, is_share_first):
    """Whichever locks the membership first, the other one waits and then sees what it did."""
    owner = database.run(add_user)
    scan, team_id = scan_values(owner.id), uuid7()

    def prepare(session):
        session.execute(insert(Scan), [scan])
        name = str(team_id)
        session.add(Team(id=team_id, name=name, name_key=name, created_at=START))
        session.flush()
        teams.add_member(session, team_id, owner.id)

    def share(session):
        if teams.is_member(session, team_id, owner.id, lock=True):
            teams.add_share(session, teams.Shared.SCAN, scan["id"], team_id)

    def leave(session):
        teams.remove_member(session, team_id, owner.id)

    database.run(prepare)
    first, second = (share, leave) if is_share_first else (leave, share)
    with ThreadPoolExecutor() as pool, Session(database.engine) as session:
        first(session)
        waiting = pool.submit(database.run, second)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        session.commit()
        waiting.result(timeout=30)
    left = database.read(lambda s: teams.list_shares(s, teams.Shared.SCAN, scan["id"], limit=9))
    assert list(left) == []
