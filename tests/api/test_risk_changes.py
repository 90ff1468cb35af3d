"""Changes of risks by people who lose sight of them, and beside the deletion of what they refer to."""

import pytest

from tests.api.test_risks import change, people, shared_risk, team_of  # noqa: F401 - fixtures


@pytest.mark.every_database
def test_owner_who_gives_a_risk_away_and_no_longer_sees_it_gets_the_changed_risk(
    people,  # noqa: F811
    shared_risk,  # noqa: F811
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
