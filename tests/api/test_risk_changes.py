"""Changes of risks by people who lose sight of them, and beside the deletion of what they refer to."""

import threading
import time
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import delete

from db.tables import Risk, Team
from tests.api.risk_register import RISKS, change, create, created, id_of

LOCKED_FOR_S = 0.5


@pytest.mark.every_database
def test_owner_who_gives_a_risk_away_and_no_longer_sees_it_gets_the_changed_risk(
    people,
    shared_risk,
    admin,
):
    (risk, team, _), owner, member = shared_risk, people["owner"], people["member"]
    admin.http.delete(f"/api/v1/teams/{team}/members/{owner.id}").raise_for_status()
    answer = change(owner, risk, owner_id=member.id)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["owner"], shown["version"], shown["may_change"]) == (member.email, 3, False)
    assert owner.http.get(risk).status_code == 404
    now = member.http.get(risk)
    assert answer.headers["ETag"] == now.headers["ETag"]
    assert shown == {**now.json(), "may_change": False}


@pytest.fixture
def beside_deletion(live):
    """Delete a row in a transaction that is open while a request runs; return the request's answer."""

    def call(table, row_id, request):
        deleted = threading.Event()

        def work(session):
            session.execute(delete(table).where(table.id == UUID(row_id)))
            deleted.set()
            time.sleep(LOCKED_FOR_S)

        deletion = threading.Thread(target=live.services.transactions.run, args=(work,))
        deletion.start()
        deleted.wait()
        answer = request()
        deletion.join()
        return answer

    return call


@pytest.mark.every_database
def test_note_beside_the_deletion_of_its_risk_is_not_found(user, beside_deletion):
    risk = created(user)
    note = {"text": "Too late."}
    answer = beside_deletion(Risk, id_of(risk), lambda: user.http.post(f"{risk}/notes", json=note))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def create_in(team, user):
    return create(user, team_id=team)


def move_to(team, user):
    return change(user, created(user), team_id=team)


@pytest.mark.every_database
@pytest.mark.parametrize("send", [create_in, move_to])
def test_risk_of_a_team_that_is_deleted_meanwhile_is_refused_by_field(
    user,
    team_of,
    beside_deletion,
    send,
):
    team = team_of(user)
    answer = beside_deletion(Team, team, partial(send, team, user))
    assert answer.status_code == 400, answer.text
    assert [fault["field"] for fault in answer.json()["errors"]] == ["team_id"]
    assert user.http.get(RISKS, params={"team": team}).json()["items"] == []
